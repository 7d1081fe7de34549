#!/usr/bin/env bash
# Prints the address of each VM that serves, one a line.
set -euo pipefail
. "$(dirname "$0")/vms.sh"

for vm in "$VMS"/*/; do
    [ -f "$vm/pid" ] && [ ! -e "$vm/throw-away" ] && basename "$vm"
done
exit 0
