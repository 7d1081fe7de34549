# Cleans up and releases the claim. Arguments: claim (3), seconds to wait for the lock, `wait`, `release`, `prune` or `remove`, releases
# kept, restart's limit and command (empty: none).
store_id=$1 deployment=$2 epoch=$3 wait=$4 mode=$5 keep=$6 restart_limit=$7 restart_command=$8
[ -d "$store" ] || fail fenced
lock "$wait"
read_claim
if [ "$held_store" = "$store_id" ] && [ "$held_by" = - ] && [ "$held_epoch" = "$epoch" ]; then exit 0; fi
still_held "$store_id" "$deployment" "$epoch"
recover
disarm_ours
relieve "$deployment"
look_at_link
# A release goes by one rename, so that no half of it can be taken for one.
discard() {
    mkdir -p "$store/tmp"
    mv -T "$1" "$store/tmp/gone.$$.${1##*/}" || emit note "could not remove $1"
}
# What somebody else made in a release may be theirs to remove; it holds nothing up.
sweep() {
    rm -rf "$store/tmp" || emit note "not all of $store/tmp is ours to remove: look whose it is, and remove it as that user"
}
in_use() {
    # Looked at once, when the first is about to go.
    [ -n "${used-}" ] || used="
$(users | while read -r _ release; do printf '%s\n' "$release"; done)
"
    case $used in *"
$1
"*) return 0 ;; esac
    return 1
}
pinned=" $at "
pin_checkpoint() {
    [ -e "$1" ] || return 0
    { read -r _ _; read -r _ text; } <"$1"
    decode "$text"
    pinned="$pinned$decoded "
}
case $mode in
    prune)
        for entry in "$ports"/*; do
            [ ! -L "$entry" ] || { entry=$(readlink "$entry"); pinned="$pinned${entry##*/} "; }
        done
        set -- "$store/turns"
        for body in "$store/checkpoints"/* "$store/environments"/* "$store/services"/*; do
            case $body in
                "$store/checkpoints/$deployment") pin_checkpoint "$body" ;;
                "$store/environments/$deployment" | "$store/services/$deployment") ;;
                *) set -- "$@" "$body" ;;
            esac
        done
        rm -rf "$@"
        kept=0
        [ -z "$at" ] || [ ! -e "$releases/$at/.deploy/failed" ] || rm -f "$releases/$at/.deploy/failed"
        for entry in "$releases"/*; do
            [ -d "$entry" ] || continue
            number=0
            # What never served, or was put back, takes no place among those kept.
            if [ -e "$entry/.deploy/complete" ] && [ -e "$entry/.deploy/refs" ] && [ -e "$entry/.deploy/restart" ] &&
                [ ! -e "$entry/.deploy/failed" ]; then
                while read -r _ ref; do
                    ref=${ref#v}
                    [ "$ref" -le "$number" ] || number=$ref
                done <"$entry/.deploy/refs"
            fi
            printf '%s %s\n' "$number" "${entry##*/}"
        done | sort -rn >"$store/tmp.order"
        going=
        while read -r number name; do
            if [ "$number" -gt 0 ] && [ "$kept" -lt "$keep" ]; then
                kept=$((kept + 1))
                continue
            fi
            case $pinned in *" $name "*) continue ;; esac
            if in_use "$name"; then
                emit note "$name is in use"
                continue
            fi
            if [ -z "$going" ]; then vouch; fi
            going=yes
            discard "$releases/$name"
        done <"$store/tmp.order"
        rm -f "$store/tmp.order"
        sweep
        if [ -n "$going" ]; then vouch_again; fi
        ;;
    remove)
        if [ -L "$link" ]; then
            emit touched
            rm -f "$link"
            flush "${link%/*}"
            rest_all
            if [ -n "$restart_command" ] && [ -z "${port-}" ]; then
                restart "$restart_limit" "$store" "" "$restart_command"
                [ "$status" = 0 ] || emit note "restart ended with $status, with nothing to start"
            fi
        elif [ -n "$linked" ]; then
            emit note "$link is not ours and was left"
        fi
        for entry in "$releases"/*; do
            [ ! -d "$entry" ] || discard "$entry"
        done
        unset_unit
        sweep
        for entry in spare checkpoints environments services moving restart.log failed.log env armed reverted revert watch.lock serves turns stop; do
            rm -rf "${store:?}/$entry"
        done
        rmdir "$releases" 2>/dev/null || :
        ;;
    release) rm -f "$store/environments/$deployment" "$store/services/$deployment" ;;
    # What it was told is on no other machine by then: it stays for when it goes on.
    wait) ;;
esac
write_claim "$store_id" - "$epoch" "$held_note"
