"""The viewer: a local web site to explore a run (`plenary view RUN`)."""
