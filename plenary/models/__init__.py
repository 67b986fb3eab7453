"""Language models behind one interface: local checkpoints, endpoints, wrappers around them."""
