# Runs one hook at `prepare` in a release that is not complete, or carries over what it would make. Arguments: claim (3),
# seconds to wait for the lock, release, release to carry over from (empty: run), its products (encoded words), time limit, command.
# Stdin: the environment, ended by a line `.`.
store_id=$1 deployment=$2 epoch=$3 wait=$4 release=$5 from=$6 products=$7 limit=$8 command=$9
aside=$store/tmp/env.$$.$nonce
drop=$aside
receive "$aside"
fence "$store_id" "$deployment" "$epoch" "$wait"
[ -d "$releases/$release" ] || fail missing "$release"
carried=no phase=prepare
if [ -n "$from" ]; then
    carried=yes
    set -f
    for word in $products; do
        decode "$word"
        if [ ! -e "$releases/$from/$decoded" ]; then
            carried=no
            break
        fi
        case $decoded in */*) mkdir -p "$releases/$release/${decoded%/*}" ;; esac
        rm -rf "${releases:?}/$release/$decoded"
        cp -a --reflink=auto "$releases/$from/$decoded" "$releases/$release/$decoded" 2>/dev/null ||
            cp -a "$releases/$from/$decoded" "$releases/$release/$decoded"
    done
    set +f
fi
if [ "$carried" = no ]; then
    hook "$limit" "$releases/$release" "$aside" "$command"
    [ "$status" = 0 ] || fail hook "$status"
    set -f
    for word in $products; do
        decode "$word"
        [ -e "$releases/$release/$decoded" ] || fail no-product "$decoded"
    done
    set +f
fi
emit carried "$carried"
