# An armed revert: what it puts back, until when it waits, and that somebody waits. Its file is on disk before anything is switched.

# $uptime: seconds that the host runs, which count on while it sleeps; no clock that can be set. $boot: which of its starts this is.
# A container starts anew under the same kernel, so that its first process counts too.
this_boot() {
    read -r uptime _ </proc/uptime
    uptime=${uptime%%.*}
    read -r boot </proc/sys/kernel/random/boot_id
    read -r first 2>/dev/null </proc/1/stat || first=
    set -- ${first##*") "} - - - - - - - - - - - - - - - - - - - -
    boot=$boot-${20}
}
# What is armed: $armed_by (a deployment), $armed_boot, $armed_due (in seconds of $uptime), $armed_release, $armed_back and
# $armed_digest (the checkpoint), $armed_limit and $armed_command (the restart where the old release brings none).
read_armed() {
    armed_by=
    [ -e "$store/armed" ] || return 1
    {
        read -r _ armed_by
        read -r _ armed_boot
        read -r _ armed_due
        read -r _ armed_release
        read -r _ armed_back armed_digest
        read -r _ armed_limit armed_command
    } 2>/dev/null <"$store/armed"
}
write_armed() {
    put "$store/armed" "$(armed_text)"
}
armed_text() {
    printf 'deployment %s\nboot %s\ndue %s\nrelease %s\nback %s %s\nrestart %s %s\n' "$armed_by" "$armed_boot" "$armed_due" \
        "$armed_release" "$armed_back" "$armed_digest" "$armed_limit" "$armed_command"
}
# Due is what its time is over for, and what was armed before the host started anew: nobody watched what serves since.
due() { [ "$armed_boot" != "$boot" ] || [ "$uptime" -ge "$armed_due" ]; }
disarm() {
    rm -f "$store/armed"
    flush "$store"
}
disarm_ours() {
    if read_armed && [ "$armed_by" = "$deployment" ]; then disarm; fi
}

# Whoever waits holds this lock.
watched() { ! ( flock -s -n 7 ) 7>>"$store/watch.lock"; }
await_watch() {
    tries=$1
    until watched; do
        [ "$tries" -gt 0 ] || return 1
        sleep 0.05 2>/dev/null || sleep 1
        tries=$((tries - 1))
    done
}
# Sees to it that somebody waits. A unit of the service manager begins by itself, a moment after the file is there; where there is
# none it is a process of its own, which holds nothing of this step: no lock, and no end of the channel.
watch() {
    if [ -e "$store/unit" ] && await_watch 60; then return 0; fi
    if watched; then return 0; fi
    # It closes its output when it has the lock, or it is gone: that is what is waited for.
    began=$(
        (
            trap - PIPE TERM HUP INT EXIT
            cd /
            STARTED=here exec setsid sh "$store/revert" 7>&- 8>&- 9>&-
        ) </dev/null 2>/dev/null &
    )
    await_watch 100
}
