# Nothing that a command prints leaves the host with the value of a secret in it: the values are known here, also to whoever resumes
# without them and goes back to an older one. They are on no argument list and in no file of their own.

# The secrets in these files, as lines. A line of theirs that is not marked as plain holds a secret.
secrets_in() {
    cat "$@" 2>/dev/null | while read -r name word kind; do
        [ "$kind" != plain ] || continue
        decode "$word"
        printf '%s\n' "$decoded"
    done
}
# The secrets a command may have been given, as lines: of the environment file $1, and of those kept for later steps.
secrets() {
    secrets_in "$1" "$store/environments"/* "$releases"/*/.deploy/run-env
    printf '@%s scrub\n' "$nonce"
}
# Prints what follows the secrets in the files, without them; up to our own last line, for what a command left behind may hold the
# pipe open. A line of a secret that is shorter than four characters stands in too many words; a line of output is cut at 8192.
# Each line begins with $TAG, if that is exported: somebody reads along, to the end. Else who floods is shown 4 MiB or 20000 lines of it,
# and the last 40 lines. The empty line that comes before our own last one is ours, too.
scrub() {
    interactive=
    # It would keep lines back until there are many.
    case $(awk -W version 2>&1 </dev/null || :) in mawk*) interactive='-W interactive' ;; esac
    MARK="@$nonce" awk $interactive '
        function escaped(text, which,   at, c, all) {
            for (at = 1; at <= length(text); at++) {
                c = substr(text, at, 1)
                all = all (index(which, c) ? "\\" c : c)
            }
            return all
        }
        function hide(text) {
            if (length(text) < 4 || text in known) return
            known[text] = 1
            hidden[++count] = text
            if (length(text) > longest) longest = length(text)
        }
        # What is hidden is looked for in the whole line, then cut out at once: one value may overlap another.
        function shown(line,   at, from, found, size, hit, until, all) {
            line = substr(line, 1, 8192 + longest)
            split("", ends)
            for (at = 1; at <= count; at++) {
                size = length(hidden[at])
                from = 0
                while (found = index(substr(line, from + 1), hidden[at])) {
                    from += found
                    if (ends[from] < from + size) ends[from] = from + size
                    hit = 1
                }
            }
            if (!hit) return substr(line, 1, 8192)
            until = 1
            for (at = 1; at <= length(line) && at <= 8192; at++) {
                if ((at in ends) && ends[at] > until) {
                    if (at >= until) all = all "***"
                    until = ends[at]
                }
                if (at >= until) all = all substr(line, at, 1)
            }
            return all
        }
        function tell(line,   text) {
            if (tag == "" && (printed >= 4194304 || lines >= 20000)) {
                last[++more % 40] = substr(line, 1, 8192 + longest)
                return
            }
            text = shown(line)
            printed += length(text) + 1
            lines++
            # At once, with its end: another one writes to the same place.
            printf "%s", tag text "\n"
            fflush()
        }
        BEGIN { scrub = ENVIRON["MARK"] " scrub"; over = ENVIRON["MARK"] " over"; tag = ENVIRON["TAG"] }
        !begun && $0 == scrub { begun = 1; next }
        !begun {
            sub(/^[ \t\r]+/, "")
            sub(/[ \t\r]+$/, "")
            hide($0)
            # As JSON has it, and as the environment file does.
            hide(escaped($0, "\"\\"))
            hide(escaped($0, "\"\\`$"))
            next
        }
        $0 == over {
            while (--empty > 0) tell("")
            exit
        }
        $0 == "" { empty++; next }
        {
            for (; empty > 0; empty--) tell("")
            tell($0)
        }
        END {
            if (more > 40) print "[" more - 40 " more lines are not shown]"
            for (at = more > 40 ? more - 39 : 1; at <= more; at++) print shown(last[at % 40])
        }' "$@"
}
# Between `veil` and `unveil` what comes to fd 2 is scrubbed as it comes. `veil` ENVFILE.
veil() {
    need awk mawk
    need mkfifo coreutils
    mkdir -p "$store/tmp"
    pipe=$store/tmp/out.$$.$nonce
    rm -f "$pipe"
    mkfifo -m 600 "$pipe"
    (
        # It ends with what it reads, so that the last words of a command that is stopped are not lost.
        trap '' TERM HUP INT
        trap - EXIT
        exec 8>&- 9>&-
        secrets "$1" | scrub - "$pipe"
    ) </dev/null >&2 &
    veil=$!
    exec 8>&2 2>"$pipe"
    rm -f "$pipe"
}
unveil() {
    printf '\n@%s over\n' "$nonce" >&2 || :
    exec 2>&8 8>&-
    wait "$veil" 2>/dev/null || :
}
