"""Personas against a survey of people."""
