"""Runs on MicroPython: bytes of the heap that the modules named keep, and how long their import takes.

usage: micropython retained.py ROMFS|FOLDER MODULE …; prints "bytes microseconds". A ROMFS lies in the heap as one
block, which does not count: a board has it in its flash.
"""

import gc
import os
import sys
import time

import vfs

if os.stat(sys.argv[1])[0] & 0x4000:
    sys.path[:] = [".frozen", sys.argv[1]]
else:
    image = bytearray(os.stat(sys.argv[1])[6])
    with open(sys.argv[1], "rb") as file:
        file.readinto(image)
    vfs.mount(vfs.VfsRom(image), "/rom")
    sys.path[:] = [".frozen", "/rom"]
names = sys.argv[2:]
gc.collect()
before, begun = gc.mem_alloc(), time.ticks_us()
for name in names:
    __import__(name)
taken = time.ticks_diff(time.ticks_us(), begun)
gc.collect()
print(gc.mem_alloc() - before, taken)
