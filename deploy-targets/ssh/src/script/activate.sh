# Switches to a release. Arguments: claim (3), seconds to wait for the lock, expected fingerprint (empty: nothing), release, its
# shared folders (encoded words), restart's limit and command (empty: none), number of hooks before, then limit and command
# of each, and the same for the hooks after.
store_id=$1 deployment=$2 epoch=$3 wait=$4 expect=$5 release=$6 links=$7 restart_limit=$8 restart_command=$9
shift 9
fence "$store_id" "$deployment" "$epoch" "$wait"
recover
look
home=$releases/$release settings_file=$store/environments/$deployment
[ -e "$home/.deploy/complete" ] || fail missing "$release"
if [ "$linked" = "$release" ] && [ -z "$moving" ]; then
    emit runs "$release"
    exit 0
fi
if [ "$fingerprint" != "$expect" ] && [ "$linked" != "$release" ]; then fail overtaken "${fingerprint:-nothing}"; fi
if [ -d "$link" ] && [ ! -L "$link" ] && [ "$layout" = inside ]; then fail not-a-link "$link"; fi
edited=$(cd "$home" && differs quick)
if [ -n "$edited" ] && [ "$linked" != "$release" ] && [ ! -e "$home/.deploy/hooking" ]; then
    # It serves nobody yet: what was not sent does not begin to.
    tell edited "$edited"
    fail altered
fi
# What was edited before is no work of ours.
ours_now() { [ -n "$edited" ] || ( cd "$home" && take_as_ours ); }
before=$1
shift
# Hooks that were cut short may have changed what is there, and nobody can tell that from an edit.
[ "$before" = 0 ] || : >"$home/.deploy/hooking"
while [ "$before" -gt 0 ]; do
    hook "$1" "$home" "$settings_file" "$2"
    if [ "$status" != 0 ]; then
        ours_now
        rm -f "$home/.deploy/hooking"
        fail hook "$status"
    fi
    shift 2
    before=$((before - 1))
done
if [ -e "$home/.deploy/hooking" ]; then
    ours_now
    rm -f "$home/.deploy/hooking"
fi
seen=$linked
look_at_link
[ "$linked" = "$seen" ] || fail overtaken "${linked:-nothing}"

emit touched
put "$store/moving" "$deployment $release"
if [ "$layout" = beside ] && [ -d "$link" ] && [ ! -L "$link" ]; then
    adopted=$linked
    printf '%s\n' "$adopted" | put "$store/adopting"
    mkdir -p "$shared" "$store/tmp"
    ln -s "$prefix$release" "$store/tmp/link.$$.$nonce"
    flush "$store/tmp"
    # Two renames, nothing between them; `recover` ends or undoes what is cut short here.
    mv -T "$link" "$releases/$adopted" && mv -f -T "$store/tmp/link.$$.$nonce" "$link"
    flush "${link%/*}" "$releases"
    rm -f "$store/adopting"
    adopt_shared "$releases/$adopted"
else
    [ "$linked" = "$release" ] || switch "$prefix$release"
fi
# Whoever goes back to this release restarts as it was restarted, whatever a later configuration says.
put "$home/.deploy/restart" "$restart_limit
$restart_command"
if [ -n "$restart_command" ]; then
    restart "$restart_limit" "$home" "$settings_file" "$restart_command"
    if [ "$status" != 0 ]; then
        stopped restart
        fail restart "$status"
    fi
fi
after=$1
shift
while [ "$after" -gt 0 ]; do
    late_hook "$1" "$home" "$settings_file" "$2"
    if [ "$status" != 0 ]; then
        stopped hook
        fail hook "$status"
    fi
    shift 2
    after=$((after - 1))
done
ours_now
rm -f "$store/moving"
flush "$store"
look_at_link
[ "$linked" = "$release" ] || fail overtaken "${linked:-nothing}"
emit runs "$release"
