"""`python -m betanas` is the command `betanas`."""

from betanas.cli.main import main

main()
