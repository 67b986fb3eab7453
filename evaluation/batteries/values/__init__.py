"""Batteries on what a model values: politics, power, exchange rates, time, corrigibility."""
