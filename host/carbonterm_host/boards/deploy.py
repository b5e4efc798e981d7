"""An image onto a board that runs MicroPython: only what differs, compared by digest, never a brick.

The state is what lies on the board: each run compares and writes what is missing, so a run that was cut goes on with
the next one. The ROMFS is written with its first block last: while it is not whole it is no file system, MicroPython
comes up without it, and its prompt is there. A board without a ROMFS gets the modules as files of /lib.
"""

import hashlib
import zlib
from pathlib import Path

from carbonterm_host.boards import image as images
from carbonterm_host.boards.remote import encoded
from carbonterm_host.screen import FINDING, Failure

MAIN = b"import carbonterm_device.boot\n\ncarbonterm_device.boot.main()\n"
_ROM = """
import vfs, hashlib
from binascii import a2b_base64, hexlify
from io import BytesIO
try:
    from deflate import DeflateIO, RAW
    _inflate = lambda s: DeflateIO(BytesIO(a2b_base64(s)), RAW, 9).read()
except ImportError:
    _inflate = None
_d = vfs.rom_ioctl(2, 0) if hasattr(vfs, 'rom_ioctl') and vfs.rom_ioctl(1) > 0 else None
_o = hasattr(_d, 'ioctl')
_B = %d
def _rom_size():
    return 0 if _d is None else _d.ioctl(4, 0) * _d.ioctl(5, 0) if _o else len(_d)
def _digests(n, e):
    m = memoryview(_d)
    for i in range(n):
        print(hexlify(hashlib.sha256(m[i * _B : min(e, (i + 1) * _B)]).digest()).decode())
def _erase(i):
    if _o:
        _d.ioctl(6, i)
    else:
        vfs.rom_ioctl(3, 0, i * _B, _B)
def _write(i, b):
    _erase(i)
    if _o:
        _d.writeblocks(i, b, 0)
    else:
        vfs.rom_ioctl(4, 0, i * _B, b)
"""
_LIB = """
def _tree(p):
    for r in os.ilistdir(p):
        n = p + '/' + r[0]
        if r[1] == 0x4000:
            _tree(n)
        else:
            print(n, _sha(n))
def _folders(p):
    for i in range(1, len(p)):
        if p[i] == '/':
            try:
                os.mkdir(p[:i])
            except OSError:
                pass
"""


def fits(manifest, about, chip):
    """Failure where the image cannot run on the board that `about` (Remote.about) describes."""
    name, mpy = manifest["board"], manifest["mpy"]
    if about["board"] not in (None, name):
        raise Failure(
            FINDING, f"the board says it is {about['board']}, the image is for {name}",
            f"carbonterm board build {about['board']} -o DIR",
        )  # fmt: skip
    machine = "".join(one for one in about["machine"].lower() if one.isalnum())
    if chip.lower() not in machine:
        raise Failure(FINDING, f"the chip is {about['machine']}, the image is for {chip}", "is it the right port?")
    version = tuple(int(one) for one in about["version"].split("."))
    if version < tuple(int(one) for one in manifest["micropython"].split(".")):
        raise Failure(
            FINDING, f"its MicroPython is {about['version']}, the image wants {manifest['micropython']}",
            "carbonterm board flash --firmware FILE",
        )  # fmt: skip
    if mpy["version"].split(".")[0] != about["mpy"].split(".")[0] or (mpy["arch"] and mpy["version"] != about["mpy"]):
        raise Failure(
            FINDING, f"the image's modules are of mpy version {mpy['version']}, the board reads {about['mpy']}",
            "build the image with the carbonterm of that MicroPython, or flash another",
        )  # fmt: skip
    if mpy["arch"] not in ("", about["arch"]):
        raise Failure(
            FINDING, f"the image's machine code is for {mpy['arch']}, the board runs {about['arch'] or 'none'}",
            f"carbonterm board build {name} --arch {about['arch'] or chr(39) * 2} -o DIR, if it is a virtual board",
        )  # fmt: skip


