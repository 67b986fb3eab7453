"""The citizens: drawing a representative panel, persona descriptions, checks against surveys."""
