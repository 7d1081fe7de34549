# Sets the deadline of what is armed anew. Arguments: claim (3), seconds to wait for the lock, seconds from now.
store_id=$1 deployment=$2 epoch=$3 wait=$4 span=$5
fence "$store_id" "$deployment" "$epoch" "$wait"
this_boot
if ! read_armed || [ "$armed_by" != "$deployment" ]; then fail unarmed; fi
if due; then fail due; fi
armed_due=$((uptime + span))
write_armed
watch || fail unwatched
