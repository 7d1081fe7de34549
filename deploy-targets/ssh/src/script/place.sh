# Where things are in a service's path, what runs there, the claim, the lock and the switch.

# fsync of files or folders; all of the machine's where the tool cannot do one. What the disk did not take is a failure.
flush() {
    unflushed=$(sync "$@" 2>&1) && return 0
    case $unflushed in
        *"Input/output error"* | *"No space left on device"* | *"uota exceeded"*)
            printf '%s\n' "$unflushed" >&2
            return 1
            ;;
    esac
    sync
}
flush_tree() { flush -f "$1"; }
# The text $2 to a file. What a shell's own `printf` could not write it gives no reason for; `cat` does.
text() { printf '%s\n' "$2" 2>/dev/null >"$1" || printf '%s\n' "$2" | cat >"$1"; }
# A text aside, to be flushed with others, and to its name.
set_aside() { text "$1.new.$$" "$2"; }
name_it() { mv -f -T "$1.new.$$" "$1"; }
# Stdin, or the text $2, to a file, whole or not at all, on disk before it has its name.
put() {
    if [ $# -gt 1 ]; then text "$1.new.$$" "$2"; else cat >"$1.new.$$"; fi &&
        flush "$1.new.$$" && mv -f -T "$1.new.$$" "$1" && flush "${1%/*}" && return 0
    rm -f "$1.new.$$"
    return 1
}
# Room kept aside, blocks and inodes, so that on a disk that became full after the switch there is a way back: a share for the claim
# of whoever goes back, and one for going back.
keep_spare() {
    [ -d "$store/spare/claim" ] && [ -d "$store/spare/back" ] || mkdir -p "$store/spare/claim" "$store/spare/back"
    for part in claim/1 claim/2 back/1 back/2 back/3 back/4; do
        [ -s "$store/spare/$part" ] || head -c 8192 /dev/urandom >"$store/spare/$part" || {
            rm -f "$store/spare/$part"
            return 1
        }
    done
}
spend_spare() { rm -rf "$store/spare/$1"; }

# Where things are: `inside` the path (`current` is switched), or `beside` it (a live folder that is adopted: the path itself is
# switched). $store: ours. $releases. $link: the switched symlink. $prefix: what its text begins with.
only_ours() {
    for entry in "$path"/* "$path"/.[!.]* "$path"/..?*; do
        [ -e "$entry" ] || [ -L "$entry" ] || continue
        case ${entry##*/} in
            .deploy | releases | shared | lost+found) ;;
            current) [ -L "$entry" ] || return 1 ;;
            *) [ -L "$path/current" ] && [ -d "$path/releases" ] || return 1 ;;
        esac
    done
}
if [ -e "$path.deploy/beside" ]; then
    layout=beside
elif [ -e "$path/.deploy/inside" ] || [ ! -e "$path" ] || { [ -d "$path" ] && only_ours; }; then
    layout=inside
else
    layout=beside
