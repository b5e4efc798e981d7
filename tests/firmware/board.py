"""Runs a module from an image of a board's read-only file system: board.py IMAGE MODULE [ARGUMENT …].

The image is taken into the heap first, as one block; what is left of the heap is what a board has. Prints that.
"""

import gc
import os
import sys

import vfs

image = bytearray(os.stat(sys.argv[1])[6])
with open(sys.argv[1], "rb") as file:
    file.readinto(image)
vfs.mount(vfs.VfsRom(image), "/rom")
sys.path[:] = [".frozen", "/rom"]
gc.collect()
gc.threshold(4096)  # as a board's boot.py: what is loaded lies close together
print("a heap of", gc.mem_free() + gc.mem_alloc() - len(image))
module, arguments = sys.argv[2], sys.argv[3:]
sys.exit(__import__(module, None, None, ("main",)).main(arguments))
