#!/usr/bin/env bash
# Builds golden.qcow2 in the current folder: a disk that holds the agent. Needs e2fsprogs and qemu-utils.
# A file system records when it was made, so two builds differ in their bytes: `rebuild = "auto"` goes by the
# inputs for that reason.
set -euo pipefail

here=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$work/tree/opt/vm-agent"
cp -R vm-agent/. "$work/tree/opt/vm-agent/"
rm -rf "$work/tree/opt/vm-agent/node_modules"

mke2fs -q -t ext4 -d "$work/tree" -E root_owner=0:0 -L golden "$work/golden.raw" 32M >/dev/null
qemu-img convert -q -f raw -O qcow2 "$work/golden.raw" "$here/golden.qcow2"
echo "golden.qcow2: $(sha256sum <"$here/golden.qcow2" | cut -c1-12)"
