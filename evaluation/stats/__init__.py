"""Statistics that several parts share."""
