# What all moves to a release have in common: whether it may be moved, the hooks, the revert, the symlink.

# Whether this release may be moved to; ends the step where it is there already. $home: its folder. $edited: what was changed in it.
may_move() {
    home=$releases/$release settings_file=$store/environments/$deployment service_file=$store/services/$deployment
    [ -e "$home/.deploy/complete" ] && [ -e "$settings_file" ] && [ -e "$service_file" ] || fail missing "$release"
    if [ "$linked" = "$release" ] && [ -z "$moving" ]; then
        emit runs "$release"
        exit 0
    fi
    if [ "$fingerprint" != "$expect" ] && [ "$linked" != "$release" ]; then fail overtaken "${fingerprint:-nothing}"; fi
    if [ -d "$link" ] && [ ! -L "$link" ] && [ "$layout" = inside ]; then fail not-a-link "$link"; fi
}
# It serves nobody yet: what was not sent does not begin to.
is_as_sent() {
    edited=$(cd "$home" && differs quick)
    if [ -n "$edited" ] && [ "$linked" != "$release" ] && [ ! -e "$home/.deploy/hooking" ]; then
        tell edited "$edited"
        fail altered
    fi
}
# Whether what reverts is there as $guard says, and nobody else's is armed; ends the step where it is not there.
is_guarded() {
    [ -n "$span" ] || return 0
    set -- "$(sha256sum 2>/dev/null <"$store/revert" || :)"
    if [ "${1%% *}" != "$guard" ]; then
        emit unguarded
        exit 0
    fi
    # An older deployment's: what it puts back is not what this one found.
    if read_armed && [ "$armed_by" != "$deployment" ]; then fail armed; fi
}
to_arm() {
    this_boot
    armed_by=$deployment armed_boot=$boot armed_due=$((uptime + span)) armed_release=$release
    armed_back=$reference armed_digest=$known armed_limit=$restart_limit armed_command=$restart_command
}
# What was edited before is no work of ours.
ours_now() { [ -n "$edited" ] || ( cd "$home" && take_as_ours ); }
# Whether a command of the manifest ran: without one, nothing of ours took any time here or changed anything.
ran=no
# The hooks before it serves: how many, then limit and command of each.
hooks_before() {
    before=$1
    shift
    # Hooks that were cut short may have changed what is there, and nobody can tell that from an edit.
    [ "$before" = 0 ] || : >"$home/.deploy/hooking"
    while [ "$before" -gt 0 ]; do
        ran=yes phase=before
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
}
# The hooks after it serves, told in the same way.
hooks_after() {
    shift
    while [ $# -gt 0 ]; do
        ran=yes phase=after
        late_hook "$1" "$home" "$settings_file" "$2"
        if [ "$status" != 0 ]; then
            stopped hook
            fail hook "$status"
        fi
        shift 2
    done
}
# Whoever goes back to this release restarts as it was restarted, with the facts that it was started with, whatever comes later; and the
# service reads what it was told for this deployment, also where the release came with an earlier one. What
# is written here is on disk before it has its name, and has it on disk before anything is started with it, or switched.
start_aside() {
    ( umask 077; cat <"$settings_file" >"$home/.deploy/run-env.new.$$" && cat <"$service_file" >"$home/.deploy/env.new.$$" ) || return 1
    set_aside "$home/.deploy/restart" "$restart_limit
$restart_command"
}
name_start() { name_it "$home/.deploy/run-env" && name_it "$home/.deploy/env" && name_it "$home/.deploy/restart"; }
not_begun() {
    rm -f "$home/.deploy/run-env.new.$$" "$home/.deploy/env.new.$$" "$home/.deploy/restart.new.$$" "$store/moving.new.$$" "$store/armed.new.$$"
    exit 1
}
# What it is started with, where nothing moves yet.
begin_start() {
    if ! start_aside || ! flush "$home/.deploy/run-env.new.$$" "$home/.deploy/env.new.$$" "$home/.deploy/restart.new.$$" || ! name_start; then
        not_begun
    fi
    flush "$home/.deploy"
}
move_aside() {
    start_aside && set_aside "$store/moving" "$deployment $release" || return 1
    set -- "$home/.deploy/run-env.new.$$" "$home/.deploy/env.new.$$" "$home/.deploy/restart.new.$$" "$store/moving.new.$$"
    if [ -n "$span" ]; then
        to_arm
        set_aside "$store/armed" "$(armed_text)" || return 1
        set -- "$@" "$store/armed.new.$$"
    fi
    flush "$@"
}
# From here on it is moving: armed, watched, and said so on disk once the names in $home/.deploy and $store are flushed.
begin_move() {
    if ! move_aside || ! name_start; then not_begun; fi
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
}
# The symlink says the release; a live folder that is there instead becomes a release of its own.
move_link() {
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
}
end_move() {
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
}
