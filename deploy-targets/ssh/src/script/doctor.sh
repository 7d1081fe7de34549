# What `deploy doctor` wants to know of a host; changes nothing. Arguments: the restart command's program (empty: not to be told),
# and, where `sudo` runs it, the words after `sudo` (encoded).
tell_missing
emit layout "$layout"
near=$path
while [ ! -e "$near" ]; do near=${near%/*}; near=${near:-/}; done
if [ -w "$near" ]; then emit rights yes "$near"; else emit rights no "$near"; fi
if [ "$layout" = beside ]; then
    near=${path%/*}
    near=${near:-/}
    if [ -w "$near" ]; then emit rights yes "$near"; else emit rights no "$near"; fi
fi
restart=$1 sudo=$2
set -- $(df -kP "$near" | tail -n 1)
emit free "$4"
set -- $(df -iP "$near" 2>/dev/null | tail -n 1) - - - -
emit inodes "$4"
emit clock "$(date +%s)"
emit user "$(id -un 2>/dev/null || id -u)"
if [ -n "$restart" ]; then
    if command -v "$restart" >/dev/null 2>&1; then emit restart yes; else emit restart no; fi
fi
if [ -n "$sudo" ] && command -v sudo >/dev/null 2>&1; then
    set -f
    set --
    for word in $sudo; do
        decode "$word"
        set -- "$@" "$decoded"
    done
    if sudo -n -l "$@" >/dev/null 2>&1 </dev/null; then emit sudo yes; else emit sudo no; fi
fi
