# Setting a host up: saying what was done, and doing as root what needs it.
me=$(id -un 2>/dev/null || id -u)
group=$(id -gn 2>/dev/null || id -g)
# said STATE WHAT [FIX]: `did`, `would` or `cannot`; $barred, once something could not be done.
barred=
said() {
    [ "$1" != cannot ] || barred=yes
    emit step "$1" "$(encode "$2")" "$(encode "${3-}")"
}
if [ "$(id -u)" = 0 ]; then how=; else how=', with sudo'; fi
# as_root WORDS…: never asks; where that is not allowed, it fails.
as_root() {
    if [ -z "$how" ]; then
        "$@"
    else
        command -v sudo >/dev/null 2>&1 && sudo -n "$@" </dev/null
    fi >&2
}
# Whether `as_root` would be let do that.
may_root() {
    [ -z "$how" ] || { command -v sudo && sudo -n -l "$@"; } >/dev/null 2>&1 </dev/null
}
# A word as a shell takes it.
quoted() {
    case $1 in
        *[!A-Za-z0-9_./:@+%=-]*) printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")" ;;
        *) printf %s "$1" ;;
    esac
}
# rootly STATE… : does as root what follows the first two words, which say what it is and how a person would do it by hand.
rootly() {
    what=$1 by_hand=$2
    shift 2
    if [ "$mode" = look ]; then
        if may_root "$@"; then said would "$what$how"; else said cannot "$what" "$by_hand"; fi
    elif as_root "$@"; then
        said did "$what$how"
    else
        said cannot "$what" "$by_hand"
    fi
}
