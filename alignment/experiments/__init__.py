"""Control experiments: targets, doses, estimates, pooling."""
