"""Models around another model: budget, cache, micro-batches, mixtures."""
