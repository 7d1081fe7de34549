# Releases share files, as hard links, and to remove one changes the time of change of what the others have of it. What runs is looked
# at before and after that: where all was as it was sealed, and nothing but that time has changed since, it is sealed anew.

# The facts of each file and symlink, with their number and time of content before them.
more_facts() { TZ=UTC0 xargs -0 -r stat -c '%i %y|%f %a %s|%z|%n' <.deploy/names 2>/dev/null; }
vouch() {
    vouched=
    [ -n "$at" ] && [ -s "$releases/$at/.deploy/names" ] || return 0
    vouched=$store/vouched.new.$$
    (cd "$releases/$at" && more_facts >"$vouched") || vouched=
}
# The facts from stdin as they are sealed, if those before, in the file $1, were as sealed, and they differ from those in nothing but
# the time of change.
same_but_changed() {
    awk '
        function split_up(   text) {
            text = $0
            like = substr(text, 1, index(text, "|"))
            text = substr(text, index(text, "|") + 1)
            fact = substr(text, 1, index(text, "|") - 1)
            text = substr(text, index(text, "|") + 1)
            changed = substr(text, 1, index(text, "|") - 1)
            name = substr(text, index(text, "|") + 1)
            like = like fact "|" name
        }
        FILENAME == ARGV[1] { sealed[FNR] = $0; lines = FNR; next }
        FILENAME == ARGV[2] {
            split_up()
            if (sealed[FNR] != fact " " changed " " name) { bad = 1; exit }
            was[FNR] = like
            before = FNR
            next
        }
        {
            split_up()
            if (was[FNR] != like) { bad = 1; exit }
            now = FNR
            print fact, changed, name
        }
        END { exit !(!bad && lines == before && before == now) }' .deploy/sealed "$1" -
}
vouch_again() {
    [ -n "$vouched" ] || return 0
    (
        cd "$releases/$at"
        if more_facts | same_but_changed "$vouched" >.deploy/sealed.new; then
            flush .deploy/sealed.new
            mv -f -T .deploy/sealed.new .deploy/sealed
        else
            rm -f .deploy/sealed.new
        fi
    )
    rm -f "$vouched"
}
