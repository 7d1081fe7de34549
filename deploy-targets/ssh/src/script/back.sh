# Putting back what a checkpoint says, under the lock, from what is on the host alone. Of $deployment: $reference and $known, the
# checkpoint's name and digest; $ours, what the deployment may have put there; $restart_limit and $restart_command, where what
# comes back brings none.

# Switches and restarts. $went: `no` where nothing was to be done.
put_back() {
    phase=back
    body=$store/$reference
    [ -e "$body" ] || fail lost
    set_found=$(sha256sum <"$body")
    [ "${set_found%% *}" = "$known" ] || fail lost
    { read -r _ was; read -r kind text; } <"$body"
    decode "$text"
    target=$decoded
    edited= went=no
    look
    case $kind in
        absent) back= ;;
        release)
            back=$target
            if [ "$linked" != "$back" ]; then
                [ -d "$releases/$back" ] || fail lost
                [ "$back" != "${back#adopted-}" ] || [ -e "$releases/$back/.deploy/complete" ] || fail lost
                if [ -e "$releases/$back/.deploy/sums" ]; then
                    gone=$(cd "$releases/$back" && gone_since "$body")
                    [ -z "$gone" ] || fail lost "$gone"
                    # What somebody wrote there since is put back too: it is told, and no reason to leave what failed.
                    edited=$(cd "$releases/$back" && differs quick)
                    tell edited "$edited"
                fi
            fi
            ;;
        foreign) back=${was%+interrupted} ;;
        *) fail lost ;;
    esac
    if [ "$linked" = "$back" ] && [ -z "$moving" ]; then return 0; fi
    case " $ours $back " in
        *" $linked "*) ;;
        *) [ -z "$linked" ] && [ -z "$back" ] || fail overtaken "${linked:-nothing}" ;;
    esac
    if read_turn "$deployment"; then
        look_at_proxy
        [ "$proxy_is" != other ] || fail proxy-changed "$turn_file"
    fi
    spend_spare back
    emit touched
    went=yes
    # It takes no place among the releases that are kept.
    brought=${moving:-$at}
    if [ -n "$brought" ] && [ "$brought" != "$back" ]; then ( : >"$releases/$brought/.deploy/failed" ) 2>/dev/null || :; fi
    # Until the restart has ended, what was brought counts as running, so that a repeated step does it again.
    printf '%s %s\n' "$deployment" "${moving:-$linked}" | put "$store/moving"
    case $kind in
        absent)
            if [ -L "$link" ]; then rm -f "$link"; fi
            flush "${link%/*}"
            # The command that stops it needs the variables it was started with.
            folder=$store settings_file=$store/environments/$deployment
            ;;
        release)
            [ "$linked" = "$back" ] || switch "$prefix$back"
            folder=$releases/$back
            # A live folder whose adoption was cut short before it had moved is still where it was.
            [ -d "$folder" ] || folder=$link
            settings_file=$folder/.deploy/run-env
            if [ -f "$folder/.deploy/restart" ]; then
                { read -r restart_limit; read -r restart_command; } <"$folder/.deploy/restart" || :
            fi
            # An adopted folder brought no variables of its own, and no restart command.
            [ -f "$settings_file" ] || settings_file=$store/environments/$deployment
            ;;
        foreign)
            switch "$target"
            folder=$link settings_file=$store/environments/$deployment
            [ -d "$folder" ] || folder=$store
            ;;
    esac
    if read_turn "$deployment"; then
        lead_back
        return 0
    fi
    [ "$kind" != release ] || in_place "$back"
    [ -n "$restart_command" ] || return 0
    restart "$restart_limit" "$folder" "$settings_file" "$restart_command"
    if [ "$status" != 0 ]; then
        # Nothing is there to be started: that it does not start is what is wanted.
        if [ "$kind" = absent ]; then
            emit note "restart ended with $status, with nothing to start"
        else
            stopped restart
            fail restart "$status"
        fi
    fi
}
# Says that it has ended.
put_back_ends() {
    [ "$went" = yes ] || return 0
    if [ "$kind" = release ] && [ -z "$edited" ]; then ( cd "$folder" && take_as_ours ); fi
    rm -f "$store/moving"
    flush "$store"
    look_at_link
    [ "$linked" = "$back" ] || fail overtaken "${linked:-nothing}"
}
