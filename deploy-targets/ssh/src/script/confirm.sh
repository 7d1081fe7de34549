# Disarms what this deployment armed: the release stays. Whoever has the lock first, this or the revert, decides; had the revert had it,
# the epoch were another. Arguments: claim (3), seconds to wait for the lock.
store_id=$1 deployment=$2 epoch=$3 wait=$4
fence "$store_id" "$deployment" "$epoch" "$wait"
if ! read_armed || [ "$armed_by" != "$deployment" ]; then exit 0; fi
disarm
look_at_link
if [ "$linked" != "$armed_release" ]; then
    read -r _ was <"$store/$armed_back" || was=
    [ "${linked:--}" != "$was" ] || fail unswitched
    fail overtaken "${linked:-nothing}"
fi
