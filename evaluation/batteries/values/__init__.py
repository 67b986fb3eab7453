"""Batteries about what is valued."""
