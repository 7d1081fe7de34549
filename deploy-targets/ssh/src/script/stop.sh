# Takes the service out on this host: nothing of it serves, and nothing starts it again by itself. Arguments: claim (3), seconds to
# wait for the lock, what may run there (fingerprints, one word each, first what this deployment brought), stop's limit and command.
store_id=$1 deployment=$2 epoch=$3 wait=$4 may_run=$5 stop_limit=$6 stop_command=$7
fence "$store_id" "$deployment" "$epoch" "$wait"
recover
look_at_link
case " $may_run " in
    *" $linked "*) ;;
    *) [ -z "$linked" ] || fail overtaken "$linked" ;;
esac
if [ -d "$link" ] && [ ! -L "$link" ]; then fail not-a-link "$link"; fi
emit touched
rm -f "$link"
# No switch is under way any more: what was half moved is out.
rm -f "$store/moving"
flush "${link%/*}" "$store"
disarm_ours
# In the folder that it was started from, where that is known.
folder=$releases/${may_run%% *}
[ -d "$folder" ] && [ -n "${may_run%% *}" ] || folder=$store
end_it() {
    phase=stop
    hook "$stop_limit" "$folder" "$store/environments/$deployment" "$stop_command"
    [ "$status" = 0 ] || fail stop "$status"
}
# Where ports take turns, one may stand beside what serves: each is stopped, and its unit has nothing to start any more.
for entry in "$ports"/*; do
    [ -L "$entry" ] || continue
    port=${entry##*/} color=
    end_it
    rm -f "$entry"
done
[ -d "$ports" ] || end_it
look_at_link
[ -z "$linked" ] || fail overtaken "$linked"
