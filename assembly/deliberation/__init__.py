"""Holding an assembly: seating, rounds of discussion, prompts, ballots, conditions, probes."""
