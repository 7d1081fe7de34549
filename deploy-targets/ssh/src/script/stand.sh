# Stands a release up beside what serves, at the port that is idle. Changes nothing that serves. Arguments: claim (3), seconds to wait
# for the lock, expected fingerprint (empty: nothing), release, restart's limit and command, the proxy's kind and file, what it calls
# the service, the two ports, seconds until something must listen, seconds that the one relieved has to end what it began, then limit
# and command of the proxy's test, of its reload, and of what stops a port; number of hooks before, then limit and command of each.
store_id=$1 deployment=$2 epoch=$3 wait=$4 expect=$5 release=$6 restart_limit=$7 restart_command=$8
shift 8
kind=$1 file=$2 name=$3 blue=$4 green=$5 limit_of_start=$6 drain=$7
shift 7
fence "$store_id" "$deployment" "$epoch" "$wait"
need awk mawk
need cmp diffutils
recover
look
may_move
is_as_sent

# The one of the two ports that the text on stdin names, if it is one.
named() {
    grep -v '^[[:space:]]*#' | grep -o -E '[:.=/[:space:]][0-9]+' | sed 's/^.//' | sort -u | while read -r number; do
        if [ "$number" = "$blue" ] || [ "$number" = "$green" ]; then echo "$number"; fi
    done
}
# Which port takes its turn: not the one that serves; where none is known to, one where nobody listens.
choose() {
    read_serves
    was=$serves
    if [ -z "$was" ] && [ -e "$file" ]; then was=$(named <"$file"); fi
    case $was in
        "$blue") port=$green && return 0 ;;
        "$green") port=$blue && return 0 ;;
    esac
    [ -n "$serves" ] || was=-
    port=$blue
    if listens "$port"; then port=$green; fi
    if listens "$port"; then fail port-taken "$port"; fi
}
# The proxy's file is not as it was last written. Whoever else changed it means something by it. Where a turn was cut short, and its
# deployment was given up, it may lead to either port by now: it leads to the one that `current` goes with again.
settle() {
    wanted=$turn
    for turn in "$store/turns"/*; do
        case ${turn##*/} in *.*) continue ;; esac
        read_turn "${turn##*/}" || continue
        look_at_proxy
        [ "$proxy_is" = new ] || continue
        proxy_file old
        reload
        [ "$reloaded" = yes ] || fail proxy-reload "$status"
        turn=$wanted
        return 0
    done
    fail proxy-changed "$file"
}
color_of() { if [ "$1" = "$blue" ]; then echo blue; elif [ "$1" = "$green" ]; then echo green; else echo -; fi; }
proxy_text() {
    printf '# Written by deploy for the service %s, at every change of what serves.\n' "$name"
    case $kind in
        nginx) printf 'upstream %s {\n    server 127.0.0.1:%s;\n}\n' "$name" "$1" ;;
        caddy) printf 'to 127.0.0.1:%s\n' "$1" ;;
    esac
}
[ ! -L "$file" ] || file=$(readlink -f "$file")
[ -d "${file%/*}" ] && [ -w "${file%/*}" ] || fail proxy-folder "${file%/*}"
[ ! -e "$file" ] || [ -r "$file" ] || fail proxy-folder "$file"
if ! read_turn "$deployment" || [ "$turn_release" != "$release" ]; then
    choose
    mkdir -p "$store/turns"
    rm -f "$turn".*
    if [ -n "$sent" ]; then
        found=$(sha256sum 2>/dev/null <"$file") || found=
        [ "${found%% *}" = "$sent" ] || settle
    fi
    proxy_text "$port" | put "$turn.new"
    [ ! -e "$file" ] || put "$turn.old" <"$file"
    served=
    [ ! -e "$store/serves" ] || read -r served <"$store/serves"
    put "$turn" "release $release
port $port $(color_of "$port")
was $was $(color_of "$was")
proxy $kind $(encode "$file")
served $served
limits $limit_of_start $drain
test $1 $2
reload $3 $4
stop $5 $6"
    put "$store/stop" "$5 $6"
    read_turn "$deployment"
fi
shift 6
look_at_proxy
[ "$proxy_is" != other ] || fail proxy-changed "$turn_file"

port=$turn_port color=$turn_color
if [ ! -e "$turn.up" ] || ! listens "$port"; then
    rm -f "$turn.up"
    if [ ! -L "$ports/$port" ] && listens "$port"; then fail port-taken "$port"; fi
    hooks_before "$@"
    begin_start
    start_with "$port" "$release"
    restart "$restart_limit" "$home" "$settings_file" "$restart_command"
    [ "$status" = 0 ] || fail restart "$status"
    await_port "$port" "$turn_limit" || fail not-listening "$port" "$turn_limit"
    : >"$turn.up"
fi
emit stood "$port"
