# What a close look finds besides, which is told and held against nobody: files that a service made for itself, and processes that
# still run from another release.

# `COUNT NAME`, of files that are newer than the release and no part of it; in its folder.
besides() {
    find . -path ./.deploy -prune -o -type f -newer .deploy/complete -print 2>/dev/null | awk '
        BEGIN { while ((getline line < ".deploy/sums") > 0) known[substr(line, 67)] = 1 }
        !($0 in known) { count++; if (count == 1) first = $0 }
        END { if (count) print count, first }'
}
# `PID RELEASE COMMAND`, for each process that we may look at whose folder or program is in a release other than $1.
left_behind() {
    real=$(cd "$releases" && pwd -P) || return 0
    # What stands beside what serves is meant to run.
    beside=$(readlink "${releases%/*}/ports"/* 2>/dev/null) || :
    ls -l /proc/[0-9]*/cwd /proc/[0-9]*/exe 2>/dev/null | REAL="$real/" AT=$1 BESIDE=$beside awk '
        BEGIN {
            lines = split(ENVIRON["BESIDE"], line, "\n")
            for (at = 1; at <= lines; at++) { sub(/.*\//, "", line[at]); stands[line[at]] = 1 }
        }
        {
            from = index($0, " -> " ENVIRON["REAL"])
            if (!from) next
            split(substr($0, from + 4 + length(ENVIRON["REAL"])), part, "/")
            sub(/ \(deleted\)$/, "", part[1])
            if (part[1] == ENVIRON["AT"] || part[1] in stands || !match($0, /\/proc\/[0-9]+/)) next
            pid = substr($0, RSTART + 6, RLENGTH - 6)
            if (!(pid in told)) { told[pid] = 1; print pid, part[1] }
        }' | while read -r pid release; do
        command=
        read -r command <"/proc/$pid/comm" || continue
        printf '%s %s %s\n' "$pid" "$release" "$command"
    done 2>/dev/null
}
