#!/usr/bin/env bash
# Replaces the VM $DEPLOY_VM by one from $DEPLOY_DISK at the same address.
set -euo pipefail
. "$(dirname "$0")/vms.sh"

halt "$DEPLOY_VM"
boot "$DEPLOY_VM" "$DEPLOY_DISK"
