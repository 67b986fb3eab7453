"""Control experiments on alignment: control arms (targets), doses, estimates, pooling of panels."""
