"""Comparing several models with each other: convergence of values, scaling with model size."""
