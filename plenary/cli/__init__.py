"""The front door: config, run directory, pipeline, report, command line."""
