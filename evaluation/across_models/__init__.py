"""Several models against each other, and model size."""
