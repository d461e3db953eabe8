"""Bulk work, one Ray job per file."""
