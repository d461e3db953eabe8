"""Adapters from the store port to Qdrant."""
