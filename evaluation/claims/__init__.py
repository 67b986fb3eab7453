"""Which sentences may be printed, on what evidence, and plans locked before data."""
