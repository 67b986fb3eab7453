"""Retention (side effects, forgetting): what training must not change, and how it is measured."""
