"""The stages of a run: each reads the workspace and writes its files."""
