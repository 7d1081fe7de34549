# The checkpoint of a deployment: what it is, whether it can be put back, and what is told of it. $body is its file.

# $body_text, and in $edited what is not as it was put there: as it is now is how it is put back.
take_checkpoint() {
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
    body_text="fingerprint ${fingerprint:--}
$kind $text"
    [ -z "$edited" ] || body_text="$body_text
$(printf '%s\n' "$edited" | sed 's/^/edited /')"
}
# Whether what the checkpoint in the file $1 names can be put back; $found is its digest, $was what ran.
prove_checkpoint() {
    set -- "$1" "$(sha256sum <"$1")"
    found=${2%% *}
    [ -z "$known" ] || [ "$found" = "$known" ] || fail lost
    { read -r _ was; read -r kind text; } <"$1"
    decode "$text"
    case $kind in
        release)
            # In its folder, or the live folder that is to be moved there.
            if [ -d "$releases/$decoded" ]; then back=$releases/$decoded; else back=$path; fi
            [ -d "$back" ] && [ -r "$back" ] && [ -x "$back" ] || fail lost
            if [ -e "$back/.deploy/sums" ]; then
                # One that was just taken names what is gone.
                gone=$(cd "$back" && { [ -z "$known" ] || names_gone; unreadable; } | unless_known "$1")
                [ -z "$gone" ] || fail lost "$gone"
            fi
            ;;
        unknown) fail not-a-link "$link" ;;
    esac
}
emit_checkpoint() {
    emit checkpoint "checkpoints/$deployment" "$found" "$was"
    if [ -n "$at" ] && [ -e "$releases/$at/.deploy/refs" ]; then
        read -r number_of number <"$releases/$at/.deploy/refs" && emit was-ref "$number_of" "$number"
    fi
    if [ -n "$release" ] && read -r number_of number <"$releases/$release/.deploy/refs"; then emit will-ref "$number_of" "$number"; fi
}
