"""Asking a model about pairs: design, both orders, answers, import."""
