# What a close look finds besides, which is told and held against nobody: files that a service made for itself, and processes that
# still run from another release.

# `COUNT NAME`, of files that are newer than the release and no part of it; in its folder.
besides() {
    find . -path ./.deploy -prune -o -type f -newer .deploy/complete -print 2>/dev/null | awk '
        BEGIN { while ((getline line < ".deploy/sums") > 0) known[substr(line, 67)] = 1 }
        !($0 in known) { count++; if (count == 1) first = $0 }
        END { if (count) print count, first }'
}
# `PID RELEASE COMMAND`, for each process that runs from a release other than $1.
left_behind() {
    # What stands beside what serves is meant to run.
    beside=$(readlink "${releases%/*}/ports"/* 2>/dev/null) || :
    told=
    users | while read -r pid release; do
        case "$beside
" in *"/$release
"*) continue ;; esac
        [ "$release" != "$1" ] || continue
        case "$told " in *" $pid "*) continue ;; esac
        told="$told $pid"
        command=
        read -r command <"/proc/$pid/comm" || continue
        printf '%s %s %s\n' "$pid" "$release" "$command"
    done 2>/dev/null
}
