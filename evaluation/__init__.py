"""The measuring instrument: design, elicitation, utility fit, comparison."""