fi
if [ "$layout" = beside ]; then
    store=$path.deploy releases=$path.deploy/releases shared=$path.deploy/shared link=$path
    prefix=${path##*/}.deploy/releases/
else
    store=$path/.deploy releases=$path/releases shared=$path/shared link=$path/current
    prefix=releases/
fi

inode() {
    set -- "$(ls -di "$1/.")"
    set -- $1
    number=$1
}
# What the symlink says, as a fingerprint: $linked. $at: the release's name, empty if it is none of ours.
look_at_link() {
    at= linked=
    if [ -L "$link" ]; then
        text=$(readlink "$link")
        case $text in
            "$prefix"*/*) ;;
            "$prefix"?*) at=${text#"$prefix"} ;;
        esac
        if [ -z "$at" ]; then
            set -- "$(printf %s "$text" | sha256sum)"
            linked=foreign-${1%"${1#????????????????}"}
        elif [ ! -d "$releases/$at" ]; then
            linked=dangling-$at
        elif [ "$at" = "${at#adopted-}" ] && [ ! -e "$releases/$at/.deploy/complete" ]; then
            linked=incomplete-$at
        else
            linked=$at
        fi
    elif [ -d "$link" ]; then
        inode "$link"
        if [ "$layout" = beside ]; then linked=adopted-$number; else linked=directory-$number; fi
    elif [ -e "$link" ]; then
        linked=no-folder
    elif [ -e "$store/adopting" ]; then
        linked=adopting
    fi
}
# What runs: $fingerprint, empty for nothing. A switch whose restart has not ended counts as what its deployment brought.
look() {
    look_at_link
    fingerprint=$linked moving= mover= stopped_at= stopped_with=
    if [ -e "$store/moving" ]; then
        {
            read -r mover moving
            read -r stopped_at stopped_with
        } <"$store/moving" || :
        if [ -n "$moving" ]; then
            fingerprint=$moving
            read_claim
            [ "$mover" = "$held_by" ] || fingerprint=$moving+interrupted
        fi
    fi
}
# $held_store, $held_by (`-`: nobody), $held_epoch, $held_note (three words, encoded), $held_place (what this folder was called by
# whoever claimed it, encoded; empty in claims that were written before there was one). All empty: never claimed.
read_claim() {
    held_store= held_by= held_epoch= held_note= held_place=
    [ -e "$store/claim" ] || return 0
    {
        read -r _ held_store
        read -r _ held_by
        read -r _ held_epoch
        read -r _ held_note
        read -r _ held_place
    } <"$store/claim" || :
    case $held_epoch in
        '' | *[!0-9]*) fail claim-damaged "$store/claim" ;;
    esac
}
emit_claim() { [ -z "$held_store" ] || emit claim "$held_store" "$held_by" "$held_epoch" "$held_note"; }
write_claim() {
    put "$store/claim" "store $1
deployment $2
epoch $3
note $4
place $held_place"
}
# Every write holds this lock to its end.
lock() {
    [ -z "${locked-}" ] || return 0
    need flock util-linux
    locked=yes
    exec 9>>"$store/lock"
    flock -n 9 && return 0
    if flock --version >/dev/null 2>&1; then
        flock -w "$1" 9 || fail busy
        return 0
    fi
    # busybox has no -w.
    tries=$1
    until flock -n 9; do
        [ "$tries" -gt 0 ] || fail busy
        sleep 1
        tries=$((tries - 1))
    done
}
# Compares the claim: still_held STORE DEPLOYMENT EPOCH. Under the lock it holds for what follows; without it, it spares whoever is
# fenced already the work that comes before the lock.
still_held() {
    read_claim
    if [ "$held_store" != "$1" ] || [ "$held_by" != "$2" ] || [ "$held_epoch" != "$3" ]; then
        emit_claim
        fail fenced
    fi
}
# Compares the claim under the lock: fence STORE DEPLOYMENT EPOCH SECONDS.
fence() {
    [ -d "$store" ] || fail fenced
    lock "$4"
    still_held "$1" "$2" "$3"
}
# The way from the folder of $1, a path in a release, up to where `shared` is: $up.
way_up() {
    up=../../
    rest=$1
    while [ "$rest" != "${rest#*/}" ]; do
        up=../$up
        rest=${rest#*/}
    done
}
# Makes the symlink say $1, atomically; on disk before and after, and before it the names in the other folders given.
switch() {
    [ -d "$store/tmp" ] || mkdir -p "$store/tmp"
    ln -s "$1" "$store/tmp/link.$$.$nonce"
    to=$1
    shift
    flush "$store/tmp" "$@"
    set -- "$to"
    mv -f -T "$store/tmp/link.$$.$nonce" "$link"
    flush "${link%/*}"
    [ "$(readlink "$link")" = "$1" ] || fail not-switched "$link"
}
# An adoption that was cut short: what ran serves again. Under the lock.
recover() {
    [ -e "$store/adopting" ] || return 0
    read -r adopted <"$store/adopting" || :
    if [ ! -e "$link" ] && [ ! -L "$link" ] && [ -n "$adopted" ] && [ -d "$releases/$adopted" ]; then
        switch "$prefix$adopted"
    fi
    rm -f "$store/adopting"
    flush "$store"
}
