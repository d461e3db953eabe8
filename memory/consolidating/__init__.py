"""Observations: what several facts come to, with its evidence."""
