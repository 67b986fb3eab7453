"""The consensus dataset: rows, labels, card, Croissant."""
