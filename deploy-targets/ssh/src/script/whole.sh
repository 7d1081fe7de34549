# Whether a release is as it was put there; all of this in the release's folder. `.deploy/sealed` has kind, mode, size and time of
# change of each file and symlink from when the release was complete: no write leaves that time as it was, so only what differs
# there is read anew. `.deploy/targets` has where the symlinks led to, `.deploy/own` the sums of what our own commands changed.

# A release has their names, each ended by a NUL, in `.deploy/names`. Where all the others are known to be right, $names is a file of
# those that are still to be looked at, and $sealed has their facts.
facts() {
    if [ -e "${names:-.deploy/names}" ]; then
        TZ=UTC0 xargs -0 -r stat -c '%f %a %s %z %n' <"${names:-.deploy/names}" 2>/dev/null || :
        return 0
    fi
    { cut -c67- .deploy/sums | tr '\n' '\0'; cat .deploy/links; } 2>/dev/null |
        TZ=UTC0 xargs -0 -r stat -c '%f %a %s %z %n' 2>/dev/null || :
}
targets() { xargs -0 -r stat -c %N <.deploy/links 2>/dev/null || :; }
# sum_of: names from stdin, one a line.
sum_of() { tr '\n' '\0' | xargs -0 -r sha256sum 2>/dev/null || :; }
# What differs, a line each: `gone NAME`, `kind NAME`, `mode WAS IS NAME`, `content NAME`, `target 'NAME' -> 'TARGET'`. `all` reads every
# file, `quick` those whose facts differ, `close` the same and those of odd names, which have no facts. `.deploy/sealed` may have been written anew aside: $sealed.
differs() {
    sealed=${sealed:-.deploy/sealed}
    [ -s "$sealed" ] || return 0
    [ "$1" = quick ] || check_odd | while read -r word; do printf 'content %s\n' "$word"; done
    if [ "$1" != all ] && facts | cmp -s - "$sealed" 2>/dev/null; then return 0; fi
    suspects=$(facts | SEALED=$sealed awk '
        BEGIN {
            while ((getline line < ENVIRON["SEALED"]) > 0) {
                split(line, fact, " ")
                name = substr(line, index(line, " ./") + 1)
                was[name] = line; kind[name] = substr(fact[1], 1, 1); mode[name] = fact[2]
            }
        }
        {
            name = substr($0, index($0, " ./") + 1)
            seen[name] = 1
            if (!(name in was) || was[name] == $0) next
            if (substr($1, 1, 1) != kind[name]) { print "kind", name; next }
            if ($2 != mode[name]) print "mode", mode[name], $2, name
            print (kind[name] == "a" ? "link" : "look"), name
        }
        END { for (name in was) if (!(name in seen)) print "gone", name }')
    printf '%s\n' "$suspects" | grep -v -e '^look ' -e '^link ' -e '^$' || :
    if [ "$1" = all ]; then cut -c67- .deploy/sums; else printf '%s\n' "$suspects" | sed -n 's/^look //p'; fi |
        sum_of | KINDS=$(printf '%s\n' "$suspects" | sed -n 's/^kind //p') awk '
        BEGIN {
            while ((getline line < ".deploy/sums") > 0) known[line] = 1
            while ((getline line < ".deploy/own") > 0) known[line] = 1
            kinds = split(ENVIRON["KINDS"], name, "\n")
            for (at = 1; at <= kinds; at++) said[name[at]] = 1
        }
        !($0 in known) && !(substr($0, 67) in said) { print "content", substr($0, 67) }'
    case $suspects in
        *link\ *)
            targets | awk '
                BEGIN { while ((getline line < ".deploy/targets") > 0) known[line] = 1 }
                !($0 in known) { print "target", $0 }'
            ;;
    esac
}
# What our own commands changed while they switched is from now on as it should be.
take_as_ours() {
    changed=$(differs quick)
    [ -n "$changed" ] || return 0
    { cat .deploy/own 2>/dev/null || :; printf '%s\n' "$changed" | sed -n -e 's/^content //p' -e 's/^kind //p' | sum_of; } | put .deploy/own
    targets | put .deploy/targets
    facts | put .deploy/sealed
}
names_gone() { differs quick | sed -n 's/^gone //p'; }
# One shell for all of them: `read` would take their names byte by byte.
unreadable() {
    if [ -s .deploy/sealed ]; then may_be_gone=yes; else may_be_gone=; fi
    if [ -n "${names-}" ]; then cat "$names"; else cut -c67- .deploy/sums | tr '\n' '\0'; fi | MAY=$may_be_gone xargs -0 -r sh -c '
        for file do
            if [ ! -r "$file" ] && { [ -e "$file" ] || [ -z "$MAY" ]; }; then printf "%s\n" "$file"; fi
        done' sh
}
# The first of the names from stdin that the checkpoint with the body $1 does not have as gone.
unless_known() {
    while IFS= read -r file; do
        grep -q -x -F -e "edited gone $file" "$1" || printf '%s\n' "$file"
    done | sed -n '1p'
}
# The first file that is gone since the checkpoint with the body $1, or may not be read.
gone_since() { { names_gone; unreadable; } | unless_known "$1"; }
# tell NAME LINES: a record for each line; the first few.
tell() {
    [ -n "$2" ] || return 0
    printf '%s\n' "$2" | sed -n '1,20p' | while IFS= read -r line; do
        [ -z "$line" ] || emit "$1" "$line"
    done
}
