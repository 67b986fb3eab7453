"""Fitting utilities to pairwise choices (Thurstone, Bradley-Terry, Davidson), with uncertainty."""
