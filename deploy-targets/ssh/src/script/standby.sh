# Makes the units that go back without a confirmation, before there is a deployment: the first one needs nothing more of the service
# manager. While nothing is armed they do nothing. Comes after the folders of the service. Arguments, beside theirs: digest of the
# script that the units run, what they are called. Stdin: the script.
[ -z "$barred" ] || exit 0
outlasts_start || exit 0
makes="makes the unit $unit, which puts back what is not confirmed in $shown, also when the host starts anew"
if ! unit_home; then
    # A manager that is about to be there without a login: that was said before this.
    [ "$mode" = look ] && [ "$(id -u)" != 0 ] && [ -d /run/systemd/system ] && may_root loginctl enable-linger "$me" || exit 0
    said would "$makes"
    exit 0
fi
is_made() {
    [ "$(cat "$units/$unit.path" 2>/dev/null)" = "$(waiting_unit)" ] &&
        [ "$(cat "$units/$unit.service" 2>/dev/null)" = "$(acting_unit)" ] &&
        [ "$(cat "$store/unit" 2>/dev/null)" = "$unit" ] && [ -e "$store/revert" ] &&
        manage is-enabled -q "$unit.path" && manage is-active -q "$unit.path"
}
if [ "$scope" = user ]; then
    # One that lingers from now on takes a moment.
    tries=100
    until [ -S "$XDG_RUNTIME_DIR/systemd/private" ] || [ "$tries" = 0 ] || [ "$mode" = look ]; do
        sleep 0.1 2>/dev/null || sleep 1
        tries=$((tries - 1))
    done
fi
if is_made; then exit 0; fi
if [ "$mode" = look ]; then
    said would "$makes"
    exit 0
fi
[ -d "$store" ] || mkdir -p "$store"
read_revert "$digest"
# Whoever deploys meanwhile makes them as well.
lock 30
# What is there may be what an armed deployment counts on: its text is the next deployment's to change.
[ -e "$store/revert" ] || put "$store/revert" <"$aside"
if make_unit "$unit"; then
    said did "$makes"
else
    said cannot "$makes" "systemctl --$scope status, which says why it takes no unit"
fi
