# Puts the script that reverts in the store, and has the service manager begin it where there is one: then it acts also when the host
# starts anew. Arguments: claim (3), seconds to wait for the lock, digest of the script, name of the units. Stdin: the script.
store_id=$1 deployment=$2 epoch=$3 wait=$4 digest=$5 unit=$6
need setsid util-linux
need sha256sum coreutils
[ -d "$store" ] || fail fenced
read_revert "$digest"
fence "$store_id" "$deployment" "$epoch" "$wait"
put "$store/revert" <"$aside"
set_unit "$unit"
