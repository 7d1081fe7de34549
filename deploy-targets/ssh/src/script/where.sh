# Who we are, and where a program is. Argument: the program.
emit user "$(encode "$(id -un 2>/dev/null || id -u)")"
emit program "$(encode "$(command -v "$1" 2>/dev/null || :)")"
