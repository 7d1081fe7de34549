# What `deploy doctor` wants to know of a host; changes nothing.
for pair in flock:util-linux sha256sum:coreutils tar:tar timeout:coreutils mv:coreutils sync:coreutils readlink:coreutils; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || emit missing "${pair%%:*}" "${pair#*:}"
done
emit layout "$layout"
near=$path
while [ ! -e "$near" ]; do near=${near%/*}; near=${near:-/}; done
if [ -w "$near" ]; then emit rights yes "$near"; else emit rights no "$near"; fi
if [ "$layout" = beside ]; then
    near=${path%/*}
    near=${near:-/}
    if [ -w "$near" ]; then emit rights yes "$near"; else emit rights no "$near"; fi
fi
set -- $(df -kP "$near" | tail -n 1)
emit free "$4"
set -- $(df -iP "$near" 2>/dev/null | tail -n 1) - - - -
emit inodes "$4"
emit clock "$(date +%s)"
emit user "$(id -un 2>/dev/null || id -u)"
