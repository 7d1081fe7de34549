# Says which programs are missing and installs their packages, where that is asked for. Arguments: `do` or `look`, `install` or nothing.
mode=$1 install=$2
packages=
for pair in $(tell_missing | awk 'NF { print $3 ":" $4 }'); do
    case " $packages " in *" ${pair#*:} "*) ;; *) packages="${packages:+$packages }${pair#*:}" ;; esac
done
[ -n "$packages" ] || exit 0
set -- $packages
by_hand="sudo apt-get install $packages"
[ -n "$how" ] || by_hand="apt-get install $packages"
if [ -z "$install" ]; then
    said cannot "programs are missing ($packages), and nothing is installed without --install" "$by_hand"
elif ! command -v apt-get >/dev/null 2>&1; then
    said cannot "programs are missing ($packages), and there is no apt-get here" "install them as this system does it"
else
    rootly "installs $packages" "$by_hand" apt-get install -y -q --no-install-recommends "$@"
fi
