"""Claims: which sentences a report may print and on what evidence; preregistered analysis plans."""
