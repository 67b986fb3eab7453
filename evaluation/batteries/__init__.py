"""The batteries of the paper, on any model."""
