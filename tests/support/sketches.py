"""Sketches that differ in a chosen number of bits."""

from base64 import b64encode

BITS = 128


def sketch(number: int, bits: int = BITS) -> str:
    """Of a number of units: sketches of neighbouring numbers differ in an eighth of their bits."""
    set_bits = (1 << (number * bits // 8 % bits)) - 1
    return b64encode(set_bits.to_bytes(bits // 8, "big")).decode()
