"""Shared statistics: intervals, jackknife, multiple testing, rank correlation, robust line."""
