"""Chance for simulations: the same numbers from the same seed on CPython and MicroPython (Marsaglia's xorshift32)."""

import binascii


def mixed(text):
    """A 32-bit number that depends on nothing but the text, any bit of which changes about half of the number's."""
    x = binascii.crc32(text.encode()) & 0xFFFFFFFF
    for factor in (0x7FEB352D, 0x46A5EC8B):
        x = ((x ^ x >> 16) * factor) & 0xFFFFFFFF
    return x ^ x >> 16


class Chance:
    """Throws of dice; `seed` is anything that has a text."""

    __slots__ = ("_state",)

    def __init__(self, seed):
        self._state = mixed(str(seed)) or 1

    def bits(self):
        """32 random bits."""
        x = self._state
        x ^= x << 13 & 0xFFFFFFFF
        x ^= x >> 17
        x ^= x << 5 & 0xFFFFFFFF
        self._state = x
        return x

    def below(self, n):
        """Integer from 0 to n - 1, n up to a million or so."""
        return self.bits() % n

    def randint(self, low, high):
        """Integer from low to high, both included."""
        return low + self.bits() % (high - low + 1)

    def random(self):
        """Float from 0 to below 1."""
        return self.bits() / 4294967296

    def randbytes(self, count):
        return bytes([self.bits() >> 7 & 255 for _ in range(count)])

    def choice(self, items):
        return items[self.bits() % len(items)]
