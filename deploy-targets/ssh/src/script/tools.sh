# The programs that our steps call, each with the Debian package that has it.
tell_missing() {
    for pair in flock:util-linux setsid:util-linux sha256sum:coreutils tar:tar timeout:coreutils mv:coreutils mkfifo:coreutils sync:coreutils \
        readlink:coreutils stat:coreutils xargs:findutils awk:mawk; do
        command -v "${pair%%:*}" >/dev/null 2>&1 || emit missing "${pair%%:*}" "${pair#*:}"
    done
}
