"""The pipeline: the list of stages; running, resuming and estimating them."""
