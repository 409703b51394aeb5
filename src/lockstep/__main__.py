"""``python -m lockstep``: the command where no script was installed."""

from lockstep.cli import main

main()
