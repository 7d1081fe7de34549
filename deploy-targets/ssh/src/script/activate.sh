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
home=$releases/$release settings_file=$store/environments/$deployment
[ -e "$home/.deploy/complete" ] || fail missing "$release"
if [ "$linked" = "$release" ] && [ -z "$moving" ]; then
    emit runs "$release"
    exit 0
fi
if [ "$fingerprint" != "$expect" ] && [ "$linked" != "$release" ]; then fail overtaken "${fingerprint:-nothing}"; fi
if [ -d "$link" ] && [ ! -L "$link" ] && [ "$layout" = inside ]; then fail not-a-link "$link"; fi
if [ -n "$span" ]; then
    set -- "$(sha256sum 2>/dev/null <"$store/revert" || :)" "$@"
    if [ "${1%% *}" != "$guard" ]; then
        emit unguarded
        exit 0
    fi
    shift
    # An older deployment's: what it puts back is not what this one found.
    if read_armed && [ "$armed_by" != "$deployment" ]; then fail armed; fi
fi
edited=$(cd "$home" && differs quick)
if [ -n "$edited" ] && [ "$linked" != "$release" ] && [ ! -e "$home/.deploy/hooking" ]; then
    # It serves nobody yet: what was not sent does not begin to.
    tell edited "$edited"
    fail altered
fi
to_arm() {
    this_boot
    armed_by=$deployment armed_boot=$boot armed_due=$((uptime + span)) armed_release=$release
    armed_back=$reference armed_digest=$known armed_limit=$restart_limit armed_command=$restart_command
}
# What was edited before is no work of ours.
ours_now() { [ -n "$edited" ] || ( cd "$home" && take_as_ours ); }
before=$1
shift
# Hooks that were cut short may have changed what is there, and nobody can tell that from an edit.
[ "$before" = 0 ] || : >"$home/.deploy/hooking"
# Whether a command of the manifest ran: without one, nothing of ours took any time here or changed anything.
ran=no
while [ "$before" -gt 0 ]; do
    ran=yes
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
    ran=yes
    ours_now
    rm -f "$home/.deploy/hooking"
fi
if [ "$ran" = yes ]; then
    seen=$linked
    look_at_link
    [ "$linked" = "$seen" ] || fail overtaken "${linked:-nothing}"
fi

# Whoever goes back to this release restarts as it was restarted, with the facts that it was started with, whatever comes later. What
# is written here is on disk before it has its name, and has it on disk before the switch.
write_aside() {
    set -- "$home/.deploy/run-env.new.$$" "$home/.deploy/restart.new.$$" "$store/moving.new.$$"
    ( umask 077; cat <"$settings_file" >"$1" ) || return 1
    set_aside "$home/.deploy/restart" "$restart_limit
$restart_command" && set_aside "$store/moving" "$deployment $release" || return 1
    if [ -n "$span" ]; then
        to_arm
        set_aside "$store/armed" "$(armed_text)" || return 1
        set -- "$@" "$store/armed.new.$$"
    fi
    flush "$@"
}
if ! write_aside || ! name_it "$home/.deploy/run-env" || ! name_it "$home/.deploy/restart"; then
    rm -f "$home/.deploy/run-env.new.$$" "$home/.deploy/restart.new.$$" "$store/moving.new.$$" "$store/armed.new.$$"
    exit 1
fi
[ ! -e "$store/reverted" ] || rm -f "$store/reverted"
if [ -n "$span" ]; then
    name_it "$store/armed"
    if ! watch; then
        disarm
        fail unwatched
    fi
elif [ -e "$store/armed" ]; then
    # By a deployment that has ended: what it feared for is over with this move.
    disarm
fi
if ! name_it "$store/moving"; then
    [ -z "$span" ] || disarm
    exit 1
fi
emit touched
if [ "$layout" = beside ] && [ -d "$link" ] && [ ! -L "$link" ]; then
    adopted=$linked
    flush "$home/.deploy"
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
    [ "$linked" = "$release" ] || switch "$prefix$release" "$home/.deploy" "$store"
fi
if [ -n "$restart_command" ]; then
    ran=yes
    restart "$restart_limit" "$home" "$settings_file" "$restart_command"
    if [ "$status" != 0 ]; then
        stopped restart
        fail restart "$status"
    fi
fi
after=$1
shift
while [ "$after" -gt 0 ]; do
    ran=yes
    late_hook "$1" "$home" "$settings_file" "$2"
    if [ "$status" != 0 ]; then
        stopped hook
        fail hook "$status"
    fi
    shift 2
    after=$((after - 1))
done
[ "$ran" = no ] || ours_now
rm -f "$store/moving"
flush "$store"
if [ "$ran" = yes ]; then
    look_at_link
    [ "$linked" = "$release" ] || fail overtaken "${linked:-nothing}"
    # What ran until now had the lock, and is not held against whoever is to confirm.
    if [ -n "$span" ]; then
        to_arm
        write_armed
    fi
fi
emit runs "$release"
