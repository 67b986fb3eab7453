"""`python -m plenary` is the command line."""

from plenary.cli.main import main

if __name__ == "__main__":
    main()
