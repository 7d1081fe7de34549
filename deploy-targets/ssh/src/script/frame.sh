# What every step begins with: arguments decoded, answers framed. POSIX sh; dash, bash and busybox ash run it. Arguments: nonce,
# path, then the step's own.
set -eu
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
had_lc=${LC_ALL-}
LC_ALL=C
export PATH LC_ALL
umask 022
decode() {
    case $1 in
        *\\*)
            decoded=$(printf '%b.' "$1")
            decoded=${decoded%.}
            ;;
        # Most have nothing to decode: no process for them.
        *) decoded=$1 ;;
    esac
    decoded=${decoded#=}
}
left=$#
while [ "$left" -gt 0 ]; do
    decode "$1"
    shift
    set -- "$@" "$decoded"
    left=$((left - 1))
done
nonce=$1 path=$2
shift 2

# Answers go to stdout, one record a line; all other output to stderr. A reader that went away must not stop a step half-way.
trap '' PIPE
child=
leave() {
    [ -z "$child" ] || kill -TERM "$child" 2>/dev/null || :
    exit 143
}
trap leave TERM HUP INT
# Removed at the end, however it comes.
drop=
finished() {
    code=$?
    trap - EXIT
    [ -z "$drop" ] || rm -rf "$drop" || :
    printf '\n@%s exit %s\n' "$nonce" "$code" || :
    printf '\n@%s end\n' "$nonce" >&2 || :
}
trap finished EXIT
emit() { printf '@%s %s\n' "$nonce" "$*" || :; }
# A failure with a name: fail NAME WORDS…
fail() {
    emit fail "$@"
    exit 1
}
raw() {
    size=$(wc -c <"$2")
    emit raw "$1" $((size))
    cat "$2"
    printf '\n'
}
need() { command -v "$1" >/dev/null 2>&1 || fail tool "$1" "$2"; }
printf '\n@%s begin\n' "$nonce"
