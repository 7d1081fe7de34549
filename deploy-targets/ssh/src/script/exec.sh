# Runs one command, and sends its output along. Arguments (the path is not used): time limit, folder (empty: as it is), command as
# encoded words, bytes kept of each stream. Stdin: the environment, ended by a line `.`, then what the command reads.
limit=$1 folder=$2 words=$3 most=$4
need timeout coreutils
work=$(mktemp -d)
drop=$work
settings=
while IFS= read -r line; do
    if [ "$line" = . ]; then break; fi
    settings="$settings$line
"
done
[ -z "$folder" ] || [ -x "$folder/." ] || fail refused "no folder $folder"
keep() {
    head -c "$most" >"$1"
    cat >/dev/null
}
command_line() {
    trap - PIPE TERM HUP INT EXIT
    if [ -n "$had_lc" ]; then LC_ALL=$had_lc; else unset LC_ALL; fi
    [ -z "$folder" ] || cd "$folder"
    while read -r name word; do
        [ -n "$name" ] || continue
        decode "$word"
        export "$name=$decoded"
    done <<SETTINGS
$settings
SETTINGS
    set -f
    set --
    for word in $words; do
        decode "$word"
        set -- "$@" "$decoded"
    done
    exec sh -c 'echo $$ >"$1"; shift; exec "$@"' sh "$work/group" timeout -k 1 "$limit" "$@"
}
{
    {
        status=0
        ( command_line ) 2>&3 3>&- || status=$?
        # What it left behind would hold the pipes open.
        kill -KILL "-$(cat "$work/group")" 2>/dev/null || :
        echo "$status" >"$work/status"
    } | keep "$work/out"
} 3>&1 | keep "$work/err"
read -r status <"$work/status"
emit status "$status"
raw out "$work/out"
raw err "$work/err"
