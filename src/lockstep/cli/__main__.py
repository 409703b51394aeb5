"""``python -m lockstep.cli``: the command where no script was installed."""

from lockstep.cli import main

main()
