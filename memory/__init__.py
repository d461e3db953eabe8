"""The pure core: data in, data or a plan out; no I/O, no clock, no randomness of its own."""
