"""Batteries that look inside the model."""
