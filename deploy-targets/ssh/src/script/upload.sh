# Receives a release aside and puts it in its folder, not yet complete: hooks are to run in it, and then it is sealed. Arguments: claim
# (3), seconds to wait for the lock, release, release to copy unchanged files from (or empty), digest of the listing, its shared folders
# (encoded words), KiB and files that come.
store_id=$1 deployment=$2 epoch=$3 wait=$4 release=$5 base=$6 digest=$7 links=$8 room=$9
still_held "$store_id" "$deployment" "$epoch"
unpack
fence "$store_id" "$deployment" "$epoch" "$wait"
# What a hook writes into must be no other release's.
take_over "$base" copy
prove
rm -f "$aside/.deploy/end" "$aside/.deploy/copy" "$aside/.deploy/half" "$aside/.deploy/sealed" "$aside/.deploy/targets" "$aside/.deploy/run-env"
link_shared
flush_tree "$aside"
rm -rf "${releases:?}/$release"
mv -T "$aside" "$releases/$release"
flush "$releases"
