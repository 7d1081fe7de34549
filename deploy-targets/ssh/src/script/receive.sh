# Lines from stdin up to a line `.` into a file only its owner reads. Before the lock: the link may be dead.
receive() {
    mkdir -p "$store/tmp"
    (
        umask 077
        : >"$1"
        while IFS= read -r line; do
            if [ "$line" = . ]; then exit 0; fi
            # A shell's own printf does not say why it could not.
            printf '%s\n' "$line" 2>/dev/null >>"$1" || printf '%s\n' "$line" | cat >>"$1" || exit 2
        done
        exit 1
    ) || case $? in
        1) fail cut ;;
        *) exit 1 ;;
    esac
}
