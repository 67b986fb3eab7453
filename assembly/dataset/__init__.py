"""The published consensus dataset: rows, labels, dataset card, Croissant metadata."""
