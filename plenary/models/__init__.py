"""The one port to language models."""
