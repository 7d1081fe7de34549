# Checks the files of a release against its sums; in the release's folder. Prints what differs, a few of them.
check_sums() {
    if [ -s .deploy/sums ]; then sha256sum -c .deploy/sums 2>/dev/null | grep -v ': OK$' | head -n 3 || :; fi
    check_odd
}
# The files whose names do not fit on a line, as words.
check_odd() {
    while read -r sum word; do
        decode "$word"
        found=$(sha256sum <"./$decoded") || found=
        [ "${found%% *}" = "$sum" ] || printf '%s\n' "$word"
    done <.deploy/odd
}
