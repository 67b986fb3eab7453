"""Executors: where parallel tasks run (this process, worker processes, Ray)."""
