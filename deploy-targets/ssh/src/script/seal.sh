# Ends `prepare`: the release is complete, its environment is kept for later steps, the checkpoint is taken or proven readable.
# Arguments: claim (3), seconds to wait for the lock, expected fingerprint (empty: nothing), release (empty: none), reference line
# `DIGEST NUMBER`, digest of the journal's checkpoint (empty: none). Stdin: the environment of commands, ended by a line `.`, and that of
# the service as one word, ended likewise.
store_id=$1 deployment=$2 epoch=$3 wait=$4 expect=$5 release=$6 ref=$7 known=$8
still_held "$store_id" "$deployment" "$epoch"
aside=$store/tmp/env.$$.$nonce
drop=$aside
mkdir -p "$aside"
receive "$aside/commands"
receive "$aside/word"
read -r word <"$aside/word"
decode "$word"
( umask 077; printf %s "$decoded" | cat >"$aside/service" )
fence "$store_id" "$deployment" "$epoch" "$wait"
look
if [ "$fingerprint" != "$expect" ]; then
    fail overtaken "${fingerprint:-nothing}"
fi
mkdir -p "$store/environments" "$store/services" "$store/checkpoints"
if [ -n "$release" ]; then
    home=$releases/$release
    [ -e "$home/.deploy/sums" ] || fail missing "$release"
    if [ "$linked" = "$release" ]; then
        # It serves: nobody overwrites it, and nobody calls it the release.
        bad=$(cd "$home" && differs close) || :
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
        ( umask 077; put "$home/.deploy/run-env" <"$aside/commands" )
        (cd "$home" && facts >.deploy/sealed && targets >.deploy/targets)
        flush_tree "$home"
        printf 'complete\n' | put "$home/.deploy/complete"
    fi
    if [ "$layout" = inside ] && [ ! -L "$store/env" ]; then ln -s ../current/.deploy/env "$store/env"; fi
fi
(
    umask 077
    put "$store/environments/$deployment" <"$aside/commands"
    put "$store/services/$deployment" <"$aside/service"
)

body=$store/checkpoints/$deployment
if [ -z "$known" ]; then
    take_checkpoint
    put "$body" "$body_text"
    tell edited "$edited"
else
    [ -e "$body" ] || fail lost
fi
keep_spare
prove_checkpoint "$body"
emit_checkpoint
