# What the service at the path writes. Arguments: seconds, paths of all services there (encoded words), how many lines (empty: all),
# since how many seconds (empty: always), `follow` or nothing, `journal`, `user-journal` or `files`, and the units (encoded words)
# or the glob, which is relative to the path.
seconds=$1 lines=$3 since=$4 follow=$5 kind=$6 words=$7 folder= settings=
hidden=$(known "$2")
case $kind in
    files)
        [ -d "$path" ] && cd "$path" || fail no-logs "$words"
        IFS=
        set -- $words
        unset IFS
        [ -e "$1" ] || fail no-logs "$words"
        set -- ${follow:+-F} -- "$@"
        set -- tail -n "${lines:-+1}" "$@"
        ;;
    *)
        need journalctl systemd
        set -f
        set --
        for word in $words; do
            decode "$word"
            set -- "$@" -u "$decoded"
        done
        set +f
        [ "$kind" = journal ] || set -- --user "$@"
        [ -z "$since" ] || set -- --since "@$(($(date +%s) - since))" "$@"
        set -- journalctl --no-pager -o short-iso -n "${lines:-all}" ${follow:+-f} "$@"
        ;;
esac
attend "$seconds" "$@"
[ -z "$gone" ] || emit gone
emit status "$status"
