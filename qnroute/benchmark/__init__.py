"""Comparisons and measurements of methods."""
