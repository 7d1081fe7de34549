# Puts a slice back to its checkpoint. Arguments: claim (3), seconds to wait for the lock, the checkpoint's reference and digest,
# what this deployment may have put there (fingerprints, one word each), restart's limit and command (empty: none; a release that
# was switched to once brings its own), then limit and command of each `failed` hook.
store_id=$1 deployment=$2 epoch=$3 wait=$4 reference=$5 known=$6 ours=$7 restart_limit=$8 restart_command=$9
shift 9
fence "$store_id" "$deployment" "$epoch" "$wait"
recover
spend_spare back
body=$store/$reference
[ -e "$body" ] || fail lost
set_found=$(sha256sum <"$body")
[ "${set_found%% *}" = "$known" ] || fail lost
{ read -r _ was; read -r kind text; } <"$body"
decode "$text"
target=$decoded
edited=
look
case $kind in
    absent) back= ;;
    release)
        back=$target
        if [ "$linked" != "$back" ]; then
            [ -d "$releases/$back" ] || fail lost
            [ "$back" != "${back#adopted-}" ] || [ -e "$releases/$back/.deploy/complete" ] || fail lost
            if [ -e "$releases/$back/.deploy/sums" ]; then
                gone=$(cd "$releases/$back" && gone_since "$body")
                [ -z "$gone" ] || fail lost "$gone"
                # What somebody wrote there since is put back too: it is told, and no reason to leave what failed.
                edited=$(cd "$releases/$back" && differs quick)
                tell edited "$edited"
            fi
        fi
        ;;
    foreign) back=${was%+interrupted} ;;
    *) fail lost ;;
esac
if [ "$linked" = "$back" ] && [ -z "$moving" ]; then
    emit runs "$linked"
    exit 0
fi
case " $ours $back " in
    *" $linked "*) ;;
    *) [ -z "$linked" ] && [ -z "$back" ] || fail overtaken "${linked:-nothing}" ;;
esac
emit touched
# Until the restart has ended, what was brought counts as running, so that a repeated step does it again.
printf '%s %s\n' "$deployment" "${moving:-$linked}" | put "$store/moving"
case $kind in
    absent)
        if [ -L "$link" ]; then rm -f "$link"; fi
        flush "${link%/*}"
        # The command that stops it needs the variables it was started with.
        folder=$store settings_file=$store/environments/$deployment
        ;;
    release)
        [ "$linked" = "$back" ] || switch "$prefix$back"
        folder=$releases/$back
        # A live folder whose adoption was cut short before it had moved is still where it was.
        [ -d "$folder" ] || folder=$link
        settings_file=$folder/.deploy/run-env
        if [ -f "$folder/.deploy/restart" ]; then
            { read -r restart_limit; read -r restart_command; } <"$folder/.deploy/restart" || :
        fi
        # An adopted folder brought no variables of its own, and no restart command.
        [ -f "$settings_file" ] || settings_file=$store/environments/$deployment
        ;;
    foreign)
        switch "$target"
        folder=$link settings_file=$store/environments/$deployment
        [ -d "$folder" ] || folder=$store
        ;;
esac
if [ -n "$restart_command" ]; then
    restart "$restart_limit" "$folder" "$settings_file" "$restart_command"
    if [ "$status" != 0 ]; then
        # Nothing is there to be started: that it does not start is what is wanted.
        if [ "$kind" = absent ]; then
            emit note "restart ended with $status, with nothing to start"
        else
            stopped restart
            fail restart "$status"
        fi
    fi
fi
while [ $# -gt 0 ]; do
    hook "$1" "$folder" "$store/environments/$deployment" "$2"
    [ "$status" = 0 ] || emit note "a hook at failed ended with $status"
    shift 2
done
if [ "$kind" = release ] && [ -z "$edited" ]; then ( cd "$folder" && take_as_ours ); fi
rm -f "$store/moving"
flush "$store"
look_at_link
[ "$linked" = "$back" ] || fail overtaken "${linked:-nothing}"
emit runs "$linked"
