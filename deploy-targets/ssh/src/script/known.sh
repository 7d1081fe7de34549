# What no output may show: the secrets that the services at these paths (encoded words) were given, as lines.
known() {
    set -f
    set -- $1
    set +f
    for word; do
        decode "$word"
        secrets_in "$decoded/.deploy/environments"/* "$decoded/releases"/*/.deploy/run-env \
            "$decoded.deploy/environments"/* "$decoded.deploy/releases"/*/.deploy/run-env
    done
}
# What `current` is called there, in $folder: the folder of what runs.
live() {
    if [ -e "$path.deploy/beside" ]; then folder=$path; else folder=$path/current; fi
    [ -d "$folder/." ] || fail nothing "$folder"
}
