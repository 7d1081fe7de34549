# What `deploy doctor` wants to know of the proxy that two ports stand behind; changes nothing. Arguments: its program, the file that is
# ours to write, limit and command of its test.
turn_file=$2
if command -v "$1" >/dev/null 2>&1; then emit program yes; else emit program no; fi
if [ -d "${turn_file%/*}" ] && [ -w "${turn_file%/*}" ]; then emit folder yes; else emit folder no; fi
if [ -e "$turn_file" ]; then emit file yes; else emit file no; fi
store=/
proxy "$3" "$4"
emit test "$status"
