"""Model cards and the hub's layout."""
