# Ends `prepare`: the release is complete, its environment is kept for later steps, the checkpoint is taken or proven readable.
# Arguments: claim (3), seconds to wait for the lock, expected fingerprint (empty: nothing), release (empty: none), reference line
# `DIGEST NUMBER`, digest of the journal's checkpoint (empty: none). Stdin: the environment, ended by a line `.`.
store_id=$1 deployment=$2 epoch=$3 wait=$4 expect=$5 release=$6 ref=$7 known=$8
read_claim
if [ "$held_store" != "$store_id" ] || [ "$held_by" != "$deployment" ] || [ "$held_epoch" != "$epoch" ]; then
    emit_claim
    fail fenced
fi
aside=$store/tmp/env.$$.$nonce
drop=$aside
receive "$aside"
fence "$store_id" "$deployment" "$epoch" "$wait"
look
if [ "$fingerprint" != "$expect" ]; then
    fail overtaken "${fingerprint:-nothing}"
fi
mkdir -p "$store/environments" "$store/checkpoints"
if [ -n "$release" ]; then
    home=$releases/$release
    [ -e "$home/.deploy/sums" ] || fail missing "$release"
    if [ "$linked" = "$release" ]; then
        # It serves: nobody overwrites it, and nobody calls it the release.
        bad=$(cd "$home" && differs all) || :
        if [ -n "$bad" ]; then
            tell edited "$bad"
            fail edited
        fi
    else
        bad=$(cd "$home" && { if [ -e .deploy/complete ] && [ -s .deploy/sealed ]; then differs all; else check_sums; fi; } | sed -n '1p') || :
        if [ -n "$bad" ]; then
            # It is sent again at the next try.
            rm -f "$home/.deploy/complete"
            fail mismatch "$bad"
        fi
    fi
    rm -f "$home/.deploy/hooking"
    touch "$home/.deploy/refs"
    if ! grep -q -x -F -e "$ref" "$home/.deploy/refs"; then
        { cat "$home/.deploy/refs"; printf '%s\n' "$ref"; } | put "$home/.deploy/refs"
    fi
    if [ ! -e "$home/.deploy/complete" ]; then
        ( umask 077; put "$home/.deploy/run-env" <"$aside" )
        (cd "$home" && facts >.deploy/sealed && targets >.deploy/targets)
        flush_tree "$home"
        printf 'complete\n' | put "$home/.deploy/complete"
    fi
    if [ "$layout" = inside ] && [ ! -L "$store/env" ]; then ln -s ../current/.deploy/env "$store/env"; fi
fi
( umask 077; put "$store/environments/$deployment" <"$aside" )

body=$store/checkpoints/$deployment
if [ -z "$known" ]; then
    if [ -z "$linked" ]; then
        kind=absent text==
    elif [ -L "$link" ] && [ -z "$at" ]; then
        kind=foreign
        text=$(encode "$(readlink "$link")")
    elif [ -n "$at" ]; then
        kind=release text==$at
    elif [ "$layout" = beside ]; then
        kind=release text==$linked
    else
        kind=unknown text==
    fi
    edited=
    if [ -n "$at" ] && [ -d "$releases/$at" ]; then edited=$(cd "$releases/$at" && differs quick) || edited=; fi
    {
        printf 'fingerprint %s\n%s %s\n' "${fingerprint:--}" "$kind" "$text"
        # As it is now is how it is put back.
        [ -z "$edited" ] || printf '%s\n' "$edited" | sed 's/^/edited /'
    } | put "$body"
    tell edited "$edited"
else
    [ -e "$body" ] || fail lost
fi
keep_spare
set -- "$(sha256sum <"$body")"
found=${1%% *}
[ -z "$known" ] || [ "$found" = "$known" ] || fail lost
{ read -r _ was; read -r kind text; } <"$body"
decode "$text"
case $kind in
    release)
        # In its folder, or the live folder that is to be moved there.
        if [ -d "$releases/$decoded" ]; then back=$releases/$decoded; else back=$path; fi
        [ -d "$back" ] && [ -r "$back" ] && [ -x "$back" ] || fail lost
        if [ -e "$back/.deploy/sums" ]; then
            gone=$(cd "$back" && gone_since "$body")
            [ -z "$gone" ] || fail lost "$gone"
        fi
        ;;
    unknown) fail not-a-link "$link" ;;
esac
emit checkpoint "checkpoints/$deployment" "$found" "$was"
if [ -n "$at" ] && [ -e "$releases/$at/.deploy/refs" ]; then
    read -r digest number <"$releases/$at/.deploy/refs" && emit was-ref "$digest" "$number"
fi
if [ -n "$release" ] && read -r digest number <"$releases/$release/.deploy/refs"; then emit will-ref "$digest" "$number"; fi
