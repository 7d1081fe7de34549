# Runs one command by hand, in `current` of the service at the path and with its variables (no path: as the login has it).
# Arguments: seconds, paths of all services there (encoded words), command (encoded words). Takes no claim and no lock.
seconds=$1 words=$3 folder= settings=
hidden=$(known "$2")
if [ -n "$path" ]; then
    live
    settings=$folder/.deploy/run-env
    export DEPLOY_PATH="$path" DEPLOY_DIR="$folder"
fi
set -f
set --
for word in $words; do
    decode "$word"
    set -- "$@" "$decoded"
done
set +f
attend "$seconds" "$@"
[ -z "$gone" ] || emit gone
emit status "$status"
