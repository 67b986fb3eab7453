"""Records: the JSON files that stages write into a run directory."""
