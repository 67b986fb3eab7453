"""The local web page that explores a run: `plenary view RUN`."""
