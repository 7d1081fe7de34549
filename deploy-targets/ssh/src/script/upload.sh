# Receives a release aside and puts it in its folder, not yet complete. Arguments: claim (3), seconds to wait for the lock,
# release, release to copy unchanged files from (or empty), digest of the listing, its shared folders (encoded words).
store_id=$1 deployment=$2 epoch=$3 wait=$4 release=$5 base=$6 digest=$7 links=$8
need tar tar
need sha256sum coreutils
read_claim
if [ "$held_store" != "$store_id" ] || [ "$held_by" != "$deployment" ] || [ "$held_epoch" != "$epoch" ]; then
    emit_claim
    fail fenced
fi
# Reading from a link that may be dead must not hold the lock.
mkdir -p "$store/tmp" "$releases"
aside=$store/tmp/$release.$$.$nonce
mkdir "$aside"
drop=$aside
tar -x -p -o -f - -C "$aside" || fail unpack
cat >/dev/null
[ -e "$aside/.deploy/end" ] || fail cut
rm "$aside/.deploy/end"
fence "$store_id" "$deployment" "$epoch" "$wait"
if [ -n "$base" ] && [ -s "$aside/.deploy/copy" ]; then
    [ -d "$releases/$base" ] || fail base-gone
    if tar --version 2>/dev/null | grep -q GNU; then
        tar -c -f - -C "$releases/$base" -T "$aside/.deploy/copy" | tar -x -p -o -f - -C "$aside" || fail base-gone
    else
        # Other tars read no lists.
        while IFS= read -r file; do
            cp -p "$releases/$base/$file" "$aside/$file" || fail base-gone
        done <"$aside/.deploy/copy"
    fi
fi
rm -f "$aside/.deploy/copy"
set -- "$(sha256sum <"$aside/.deploy/listing")"
[ "${1%% *}" = "$digest" ] || fail mismatch .deploy/listing
bad=$(cd "$aside" && check_sums) || :
[ -z "$bad" ] || fail mismatch "$bad"
set -f
for word in $links; do
    decode "$word"
    up=../../
    rest=$decoded
    while [ "$rest" != "${rest#*/}" ]; do
        up=../$up
        rest=${rest#*/}
    done
    case $decoded in */*) mkdir -p "$aside/${decoded%/*}" ;; esac
    rm -rf "${aside:?}/$decoded"
    ln -s "${up}shared/$decoded" "$aside/$decoded"
    # What a live folder has there moves when the folder is adopted.
    if [ "$layout" = inside ] || [ -L "$path" ] || [ ! -e "$path/$decoded" ]; then mkdir -p "$shared/$decoded"; fi
done
set +f
flush_tree "$aside"
rm -rf "${releases:?}/$release"
mv -T "$aside" "$releases/$release"
flush "$releases"
