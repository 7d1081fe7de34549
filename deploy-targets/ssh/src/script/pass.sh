# Has the proxy lead requests to a release that stands beside what serves, and makes it the current one. Arguments: as `activate`, but
# without the hooks before, which had their time.
store_id=$1 deployment=$2 epoch=$3 wait=$4 expect=$5 release=$6 links=$7
shift 7
span=$1 reference=$2 known=$3 guard=$4 restart_limit=$5 restart_command=$6
shift 6
fence "$store_id" "$deployment" "$epoch" "$wait"
recover
look
may_move
is_guarded
if ! read_turn "$deployment" || [ "$turn_release" != "$release" ] || ! listens "$turn_port"; then
    emit unstood
    exit 0
fi
# It runs already, and so do the proxy's commands in a moment.
port=$turn_port color=$turn_color edited= ran=yes
look_at_proxy
case $proxy_is in
    other) fail proxy-changed "$turn_file" ;;
    old)
        if [ -e "$turn.old" ]; then
            # What is wrong already is nobody's fault here, and would be in the way of going back as well.
            proxy "$test_limit" "$test_command"
            [ "$status" = 0 ] || fail proxy-broken "$status"
        fi
        ;;
esac

begin_move
# The proxy is the switch: what was named is on disk before it.
flush "$home/.deploy" "$store"
# Leaves all as it was; nothing was reloaded, or what was reloaded is what was there before.
stays() {
    proxy_file old
    rm -f "$store/moving"
    flush "$store"
    [ -z "$span" ] || disarm
}
proxy_file new
proxy "$test_limit" "$test_command"
if [ "$status" != 0 ]; then
    stays
    fail proxy-test "$status"
fi
emit touched
reload
if [ "$reloaded" != yes ]; then
    failed=$status what=$reloaded
    proxy_file old
    reload
    if [ "$what" = no ] || [ "$reloaded" = yes ]; then
        stays
        emit untouched
    else
        status=$failed
        stopped proxy
    fi
    fail proxy-reload "$failed"
fi
led
set -- "$(sha256sum <"$turn_file")" "$@"
put "$store/serves" "$port $color ${1%% *}"
shift
move_link
hooks_after "$@"
end_move
