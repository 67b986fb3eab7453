"""Personas and opinion surveys: validation against people's answers, and drawn attitudes."""
