"""Mounts the littlefs of board.toml, which is the end of MicroPython's storage area: the log lies before it."""

import rp2
import vfs

log, size = 0x88000, 0x80000
device = rp2.Flash(start=log, len=size)
try:
    files = vfs.VfsLfs2(device, progsize=256)
except OSError:
    vfs.VfsLfs2.mkfs(device, progsize=256)
    files = vfs.VfsLfs2(device, progsize=256)
vfs.mount(files, "/")
