# Takes the claim by compare-and-set. Arguments: seconds to wait for the lock, store, deployment, known epoch, `take` or `refuse`
# another store's, the note (encoded words), deployments whose claims may be taken, then for the look that follows what it takes, and
# what this folder is called (encoded).
wait=$1 ours=$2 deployment=$3 known=$4 adopt=$5 note=$6 takeable=$7 wanted=$8 depth=$9 where=${10}
need flock util-linux
need sha256sum coreutils
[ -d "$store" ] || mkdir -p "$store"
# Whether it may be taken: fails where not.
accept() {
    lock "$wait"
    read_claim
    if [ -z "$held_store" ]; then
        # This deployment had it: whoever removed it may have changed what is here as well.
        [ ! -e "$store/checkpoints/$deployment" ] || fail unclaimed
        return 0
    fi
    if [ "$held_store" != "$ours" ]; then
        if [ "$adopt" != take ]; then
            emit_claim
            fail foreign
        fi
        emit adopted
    elif [ "$held_by" != - ] && [ "$held_by" != "$deployment" ]; then
        case " $takeable " in
            *" $held_by "*) ;;
            *)
                emit_claim
                fail held
                ;;
        esac
    fi
}
accept
if read_armed; then
    # Whoever waited may be gone: with a start of the host where no unit begins it, or killed.
    watch || emit note "nobody waits for what is armed in $store, and nobody could be made to"
    this_boot
    if due; then
        # It goes back first: what is claimed is what came of that.
        exec 9>&-
        tries=15 wait=10
        while [ -e "$store/armed" ] && [ "$tries" -gt 0 ]; do
            sleep 1
            tries=$((tries - 1))
        done
        accept
    fi
fi
# One folder under two names, by a mount that hosts share: two slices of one deployment would overwrite each other.
if [ "$held_by" = "$deployment" ] && [ -n "$held_place" ] && [ "$held_place" != "$where" ]; then
    emit_claim
    fail same-folder "$held_place"
fi
held_place=$where
[ -e "$store/$layout" ] || { : >"$store/$layout"; }
epoch=$known
[ -z "$held_epoch" ] || [ "$held_epoch" -le "$epoch" ] || epoch=$held_epoch
epoch=$((epoch + 1))
if ! write_claim "$ours" "$deployment" "$epoch" "$note"; then
    # Room is kept for whoever ends what is open here, not for what begins.
    case $held_by in '' | -) exit 1 ;; esac
    spend_spare claim
    write_claim "$ours" "$deployment" "$epoch" "$note"
fi
recover
# What older attempts left aside; whoever still writes there is fenced by now.
set -- "$store"/*.new.*
if [ -e "$store/tmp" ] || [ -e "$1" ]; then rm -rf "$store/tmp" "$@" || :; fi
set -- - - - - - - - "$wanted" "$depth"
emit epoch "$epoch"
