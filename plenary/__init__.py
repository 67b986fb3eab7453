"""plenary: simulated citizens' assemblies and honest measurement of what they do to a model."""

__version__ = "0.2.0"
