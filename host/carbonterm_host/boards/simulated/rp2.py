"""`rp2`, simulated: the part of the flash that the base firmware leaves to file systems."""

import simulated_chip as chip


class Flash(chip.Region):
    """[start, start + len) of it."""

    def __init__(self, start=0, len=None):
        begin = min([row[1] for row in chip.about["partitions"] if row[0] in ("log", "vfs")])
        size = chip.flash.size - begin - start if len is None else len
        chip.outside(begin + start, size)
        super().__init__(begin + start, size)
