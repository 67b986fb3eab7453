"""Test batteries of the utility-engineering paper (coherence, values, probes) for any model."""
