"""Adapters from the model ports to embedders and language models."""
