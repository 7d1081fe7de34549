# Running commands of the manifest: with a time limit, their environment from a file, in a folder, without the locks in
# their hands (a daemon would keep them), while the lock is held as long as they run.

# Exports the lines `NAME =word`, or `NAME =word plain`, of a file.
load() {
    [ -e "$1" ] || return 0
    while read -r name word _; do
        decode "$word"
        export "$name=$decoded"
    done <"$1"
}
# A user's own service manager is found by these, which a login sets and a command over ssh may not get.
own_manager() {
    own=/run/user/$(id -u)
    [ -n "${XDG_RUNTIME_DIR-}" ] || [ ! -d "$own" ] || export XDG_RUNTIME_DIR="$own"
    [ -n "${DBUS_SESSION_BUS_ADDRESS-}" ] || [ ! -S "${XDG_RUNTIME_DIR-}/bus" ] || export DBUS_SESSION_BUS_ADDRESS="unix:path=$XDG_RUNTIME_DIR/bus"
}
# run SECONDS FOLDER ENVFILE COMMAND, the last as encoded words; its output goes to fd 2. The status is in $status. $phase: what it is
# run for.
run() {
    limit=$1 folder=$2 settings=$3 words=$4
    need timeout coreutils
    (
        exec 7>&- 8>&- 9>&-
        trap - PIPE TERM HUP INT EXIT
        cd "$folder"
        if [ -n "$had_lc" ]; then LC_ALL=$had_lc; else unset LC_ALL; fi
        load "$settings"
        export DEPLOY_PATH="$path" DEPLOY_DIR="$folder"
        # Which of two ports is meant, where they take turns.
        [ -z "${port-}" ] || export DEPLOY_PORT="$port" DEPLOY_COLOR="$color"
        [ -z "${phase-}" ] || export DEPLOY_PHASE="$phase"
        own_manager
        set -f
        set --
        for word in $words; do
            decode "$word"
            set -- "$@" "$decoded"
        done
        exec timeout -k 5 "$limit" "$@"
    ) </dev/null >&2 &
    child=$!
    # Keeps the lock if this shell is killed before the command ends.
    (
        trap - TERM HUP INT EXIT
        exec >/dev/null 2>&1 </dev/null
        rest=$((limit + 10))
        while [ "$rest" -gt 0 ] && kill -0 "$child"; do
            sleep 1 7>&- 9>&- &
            wait $!
            rest=$((rest - 1))
        done
    ) &
    keeper=$!
    status=0
    wait "$child" || status=$?
    kill -KILL "$keeper" 2>/dev/null || :
    wait "$keeper" 2>/dev/null || :
}
# A hook: what it leaves behind in its process group ends with it.
hook() {
    veil "$3"
    run "$@"
    kill -TERM "-$child" 2>/dev/null || :
    child=
    unveil
}
# A hook after the switch: what it leaves behind may be the service.
late_hook() {
    veil "$3"
    run "$@"
    child=
    unveil
}
# A restart: what it leaves behind is the service. Its output goes to a file, so that a service which keeps writing to it lives on.
restart() {
    need awk mawk
    case ${phase-} in back | stop) ;; *) phase=restart ;; esac
    ( umask 077; : >"$store/restart.log" )
    exec 8>&2 2>>"$store/restart.log"
    run "$@"
    exec 2>&8 8>&-
    child=
    { secrets "$settings"; tail -n 40 "$store/restart.log"; } | scrub >&2 || :
}
# Why a switch has not ended, for whoever looks next: $status of the step $1. What a command printed stays on the host, for its owner
# alone: there may be secrets in it.
stopped() {
    { sed -n '1p' "$store/moving"; printf '%s %s\n' "$1" "$status"; } | put "$store/moving"
    if [ "$1" = restart ]; then ( umask 077; tail -c 4096 "$store/restart.log" | put "$store/failed.log" ); fi
}
