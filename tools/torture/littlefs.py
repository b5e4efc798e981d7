"""Power cuts and failing operations on littlefs: a terminal's whole log there."""

from tools.torture import _power


def run(seed, every=1, fails=_power.FAILS):
    return _power.rows("littlefs", seed, every, fails)
