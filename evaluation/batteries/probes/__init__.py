"""Batteries that read a model's activations: linear probes of utility, activation steering."""
