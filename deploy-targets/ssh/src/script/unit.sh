# The units that begin the revert: one that waits for the file to appear, and finds it there when the host starts; and what it begins.
# They run the script of the store, `revert`.

# Stdin aside, where it is the whole script: read_revert DIGEST. $aside: where.
read_revert() {
    mkdir -p "$store/tmp"
    aside=$store/tmp/revert.$$.$nonce
    drop=$aside
    cat >"$aside"
    set -- "$1" "$(sha256sum <"$aside")"
    [ "${2%% *}" = "$1" ] || fail cut
}

# Where units go and who manages them: $units (a folder) and `manage ARGUMENTS…`. Fails where no service manager would have them.
unit_home() {
    [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1 || return 1
    if [ "$(id -u)" = 0 ]; then
        scope=system units=/etc/systemd/system target=multi-user.target
        return 0
    fi
    # A user's manager runs without a login, and from the start of the host, only where it lingers.
    [ "$(loginctl show-user "$(id -u)" -p Linger 2>/dev/null)" = Linger=yes ] || return 1
    scope=user units=${XDG_CONFIG_HOME:-${HOME:?}/.config}/systemd/user target=default.target
    export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
}
manage() { timeout 30 systemctl "--$scope" "$@" </dev/null >&2 9>&-; }
# A value in a unit file, in quotes.
unit_word() { printf '"%s"' "$(printf %s "$1" | sed -e 's/[\\"]/\\&/g' -e 's/%/%%/g')"; }
# The two units. Whatever is in the path, in their descriptions it is plain text.
shown=$(printf %s "$path" | tr -c '[:alnum:]/._-' '?')
waiting_unit() {
    printf '[Unit]\nDescription=waits for a deployment to arm its revert in %s\n\n[Path]\nPathExists=%s\n\n[Install]\nWantedBy=%s\n' \
        "$shown" "$(printf %s "$store/armed" | sed 's/%/%%/g')" "$target"
}
# What the restart command leaves running is the service: it does not end with this unit.
acting_unit() {
    printf '[Unit]\nDescription=puts %s back unless its deployment is confirmed\nRequiresMountsFor=%s\nStartLimitIntervalSec=0\n\n[Service]\nExecStart=/bin/sh %s\nKillMode=process\nStandardOutput=null\n' \
        "$shown" "$(unit_word "$store")" "$(unit_word "$store/revert" | sed 's/[$]/$$/g')"
}
begin_unit() {
    mkdir -p "$units" && waiting_unit | put "$units/$1.path" && acting_unit | put "$units/$1.service" || return 1
    manage daemon-reload && manage enable "$1.path" && manage start "$1.path"
}
end_unit() {
    manage disable --now "$1.path" || :
    rm -f "$units/$1.path" "$units/$1.service"
    manage daemon-reload || :
}
# What is in a folder that does not outlive a start of the host needs none.
outlasts_start() { case $path/ in /tmp/* | /var/tmp/* | /run/* | /dev/shm/*) return 1 ;; esac }
make_unit() {
    if begin_unit "$1"; then
        printf '%s\n' "$1" | put "$store/unit"
    else
        end_unit "$1"
        return 1
    fi
}
set_unit() {
    if [ -e "$store/unit" ] || ! outlasts_start || ! unit_home; then return 0; fi
    make_unit "$1" || emit note "no unit could be made: a revert that is armed does not outlive a start of the host by itself"
}
unset_unit() {
    [ -e "$store/unit" ] || return 0
    read -r unit <"$store/unit"
    if unit_home; then end_unit "$unit"; fi
    rm -f "$store/unit"
}
