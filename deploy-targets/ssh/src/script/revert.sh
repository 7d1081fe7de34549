# What acts where a deployment is not confirmed in time; `<store>/revert` on a host, begun by a unit or by `activate`. Waits while
# something is armed, puts back what its checkpoint says when it is due, and ends when nothing is armed any more. It runs nothing that
# the new release brought: no hooks, and of commands only the restart.

# A start that fails at once (a damaged claim) is made again by a unit: not all the time.
ended() {
    code=$?
    trap - EXIT
    [ ! -e "$store/armed" ] || sleep 10 7>&- 9>&-
    exit "$code"
}
trap ended EXIT
trap 'trap - EXIT; leave' TERM HUP INT

readonly TRIES=6

# Says what became of it to whoever looks next, and is done.
tell_end() {
    printf '%s %s %s\n' "$armed_by" "$why" "$1" | put "$store/reverted"
    disarm
}
# Under the lock, and so after or before whatever a deployer does.
fire() {
    read_claim
    if [ -n "$raised" ] && [ "$held_epoch" != "$raised" ]; then
        # Somebody has claimed it since the last try: they put it back, or are gone before the next.
        raised= rests_until=$((uptime + 60))
        return 0
    fi
    why=deadline
    [ "$armed_boot" = "$boot" ] || why=boot
    spend_spare back
    # First, so that nothing is written any more under the claim it was armed under.
    raised=$((held_epoch + 1))
    set -- $held_note = =
    write_claim "$held_store" "$held_by" "$raised" "$1 $2 $(encode 'went back by itself')"
    recover
    set +e
    told=$(
        set -e
        deployment=$armed_by reference=$armed_back known=$armed_digest ours=$armed_release
        restart_limit=$armed_limit restart_command=$armed_command
        put_back
        put_back_ends
        emit went "$went"
    )
    failed=$?
    set -e
    tries=$((tries + 1))
    case $failed:$told in
        0:*"went yes") tell_end back ;;
        0:*) tell_end stayed ;;
        *" fail overtaken"*) tell_end overtaken ;;
        *" fail lost"*) tell_end lost ;;
        *)
            # What it left (`moving`) says so to whoever looks.
            if [ "$tries" -ge "$TRIES" ]; then tell_end failed; else rests_until=$((uptime + tries * tries)); fi
            ;;
    esac
}
while :; do
    exec 7>>"$store/watch.lock"
    held=yes
    flock -n 7 || held=
    # Who began us waits for this, and for no other one's end.
    [ -z "${STARTED-}" ] || exec >/dev/null
    unset STARTED
    [ -n "$held" ] || flock 7
    tries=0 raised= rests_until=0
    while read_armed; do
        this_boot
        if due && [ "$uptime" -ge "$rests_until" ]; then
            exec 9>>"$store/lock"
            flock 9
            this_boot
            if read_armed && due; then fire; fi
            exec 9>&-
        else
            sleep 1 7>&-
        fi
    done
    exec 7>&-
    # What was armed meanwhile counts on us: its deployer found us still here.
    [ -e "$store/armed" ] || exit 0
done
