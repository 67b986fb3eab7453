"""`python -m plenary.app` is the command line."""

from plenary.app.cli import main

if __name__ == "__main__":
    main()
