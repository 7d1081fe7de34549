# What is there; changes nothing. Arguments: the release whose listing is wanted (`current` for the one that runs, or empty).
need sha256sum coreutils
emit layout "$layout"
if [ -d "$path" ] && { [ ! -r "$path" ] || [ ! -x "$path" ]; }; then fail denied "$path"; fi
read_claim
emit_claim
look
[ -z "$fingerprint" ] || emit runs "$fingerprint"
[ -z "$moving" ] || emit moving "$mover" "$moving"
[ -z "$at" ] || emit at "$at"
for entry in "$releases"/*; do
    [ -e "$entry/.deploy/complete" ] || continue
    emit release "${entry##*/}"
    [ -e "$entry/.deploy/refs" ] || continue
    while read -r digest number; do emit ref "$digest" "$number"; done <"$entry/.deploy/refs"
done
wanted=$1
[ "$wanted" != current ] || wanted=$at
if [ -n "$wanted" ] && [ -e "$releases/$wanted/.deploy/complete" ]; then
    emit base "$wanted"
    raw listing "$releases/$wanted/.deploy/listing"
    if [ -e "$releases/$wanted/.deploy/hooks" ]; then raw hooks "$releases/$wanted/.deploy/hooks"; fi
fi
