"""``python -m qnroute`` is the `qnroute` command."""

from qnroute.cli import main

main()
