# After a step: what a look would tell, so that nobody has to come again for it. It holds no lock.
exec 9>&-
set -- "" runs
