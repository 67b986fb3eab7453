"""Records of a run, one file each."""
