"""Reflect: a bounded loop between a language model and a bank's memory, without I/O."""
