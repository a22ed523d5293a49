"""`python -m betanas` is the command `betanas`."""

from betanas.cli.main import main

if __name__ == "__main__":  # processes that a command starts import this module too
    main()
