"""A run: its settings, directory, records, models, progress and workers."""
