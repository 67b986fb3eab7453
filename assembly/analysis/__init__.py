"""What the discussion did, and how far its labels can be trusted."""
