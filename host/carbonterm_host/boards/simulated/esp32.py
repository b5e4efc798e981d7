"""`esp32`, simulated: the partitions of the flash."""

import simulated_chip as chip

_TYPES = {"app": 0, "data": 1}


class Partition:
    """A partition by its label, a block device."""

    TYPE_APP, TYPE_DATA, BOOT, RUNNING = 0, 1, 0, 1

    def __init__(self, label):
        found = chip.partition(label)
        if found is None:
            raise OSError(chip.ENOENT)
        self._label = label
        self._region = chip.Region(*found)
        self.readblocks, self.writeblocks = self._region.readblocks, self._region.writeblocks
        self.ioctl = self._region.ioctl

    @classmethod
    def find(cls, type=0, subtype=255, label=None):
        rows = [row[0] for row in chip.about["partitions"] if row[3] == type]
        return [cls(name) for name in rows if label in (None, name)]

    def info(self):
        return 1, 255, self._region.offset, self._region.size, self._label, False
