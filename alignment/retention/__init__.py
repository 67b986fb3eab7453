"""What training must not change."""
