"""Checkpoints run on this machine: chat templates, prefix batching, label probabilities."""
