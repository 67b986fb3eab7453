"""Consistency of a model's answers: coherence, sensitivity to wording, test-retest."""
