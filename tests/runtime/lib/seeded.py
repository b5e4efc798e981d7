"""Random numbers for tests: the same sequence on every runtime from the same seed (xorshift64*)."""

MASK = (1 << 64) - 1


class Random:
    def __init__(self, seed):
        self.state = (seed * 0x9E3779B97F4A7C15 + 1) & MASK or 1

    def bits(self, n):
        """Integer of n random bits."""
        value = 0
        for _ in range((n + 31) // 32):
            x = self.state
            x ^= x >> 12
            x = (x ^ (x << 25)) & MASK
            x ^= x >> 27
            self.state = x
            value = value << 32 | (x * 0x2545F4914F6CDD1D & MASK) >> 32
        return value & ((1 << n) - 1)

    def below(self, n):
        """Integer from 0 to n - 1."""
        return self.bits(64) % n

    def between(self, low, high):
        """Integer from low to high, both included."""
        return low + self.below(high - low + 1)

    def bytes(self, n):
        return self.bits(8 * n).to_bytes(n, "big") if n else b""

    def choice(self, items):
        return items[self.below(len(items))]
