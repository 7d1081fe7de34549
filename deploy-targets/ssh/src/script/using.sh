# Which releases processes run from.

# `PID RELEASE`, for each process that we may look at whose folder, root or program is in a release, or that has a file of one open. One
# that has left its folder, as daemons do, is found by its program.
users() {
    real=$(cd "$releases" 2>/dev/null && pwd -P) || return 0
    ls -l /proc/[0-9]*/cwd /proc/[0-9]*/root /proc/[0-9]*/exe /proc/[0-9]*/fd 2>/dev/null | REAL="$real/" awk '
        /^\/proc\/[0-9]+\/fd:$/ { split($0, folder, "/"); of = folder[3]; next }
        {
            from = index($0, " -> " ENVIRON["REAL"])
            if (!from) next
            split(substr($0, from + 4 + length(ENVIRON["REAL"])), part, "/")
            sub(/ \(deleted\)$/, "", part[1])
            pid = of
            if (match(substr($0, 1, from), /\/proc\/[0-9]+\//)) pid = substr($0, RSTART + 6, RLENGTH - 7)
            if (pid != "" && !((pid, part[1]) in told)) { told[pid, part[1]] = 1; print pid, part[1] }
        }'
}
