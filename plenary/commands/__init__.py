"""What commands do outside the pipeline."""
