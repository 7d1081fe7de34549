# What a live folder has where the release has a shared folder moves there, and a symlink takes its place. May be repeated.
adopt_shared() {
    set -f
    for word in $links; do
        decode "$word"
        live=$1/$decoded
        if [ -L "$live" ] || [ ! -e "$live" ]; then continue; fi
        case $decoded in */*) mkdir -p "$shared/${decoded%/*}" ;; esac
        rmdir "$shared/$decoded" 2>/dev/null || :
        if [ -e "$shared/$decoded" ]; then continue; fi
        way_up "$decoded"
        mv -T "$live" "$shared/$decoded"
        ln -s "${up}shared/$decoded" "$live"
    done
    for word in $links; do
        decode "$word"
        mkdir -p "$shared/$decoded" 2>/dev/null || [ -e "$shared/$decoded" ]
    done
    set +f
}
