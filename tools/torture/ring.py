"""Power cuts and failing operations on the raw ring: a terminal's segments there, its small files in littlefs."""

from tools.torture import _power


def run(seed, every=1, fails=_power.FAILS):
    return _power.rows("ring", seed, every, fails)
