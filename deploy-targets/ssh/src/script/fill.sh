# A release aside, $aside: unpacked from the stream, filled up with what is on the host already, and proven.

# Whether there is room for what is to come: $room, its KiB and its files. A file system that counts no inodes says 0; what cannot be
# told is found out by writing.
has_room() {
    free=$(stat -f -c '%a %S %c %d' "$store" 2>/dev/null) || return 0
    set -- $room $free
    [ $# = 6 ] || return 0
    case $3$4$5$6 in *[!0-9]*) return 0 ;; esac
    [ $(($3 * ($4 / 512) / 2)) -ge "$1" ] || fail full
    [ "$5" = 0 ] || [ "$6" -ge "$2" ] || fail full
}
# Stdin into $aside. Reading from a link that may be dead must not hold the lock.
unpack() {
    need tar tar
    need sha256sum coreutils
    has_room
    aside=$store/tmp/$release.$$.$nonce
    drop=$aside
    mkdir -p "$releases" "$aside"
    tar -x -p -o -f - -C "$aside" || fail unpack
    [ -e "$aside/.deploy/end" ] || fail cut
}
# Takes the files that `.deploy/copy` names from the release $1: as hard links (`link`), so that their data is neither sent nor written
# again, or as copies (`copy`). Only what has the facts that it was sealed with is linked: see `reseal`.
take_over() {
    [ -n "$1" ] && [ -s "$aside/.deploy/copy" ] || return 0
    [ -d "$releases/$1" ] || fail base-gone
    how=-l as=--preserve=links
    [ "$2" = link ] && [ -s "$releases/$1/.deploy/sealed" ] || how=-p as=--reflink=auto
    if (cd "$releases/$1" && tr '\n' '\0' <"$aside/.deploy/copy" | xargs -0 cp "$how" "$as" -P --parents -t "$aside") 2>/dev/null; then
        return 0
    fi
    # Where links cannot be made, or `cp` knows no lists.
    while IFS= read -r file; do
        if [ "$how" = -l ]; then
            [ ! -e "$aside/$file" ] || continue
            if ln "$releases/$1/$file" "$aside/$file" 2>/dev/null; then continue; fi
            how=-p
        fi
        cp -p "$releases/$1/$file" "$aside/$file" || fail base-gone
    done <"$aside/.deploy/copy"
}
# Whether all sums are right, by a program that has the processor do it; `false` also where there is none, or it says otherwise.
fast_sums() {
    command -v openssl >/dev/null 2>&1 || return 1
    cut -c67- .deploy/sums | tr '\n' '\0' | xargs -0 -r openssl dgst -sha256 -r 2>/dev/null | sed 's/ \*/  /' | cmp -s - .deploy/sums
}
# Whether all sums are right, by two processes; `half` has how many lines the first of them gets.
all_sums() {
    half=0
    [ ! -s .deploy/half ] || read -r half <.deploy/half
    # Not worth its start for little.
    if [ "$half" != 0 ] && fast_sums; then return 0; fi
    if [ "$half" = 0 ]; then
        sha256sum -c --status .deploy/sums 2>/dev/null
        return
    fi
    head -n "$half" .deploy/sums | sha256sum -c --status 2>/dev/null &
    first=$!
    second=0
    tail -n "+$((half + 1))" .deploy/sums | sha256sum -c --status 2>/dev/null || second=$?
    wait "$first" && [ "$second" = 0 ]
}
# Every file is as the deployer said. The facts are older than the sums: what is changed after them differs from them.
prove() {
    set -- "$(sha256sum <"$aside/.deploy/listing")"
    [ "${1%% *}" = "$digest" ] || fail mismatch .deploy/listing
    bad=$(
        cd "$aside"
        facts >.deploy/sealed
        if [ -s .deploy/links ]; then targets >.deploy/targets; else : >.deploy/targets; fi
        [ ! -s .deploy/odd ] && [ -s .deploy/sums ] && all_sums || check_sums
    )
    [ -z "$bad" ] || fail mismatch "$bad"
}
# A link changes a file's time of change, in the release $1 as well: its facts are written anew, to $resealed, for what was just
# proven. What has another mode or kind there than it was sealed with is not taken over. The rest of that release, which nobody has
# looked at yet, is in the files $unseen (facts) and $unseen.names.
reseal() {
    resealed= unseen=
    [ "${how-}" = -l ] || return 0
    need awk mawk
    resealed=$releases/$1/.deploy/sealed.new.$$ unseen=$aside/.deploy/rest
    : >"$unseen"
    odd=$(OUT=$resealed REST=$unseen awk '
        BEGIN { out = ENVIRON["OUT"]; rest = ENVIRON["REST"] }
        FILENAME == ARGV[1] { linked[$0] = 1; next }
        { name = substr($0, index($0, " ./") + 1) }
        FILENAME == ARGV[2] {
            if (name in linked) { now[name] = $0; as[name] = $1 " " $2 " " $3 }
            next
        }
        name in now {
            if (as[name] != $1 " " $2 " " $3) { bad = name; exit }
            print now[name] >out
            delete linked[name]
            next
        }
        {
            print >out
            print >rest
            print name >(rest ".lines")
        }
        END {
            if (bad == "") for (name in linked) { bad = name; break }
            if (bad != "") print bad
        }' \
        "$aside/.deploy/copy" "$aside/.deploy/sealed" "$releases/$1/.deploy/sealed")
    if [ -n "$odd" ]; then
        rm -f "$resealed"
        fail mismatch "$odd"
    fi
    if [ -s "$unseen" ]; then tr '\n' '\0' <"$unseen.lines" >"$unseen.names"; else : >"$unseen.names"; fi
}
# The shared folders take their places, each a symlink.
link_shared() {
    [ -n "$links" ] || return 0
    set -f
    for word in $links; do
        decode "$word"
        way_up "$decoded"
        case $decoded in */*) mkdir -p "$aside/${decoded%/*}" ;; esac
        rm -rf "${aside:?}/$decoded"
        ln -s "${up}shared/$decoded" "$aside/$decoded"
        # What a live folder has there moves when the folder is adopted.
        if [ "$layout" = inside ] || [ -L "$path" ] || [ ! -e "$path/$decoded" ]; then mkdir -p "$shared/$decoded"; fi
    done
    set +f
}
