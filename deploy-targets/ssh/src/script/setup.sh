# Makes the folders of the service at the path, as the user who deploys. Changes nothing that is there already, but for the owner of
# an empty folder. Arguments: `do` or `look`, shared folders (encoded words), and what the units of the revert are made of.
mode=$1 links=$2 digest=$3 unit=$4
# folder PATH: it is there, and may be written.
folder() {
    near=$1
    while [ ! -e "$near" ] && [ ! -L "$near" ]; do
        near=${near%/*}
        near=${near:-/}
    done
    if [ "$near" = "$1" ]; then
        if [ -d "$1" ] && [ -w "$1" ]; then return 0; fi
        by_hand="sudo chown -R $me:$group $(quoted "$1")"
        if [ -d "$1" ] && [ -z "$(ls -A "$1" 2>/dev/null || echo unread)" ]; then
            rootly "gives $1 to $me" "$by_hand" chown "$me:$group" "$1"
        elif [ -d "$1" ]; then
            said cannot "$1 may not be written, and is not empty: whether to give it away is for a person to say" "$by_hand"
        else
            said cannot "$1 is no folder" "sudo mv $(quoted "$1") $(quoted "$1.before")"
        fi
    elif [ -d "$near" ] && [ -w "$near" ]; then
        if [ "$mode" = look ]; then said would "makes $1"; elif mkdir -p "$1"; then said did "makes $1"; else said cannot "makes $1" ""; fi
    elif [ "$mode" = look ] && [ "$near" != "$1" ] && [ -n "$coming" ]; then
        said would "makes $1"
    else
        rootly "makes $1 for $me" "sudo install -d -o $me -g $group -m 755 $(quoted "$1")" \
            install -d -o "$me" -g "$group" -m 755 "$1"
    fi
}
coming=
if [ "$layout" = beside ]; then
    # What is live there becomes the first release: the folder around it is where its name is switched.
    folder "$store"
    above=${path%/*}
    above=${above:-/}
    [ -w "$above" ] || said cannot "$path is live, and becomes a symlink: $above may not be written" "sudo chown $me:$group $(quoted "$above")"
else
    folder "$path"
fi
# What is below a folder that would be made, or could not be.
if [ "$layout" = inside ] && [ ! -w "$path" ]; then
    [ "$mode" = look ] || exit 0
    coming=yes
fi
for below in "$store" "$releases" "$shared"; do
    [ ! -e "$below" ] || folder "$below"
done
set -f
for word in $links; do
    set +f
    decode "$word"
    folder "$shared/$decoded"
done
