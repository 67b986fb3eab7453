"""Two measurements against each other and a target."""
