"""A run: settings, directory, records, models, workspace."""
