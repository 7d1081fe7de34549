# Has the user's service manager run also where nobody is logged in: a revert that is armed acts after a start of the host only there.
# Root has the system's. Arguments: `do` or `look`.
mode=$1
[ "$(id -u)" != 0 ] || exit 0
[ -d /run/systemd/system ] && command -v loginctl >/dev/null 2>&1 || exit 0
[ ! -e "/var/lib/systemd/linger/$me" ] || exit 0
rootly "lets services of $me run without a login: else a host that starts anew before it is confirmed stays as it is until the next deployment" \
    "sudo loginctl enable-linger $(quoted "$me")" loginctl enable-linger "$me"
