"""A collector's firmware as a board has it: compiled, in an image of the read-only file system (CPython only).

A board executes it in its flash. tests/firmware/board.py does the same with the image as one block of the heap, so a
heap of the image's size and N bytes is a board's heap of N bytes.
"""

from carbonterm_host.boards import board as boards
from carbonterm_host.boards import image

# processor and bits of a small integer, by runtime; native functions are compiled for that processor
TARGETS = {"micropython": ("x64", 63), "micropython32": ("x86", 31)}


def build(runtime):
    """Bytes of the image for "micropython" or "micropython32": a collector's modules, with the unix port's."""
    board = boards.load("linux-gateway")
    board.profile = "collector"
    board.mpy = {**board.mpy, "arch": TARGETS[runtime][0]}
    return image.romfs(image.compiled(board))
