"""Thurstonian utilities from answers, with uncertainty."""
