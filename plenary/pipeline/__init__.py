"""The list of stages; running, resuming and estimating them."""
