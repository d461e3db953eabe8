"""Benchmarks and load tests, driven over HTTP."""
