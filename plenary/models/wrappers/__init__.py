"""Wrappers around a model: budget, cache, micro-batching, several models for one panel."""
