"""Coherence, wordings, test and retest."""
