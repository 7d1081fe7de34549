# Which secrets of the services at these paths (encoded words) stand in a text. Arguments: paths, text.
known "$1" | while IFS= read -r line; do
    line=${line#"${line%%[![:space:]]*}"}
    line=${line%"${line##*[![:space:]]}"}
    # Shorter ones stand in too many words.
    [ "${#line}" -ge 4 ] || continue
    case $2 in *"$line"*) emit hidden "$(encode "$line")" ;; esac
done
