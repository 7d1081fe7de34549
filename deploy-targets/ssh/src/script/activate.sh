# Switches to a release. Arguments: claim (3), seconds to wait for the lock, expected fingerprint (empty: nothing), release, its
# shared folders (encoded words), seconds until it goes back by itself (empty: never), then the checkpoint's reference and digest and
# the digest of the script that reverts; restart's limit and command (empty: none), number of hooks before, then limit and command
# of each, and the same for the hooks after.
store_id=$1 deployment=$2 epoch=$3 wait=$4 expect=$5 release=$6 links=$7
shift 7
span=$1 reference=$2 known=$3 guard=$4 restart_limit=$5 restart_command=$6
shift 6
fence "$store_id" "$deployment" "$epoch" "$wait"
recover
look
may_move
is_guarded
is_as_sent
hooks_before "$@"
shift $((1 + 2 * $1))
if [ "$ran" = yes ]; then
    seen=$linked
    look_at_link
    [ "$linked" = "$seen" ] || fail overtaken "${linked:-nothing}"
fi

begin_move
emit touched
move_link
in_place "$release"
if [ -n "$restart_command" ]; then
    ran=yes
    restart "$restart_limit" "$home" "$settings_file" "$restart_command"
    if [ "$status" != 0 ]; then
        stopped restart
        fail restart "$status"
    fi
fi
hooks_after "$@"
end_move
