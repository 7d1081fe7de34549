# Two ports that take turns behind a proxy (`beside.rs` tells the whole of it): which of them serves, what each was last started with, the
# proxy's file, and the turn of a deployment.

# $serves and $serves_color: the port that the proxy was last sent to, empty where it never was; $sent: the sum of what was written then.
read_serves() {
    serves= serves_color= sent=
    [ -e "$store/serves" ] || return 0
    read -r serves serves_color sent <"$store/serves" || :
}
# The folder with a symlink for each port, to the release that it was last started with.
ports=${releases%/*}/ports
# start_with PORT RELEASE: whoever starts the port now starts that.
start_with() {
    mkdir -p "$ports" "$store/tmp"
    [ "$(readlink "$ports/$1" 2>/dev/null)" != "../releases/$2" ] || return 0
    ln -s "../releases/$2" "$store/tmp/port.$$.$nonce"
    mv -f -T "$store/tmp/port.$$.$nonce" "$ports/$1"
    flush "$ports"
}
# Moves in place where the ports took turns before: what serves is what is restarted. Sets $port and $color for the command.
in_place() {
    read_serves
    [ -n "$serves" ] || return 0
    port=$serves color=$serves_color
    start_with "$port" "$1"
}
# Whether something on this machine listens at a port.
listens() {
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v port="$(printf ':%04X' "$1")" '
        $4 == "0A" && substr($2, length($2) - 4) == port { found = 1 }
        END { exit !found }'
}
# await_port PORT SECONDS: until something listens there.
await_port() {
    this_boot
    until_then=$((uptime + $2))
    until listens "$1"; do
        this_boot
        [ "$uptime" -lt "$until_then" ] || return 1
        sleep 0.1 2>/dev/null || sleep 1
    done
}

# The turn of the deployment $1: which port it starts and which one it relieves (`-`: none is known), and the proxy. It is written
# before anything is started, and all that it takes to go back is in it, or beside it: what the proxy's file was, `.old`, and is to be, `.new`.
read_turn() {
    turn=$store/turns/$1 turn_release=
    [ -e "$turn" ] || return 1
    {
        read -r _ turn_release
        read -r _ turn_port turn_color
        read -r _ turn_was turn_was_color
        read -r _ turn_kind turn_file
        read -r _ turn_served
        read -r _ turn_limit turn_drain
        read -r _ test_limit test_command
        read -r _ reload_limit reload_command
        read -r _ stop_limit stop_command
    } <"$turn"
    decode "$turn_file"
    turn_file=$decoded
}
# $proxy_is: `old` or `new`, or `other` where somebody else has changed the file.
look_at_proxy() {
    proxy_is=other
    if [ ! -e "$turn_file" ]; then
        [ -e "$turn.old" ] || proxy_is=old
    elif cmp -s "$turn_file" "$turn.new"; then
        proxy_is=new
    elif cmp -s "$turn_file" "$turn.old"; then
        proxy_is=old
    fi
}
# A command of the proxy's, which gets no variables of the service's: proxy LIMIT COMMAND. Its status is in $status.
proxy() {
    set -- "$1" "$2" "${port-}" "${folder-}"
    port=
    export DEPLOY_PROXY_FILE="$turn_file"
    run "$1" "$store" "" "$2"
    child= port=$3 folder=$4
}
# proxy_file old|new: its file is that again, whole, on disk.
proxy_file() {
    if [ -e "$turn.$1" ]; then put "$turn_file" <"$turn.$1"; else
        rm -f "$turn_file"
        flush "${turn_file%/*}"
    fi
}
# The configuration that the command in these encoded words names by `-c`, if it names one.
names_config() {
    text=
    for word in $1; do
        decode "$word"
        text="$text $decoded"
    done
    config=${text##*" -c /"}
    if [ "$config" = "$text" ]; then config=; else config=/${config%%[[:space:];\'\"]*}; fi
}
# The workers which still take connections of every nginx that can be seen, or of the one with the configuration $config: `MASTER PID`,
# a line each. One that is told to end says so.
workers() {
    grep -l -s '^nginx: worker process' /proc/[0-9]*/cmdline | xargs -r grep -L -s 'shutting down' | while read -r line; do
        awk '{ print $4, $1 }' "${line%/cmdline}/stat" 2>/dev/null || :
    done | while read -r master pid; do
        [ -z "$config" ] || grep -q -s -F -e "$config" "/proc/$master/cmdline" || continue
        printf '%s %s\n' "$master" "$pid"
    done
}
# Whether all workers of one nginx are others than those in $1. Where none were seen, nothing can be told by them.
is_new_generation() {
    [ -n "$1" ] || return 0
    workers | WAS=$1 awk '
        BEGIN {
            lines = split(ENVIRON["WAS"], line, "\n")
            for (at = 1; at <= lines; at++) { split(line[at], word, " "); master[word[1]] = 1; old[word[2]] = 1 }
        }
        $1 in master { if ($2 in old) stays[$1] = 1; else comes[$1] = 1 }
        END { for (one in comes) if (!(one in stays)) exit 0; exit 1 }'
}
# Has the proxy take up its file. $reloaded: `yes`; `no` where it provably goes on as it was; else `unknown`. $status: of the command.
reload() {
    generation=
    if [ "$turn_kind" = nginx ]; then
        set -f
        names_config "$reload_command"
        set +f
        generation=$(workers)
    fi
    proxy "$reload_limit" "$reload_command"
    reloaded=yes
    case $status in
        0) ;;
        # It was ended, and nobody knows how far it came.
        124 | 137) reloaded=unknown ;;
        # Caddy answers when it has taken up all of it, and takes up nothing where a part is wrong; nginx was not told.
        *)
            reloaded=no
            return 0
            ;;
    esac
    [ -n "$generation" ] || return 0
    this_boot
    until_then=$((uptime + 10))
    until is_new_generation "$generation"; do
        # By the time, not by the looks: one takes long where many processes run.
        this_boot
        if [ "$uptime" -ge "$until_then" ]; then
            reloaded=no
            return 0
        fi
        sleep 0.1 2>/dev/null || sleep 1
    done
    reloaded=yes
}
# When requests were last led elsewhere: who was relieved has the time from then on to end what it had begun.
led() {
    this_boot
    printf '%s %s\n' "$uptime" "$boot" | put "$turn.led"
}
# Sends the proxy back to whoever it was sent to before, who has run on all the while; where that has died, it is started again first.
# Needs $kind, $back, $folder, $settings_file and the restart command of what comes back.
lead_back() {
    if [ "$kind" = release ] && [ "$turn_was" != - ]; then
        port=$turn_was color=$turn_was_color
        if ! listens "$port" && [ -n "$restart_command" ]; then
            start_with "$port" "$back"
            restart "$restart_limit" "$folder" "$settings_file" "$restart_command"
            if [ "$status" != 0 ]; then
                stopped restart
                fail restart "$status"
            fi
            await_port "$port" "$turn_limit" || emit note "nothing listens at port $port, where $back was started again"
        fi
    fi
    proxy_file old
    reload
    if [ "$reloaded" != yes ]; then
        if [ "$kind" = absent ]; then
            # Nothing was behind it: it goes on with a port where nothing answers any more.
            emit note "the proxy did not take up $turn_file as it was: its command ended with $status"
        else
            stopped proxy
            fail proxy-reload "$status"
        fi
    fi
    led
    if [ -n "$turn_served" ]; then put "$store/serves" "$turn_served"; else rm -f "$store/serves"; fi
    if [ "$kind" = absent ]; then
        port=$turn_port color=$turn_color
        rm -f "$ports/$port"
        rest
    fi
}
# Stops what runs at $port; where the manifest has no command for that, by a restart with nothing to start.
rest() {
    if [ -n "${stop_command-}" ]; then
        restart "$stop_limit" "$store" "$settings_file" "$stop_command"
    elif [ -n "$restart_command" ] && [ ! -e "$ports/$port" ]; then
        restart "$restart_limit" "$store" "$settings_file" "$restart_command"
    else
        return 0
    fi
    [ "$status" = 0 ] || emit note "what stops port $port ended with $status"
}
# At the end of a deployment: whoever does not serve is stopped, once what it had begun has had its time.
relieve() {
    read_turn "$1" || return 0
    # What is not where it should be is for whoever comes next.
    [ ! -e "$store/moving" ] || return 0
    read_serves
    port=$turn_port color=$turn_color
    if [ "$port" = "$serves" ]; then
        port=$turn_was color=$turn_was_color
    elif [ "$mode" = release ] && [ -n "$turn_release" ]; then
        # What never came to serve takes no place among the releases that are kept.
        ( : >"$releases/$turn_release/.deploy/failed" ) 2>/dev/null || :
    fi
    if [ "$port" != - ] && [ ! -L "$ports/$port" ]; then
        ! listens "$port" || emit note "what served at port $port before was not started by a deployment, and still runs"
    elif [ "$port" != - ] && [ -n "$stop_command" ]; then
        if [ -e "$turn.led" ]; then
            read -r led led_boot <"$turn.led"
            this_boot
            while [ "$led_boot" = "$boot" ] && [ "$uptime" -lt $((led + turn_drain)) ]; do
                sleep 1
                this_boot
            done
        fi
        settings_file=$ports/$port/.deploy/run-env phase=stop
        restart "$stop_limit" "$store" "$settings_file" "$stop_command"
        [ "$status" = 0 ] || emit note "what stops port $port ended with $status"
    fi
    rm -f "$turn" "$turn".*
    port= phase=
}
# The service goes: every port is stopped, by the command that it was last given for that.
rest_all() {
    for entry in "$ports"/*; do
        [ -L "$entry" ] || continue
        port=${entry##*/} color= stop_limit= stop_command=
        [ ! -e "$store/stop" ] || read -r stop_limit stop_command <"$store/stop" || :
        rm -f "$entry"
        settings_file= phase=stop
        rest
    done
    phase=
    rmdir "$ports" 2>/dev/null || :
}