def deploy(remote, board, folder, trust=None, files=False, step=lambda done, total: None):
    """Brings the image in `folder` onto the board at `remote`. Returns {"way", "written", "of", "bytes"}: blocks of the
    ROMFS or files that were written, of how many, and their bytes; "main": whether main.py was.

    files: modules as files of /lib although there is a ROMFS. Failure before anything is written where it does not fit.
    """
    manifest = images.load(folder, trust)
    if manifest["board"] != board.name:
        raise Failure(FINDING, f"the image is for {manifest['board']}, not for {board.name}", "name the other folder")
    fits(manifest, remote.about, board.chip)
    data = (Path(folder) / images.ROMFS).read_bytes()
    remote.run(_ROM % board.flash["block"], "what its ROMFS is")
    room = 0 if files else remote.value("_rom_size()")
    if room:
        if len(data) > room:
            raise Failure(
                FINDING, f"the ROMFS has {len(data)} bytes, its partition on the board {room}",
                "flash the board's partition table, or deploy with --files",
            )  # fmt: skip
        done = _romfs(remote, data, board.flash["block"], step)
    else:
        done = _files(remote, images.unpacked(data), step)
    done["main"] = remote.get("/main.py") != MAIN
    if done["main"]:
        remote.put("/main.py", MAIN)
    return done


def _romfs(remote, data, block, step):
    wanted = [data[at : at + block] for at in range(0, len(data), block)]
    digests = [hashlib.sha256(one).hexdigest() for one in wanted]

    def differing():
        said = remote.run(f"_digests({len(wanted)}, {len(data)})", "for digests").split()
        if len(said) != len(wanted):
            raise Failure(FINDING, "the board gave no digests of its ROMFS", "reset it, then again")
        return [i for i, (one, other) in enumerate(zip(said, digests, strict=True)) if one != other]

    todo = differing()
    if not todo:
        return {"way": "romfs", "written": 0, "of": len(wanted), "bytes": 0}
    remote.run("try:\n vfs.umount('/rom')\nexcept OSError:\n pass", "to let go of its ROMFS")
    total = sum(len(wanted[i]) for i in todo)
    order = [i for i in todo if i] + [0]
    remote.run("_erase(0)", "to erase a block")
    packs, done = remote.value("_inflate is not None"), 0
    for i in order:
        literal = encoded(_deflated(wanted[i])) if packs else encoded(wanted[i])
        remote.run(f"_write({i}, {'_inflate' if packs else 'a2b_base64'}({literal}))", "to write a block")
        done += len(wanted[i])
        step(min(done, total), total)
    remote.run("_o or vfs.rom_ioctl(5, 0)", "to write a block")
    left = differing()
    if left:
        raise Failure(
            FINDING, f"{len(left)} blocks of the ROMFS are not what was written, the first is number {left[0]}",
            "run it again; if it stays, the flash is worn: replace the board",
        )  # fmt: skip
    return {"way": "romfs", "written": len(order), "of": len(wanted), "bytes": total}


def _deflated(data):
    packer = zlib.compressobj(wbits=-9)
    return packer.compress(data) + packer.flush()


def _files(remote, wanted, step):
    """Modules as files: those that differ are written, those that are none of ours removed."""
    remote.files()
    remote.run(_LIB, "for its files")
    listing = "try:\n _tree('/lib')\nexcept OSError:\n pass"

    def found():
        return dict(line.split() for line in remote.run(listing, "for its files").splitlines() if line.strip())

    have = found()
    digests = {f"/lib/{path}": hashlib.sha256(data).hexdigest() for path, data in wanted.items()}
    todo = [name for name in sorted(digests) if have.get(name) != digests[name]]
    total = sum(len(wanted[name[5:]]) for name in todo)
    free = remote.value("(lambda s: s[0] * s[3])(os.statvfs('/'))")
    if total > free:
        raise Failure(
            FINDING, f"its file system has {free} bytes left, {total} are to be written",
            "carbonterm board backup, then factory-reset, or mpremote fs rm",
        )  # fmt: skip
    done = 0
    for name in todo:
        remote.run(f"_folders({name!r})", f"to make the folder of {name}")
        remote.put(name, wanted[name[5:]])
        done += len(wanted[name[5:]])
        step(done, total)
    ours = ("/lib/carbonterm/", "/lib/carbonterm_device/", "/lib/carbonterm_board")
    for name in sorted(set(have) - set(digests)):
        if name.startswith(ours):
            remote.run(f"os.remove({name!r})", f"to remove {name}")
    have = found()
    wrong = [name for name in digests if have.get(name) != digests[name]]
    if wrong:
        raise Failure(FINDING, f"{wrong[0]} on the board is not what was written", "run it again")
    return {"way": "files", "written": len(todo), "of": len(digests), "bytes": total}
