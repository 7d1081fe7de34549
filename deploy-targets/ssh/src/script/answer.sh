# After a step: what a look would tell, so that nobody has to come again for it. It holds no lock. Arguments that are left: 8 and 9 are
# those of the look; none: what runs.
exec 9>&-
set -- "${8-}" "${9:-runs}"
