"""Comparing a model before and after alignment with the target: agreement, shift, gain."""
