# A command that somebody looks on at: what it prints goes to fd 2 line by line, marked with its stream (1 or 2) and without the
# secrets, and it ends when nobody looks on any more, because stdin ends with whoever asked.

# One stream's way to fd 2: show STREAM PIPE.
show() {
    (
        # It ends with what it reads.
        trap '' TERM HUP INT
        trap - EXIT
        TAG="@$nonce $1 "
        export TAG
        { printf '%s\n' "$hidden"; printf '@%s scrub\n' "$nonce"; } | scrub - "$2"
    ) </dev/null >&2 5<&- &
}
# attend SECONDS COMMAND…, in $folder and with the environment of the file $settings (empty: as it is). $hidden: the secrets, as
# lines. Sets $status, and $gone where it was ended because nobody looked on.
attend() {
    need timeout coreutils
    need awk mawk
    need mkfifo coreutils
    seconds=$1
    shift
    work=$(mktemp -d)
    drop=$work
    mkfifo -m 600 "$work/out" "$work/err"
    exec 5<&0 </dev/null
    show 1 "$work/out"
    one=$!
    show 2 "$work/err"
    two=$!
    exec 6>"$work/out" 7>"$work/err"
    rm -f "$work/out" "$work/err"
    # A process group of its own, so that all of it can be ended: `timeout` makes one, but busybox's does not.
    apart=
    timeout --version >/dev/null 2>&1 || apart=setsid
    (
        exec 5<&- 6>&- 7>&-
        trap - PIPE TERM HUP INT EXIT
        [ -z "$folder" ] || cd "$folder"
        if [ -n "$had_lc" ]; then LC_ALL=$had_lc; else unset LC_ALL; fi
        [ -z "$settings" ] || load "$settings"
        exec $apart timeout -k 5 "$seconds" "$@"
    ) </dev/null >&6 2>&7 &
    child=$!
    (
        exec >/dev/null 2>&1 6>&- 7>&-
        trap - TERM HUP INT EXIT
        while read -r _; do :; done
        echo gone >"$work/gone" || :
        kill -TERM "$child" || :
        kill -TERM "-$child" || :
        rest=5
        while [ "$rest" -gt 0 ] && kill -0 "$child"; do
            sleep 1
            rest=$((rest - 1))
        done
        kill -KILL "-$child" || :
        kill -KILL "$child" || :
    ) <&5 &
    listener=$!
    exec 5<&-
    status=0
    wait "$child" || status=$?
    # What it left behind in its group ends with it.
    kill -KILL "-$child" 2>/dev/null || :
    child=
    gone=
    [ ! -e "$work/gone" ] || gone=yes
    printf '\n@%s over\n' "$nonce" >&6
    printf '\n@%s over\n' "$nonce" >&7
    exec 6>&- 7>&-
    wait "$one" 2>/dev/null || :
    wait "$two" 2>/dev/null || :
    kill -KILL "$listener" 2>/dev/null || :
}
