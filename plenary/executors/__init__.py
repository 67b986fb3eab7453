"""Where work is done: here, in processes, on Ray."""
