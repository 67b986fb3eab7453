"""Holding an assembly: seats, graph, turns, prompts, conditions."""
