"""Preference elicitation: which pairs to ask, asking in both orders, answer tables, import."""
