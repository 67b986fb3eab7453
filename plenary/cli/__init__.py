"""The command line: options, help texts and terminal output of every `plenary ...` command."""
