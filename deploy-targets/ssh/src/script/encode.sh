# A text as one word, as the other side encodes arguments.
encode() {
    printf '='
    printf %s "$1" | od -An -v -to1 | tr -s ' \n' '\n\n' | while read -r octal; do
        [ -z "$octal" ] || printf '\\0%s' "$octal"
    done
}
