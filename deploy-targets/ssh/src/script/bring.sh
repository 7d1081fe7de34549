# The whole of `prepare` for a release that is not here and that no hook has a part in: receives it, proves it, takes or proves the
# checkpoint, and only then puts it in its place, complete. Arguments: claim (3), seconds to wait for the lock, expected fingerprint
# (empty: nothing), release, release to take unchanged files from (or empty), `link` or `copy`: how, digest of the listing, its shared
# folders (encoded words), reference line `DIGEST NUMBER`, digest of the journal's checkpoint (empty: none), KiB and files that come. Stdin: the release, with
# the environment for later steps in it.
store_id=$1 deployment=$2 epoch=$3 wait=$4 expect=$5 release=$6 base=$7 how=$8 digest=$9
shift 9
links=$1 ref=$2 known=$3 room=$4
still_held "$store_id" "$deployment" "$epoch"
unpack
fence "$store_id" "$deployment" "$epoch" "$wait"
look
if [ "$fingerprint" != "$expect" ]; then
    fail overtaken "${fingerprint:-nothing}"
fi
take_over "$base" "$how"
prove
reseal "$base"
link_shared
text "$aside/.deploy/refs" "$ref"
if [ ! -d "$store/environments" ] || [ ! -d "$store/services" ] || [ ! -d "$store/checkpoints" ]; then
    mkdir -p "$store/environments" "$store/services" "$store/checkpoints"
fi
body=$store/checkpoints/$deployment
environment=$store/environments/$deployment service=$store/services/$deployment
ln "$aside/.deploy/run-env" "$environment.new.$$" 2>/dev/null || cp -p "$aside/.deploy/run-env" "$environment.new.$$"
ln "$aside/.deploy/env" "$service.new.$$" 2>/dev/null || cp -p "$aside/.deploy/env" "$service.new.$$"
names=
if [ "$at" = "$base" ] && [ -n "$resealed" ]; then
    # A checkpoint that was taken before may name another release.
    if [ -z "$known" ]; then sealed=$unseen names=$unseen.names; else sealed=$resealed; fi
fi
if [ -z "$known" ]; then
    take_checkpoint
    text "$body.new.$$" "$body_text"
    prove_checkpoint "$body.new.$$"
else
    [ -e "$body" ] || fail lost
    prove_checkpoint "$body"
fi
sealed= names=
rm -f "$aside/.deploy/end" "$aside/.deploy/copy" "$aside/.deploy/half" "$aside/.deploy/rest" "$aside/.deploy/rest.lines" \
    "$aside/.deploy/rest.names"
keep_spare
# All of it is on the disk before anything of it has its name; the release comes to its name complete.
text "$aside/.deploy/complete" complete
flush_tree "$aside"
[ ! -e "$releases/$release" ] || rm -rf "${releases:?}/$release"
[ -n "$known" ] || mv -f -T "$body.new.$$" "$body"
mv -f -T "$environment.new.$$" "$environment"
mv -f -T "$service.new.$$" "$service"
[ -z "$resealed" ] || mv -f -T "$resealed" "$releases/$base/.deploy/sealed"
mv -T "$aside" "$releases/$release"
drop=
flush "$store/checkpoints" "$store/environments" "$store/services" "$releases"
if [ "$layout" = inside ] && [ ! -L "$store/env" ]; then ln -s ../current/.deploy/env "$store/env"; fi
tell edited "${edited-}"
emit_checkpoint
