"""Run the command line with `python -m plenary`."""

from plenary.cli.main import main

if __name__ == "__main__":
    main()
