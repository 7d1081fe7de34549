#!/usr/bin/env bash
# Boots a throw-away VM from $DEPLOY_DISK and prints its address.
set -euo pipefail
. "$(dirname "$0")/vms.sh"

address=$(address_of_new)
touch "$VMS/$address/throw-away"
boot "$address" "$DEPLOY_DISK"
echo "$address"
