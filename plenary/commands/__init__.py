"""What commands outside the pipeline do; plenary.cli declares their options."""
