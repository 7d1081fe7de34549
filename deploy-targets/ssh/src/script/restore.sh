# Puts a slice back to its checkpoint. Arguments: claim (3), seconds to wait for the lock, the checkpoint's reference and digest,
# what this deployment may have put there (fingerprints, one word each), restart's limit and command (empty: none; a release that
# was switched to once brings its own), then limit and command of each `failed` hook.
store_id=$1 deployment=$2 epoch=$3 wait=$4 reference=$5 known=$6 ours=$7 restart_limit=$8 restart_command=$9
shift 9
fence "$store_id" "$deployment" "$epoch" "$wait"
recover
put_back
while [ $# -gt 0 ] && [ "$went" = yes ]; do
    hook "$1" "$folder" "$store/environments/$deployment" "$2"
    [ "$status" = 0 ] || emit note "a hook at failed ended with $status"
    shift 2
done
put_back_ends
disarm_ours
emit runs "$linked"
