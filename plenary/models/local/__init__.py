"""Checkpoints on this machine: templates, prefix batches, label probabilities."""
