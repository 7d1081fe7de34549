# Lines from stdin up to a line `.` into a file only its owner reads. Before the lock: the link may be dead.
receive() {
    mkdir -p "$store/tmp"
    (
        umask 077
        : >"$1"
        while IFS= read -r line; do
            if [ "$line" = . ]; then exit 0; fi
            printf '%s\n' "$line" >>"$1"
        done
        exit 1
    ) || fail cut
}
