# What is there; changes nothing. Arguments: the release whose listing is wanted (`current` for the one that runs, or empty), `runs`,
# `quick` or `close`: how closely to look whether what runs is as it was put there.
need sha256sum coreutils
emit layout "$layout"
if [ -d "$path" ] && { [ ! -r "$path" ] || [ ! -x "$path" ]; }; then fail denied "$path"; fi
read_claim
emit_claim
look
[ -z "$fingerprint" ] || emit runs "$fingerprint"
[ -z "$moving" ] || emit moving "$mover" "$moving"
[ -z "$stopped_with" ] || emit stopped "$stopped_at" "$stopped_with" "$store/failed.log"
[ -z "$at" ] || emit at "$at"
if [ -e "$store/serves" ]; then
    read -r serves color _ <"$store/serves" || :
    emit serves "$serves" "$color"
fi
if read_armed; then
    this_boot
    if due; then emit armed 0; else emit armed $((armed_due - uptime)); fi
fi
if [ -e "$store/reverted" ]; then
    read -r whose told <"$store/reverted" || :
    if [ "$whose" = "$held_by" ]; then emit reverted "$told"; fi
fi
for entry in "$releases"/*; do
    [ -e "$entry/.deploy/complete" ] || continue
    emit release "${entry##*/}"
    [ -e "$entry/.deploy/refs" ] || continue
    while read -r digest number; do emit ref "$digest" "$number"; done <"$entry/.deploy/refs"
done
wanted=$1 depth=$2
if [ "$depth" != runs ] && [ -n "$at" ] && [ "$linked" = "$at" ] && [ -z "$moving" ]; then
    tell edited "$(cd "$releases/$at" && differs "$depth")"
    if [ "$depth" = close ]; then
        if [ -e "$releases/$at/.deploy/complete" ]; then tell besides "$(cd "$releases/$at" && besides)"; fi
        tell left "$(left_behind "$at")"
    fi
fi
[ "$wanted" != current ] || wanted=$at
if [ -n "$wanted" ] && [ -e "$releases/$wanted/.deploy/complete" ]; then
    emit base "$wanted"
    raw listing "$releases/$wanted/.deploy/listing"
    if [ -e "$releases/$wanted/.deploy/hooks" ]; then raw hooks "$releases/$wanted/.deploy/hooks"; fi
fi
