"""The hiring audit."""
