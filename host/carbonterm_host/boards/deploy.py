"""An image onto a board that runs MicroPython: only what differs, compared by digest, never a brick.

The state is what lies on the board: each run compares and writes what is missing, so a run that was cut goes on with
the next one. A board whose firmware runs gets an upgrade by way of its file system (staged.py): at every moment it has
the old firmware or the new one. One without firmware is written in place, with the first block last: while the ROMFS is
not whole it is no file system, MicroPython comes up without it, and its prompt is there. A board without a ROMFS gets
the modules as files of /lib; what lies there already is changed only where somebody said in_place.
"""

import hashlib
import zlib
from pathlib import Path

from carbonterm import cbor
from carbonterm import site as sites
from carbonterm_host.boards import image as images
from carbonterm_host.boards import modules, onboard
from carbonterm_host.boards import staged as staging
from carbonterm_host.boards.provision import SITE, TIMESERVER
from carbonterm_host.boards.remote import encoded
from carbonterm_host.screen import FINDING, Failure

MAIN, BOOT = "/main.py", "/boot.py"
MAIN_TEXT = b"import carbonterm_device.boot\n\ncarbonterm_device.boot.main()\n"
FILES_HEAP = 384 << 10  # modules as files are kept in RAM: 160 KB of them, and as much to work with
_PACKS = """
from io import BytesIO
try:
    from deflate import DeflateIO, RAW
    _inflate = lambda s: DeflateIO(BytesIO(a2b_base64(s)), RAW, 9).read()
except ImportError:
    _inflate = None
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


def deploy(remote, board, folder, trust=None, files=False, step=lambda done, total: None, in_place=False):
    """Brings the image in `folder` onto the board at `remote`. Returns {"way", "written", "of", "bytes"}: blocks of the
    ROMFS or files that were written, of how many, and their bytes; "staged": whether by way of the file system;
    "main": whether main.py or boot.py was written.

    files: modules as files of /lib although there is a ROMFS; in_place: ROMFS or files at once, which a cut can
    leave as neither version. Failure before anything is written where it does not fit.
    """
    manifest = images.load(folder, trust)
    if manifest["board"] != board.name:
        raise Failure(FINDING, f"the image is for {manifest['board']}, not for {board.name}", "name the other folder")
    fits(manifest, remote.about, board.chip)
    release = staging.release(folder)
    _same_maker(remote, release)
    _same_site(remote, manifest.get("without"))
    data = (Path(folder) / images.ROMFS).read_bytes()
    remote.run(staging.boot().decode(), "what its ROMFS is")
    room = 0 if files else remote.value("Rom().size")
    starts = room and remote.get(BOOT) != staging.boot()
    if starts:
        remote.put(BOOT, staging.boot())
    if not room and not files and board.memory["heap"] < FILES_HEAP:
        raise Failure(
            FINDING, f"its MicroPython has no ROMFS, and {board.memory['heap'] >> 10} KiB of heap are too few for"
            " modules in RAM",
            "flash a MicroPython that was built with MICROPY_HW_ROMFS_BYTES (docs/boards.md), or try --files",
        )  # fmt: skip
    if room:
        if len(data) > room:
            raise Failure(
                FINDING, f"the ROMFS has {len(data)} bytes, its partition on the board {room}",
                "flash the board's partition table, or deploy with --files",
            )  # fmt: skip
        done = _romfs(remote, folder, data, board.flash["block"], step, in_place)
    else:
        done = _files(remote, images.unpacked(data), step, in_place)
    done["main"] = remote.get(MAIN) != MAIN_TEXT
    if done["main"]:
        remote.put(MAIN, MAIN_TEXT)
    done["main"] = bool(done["main"] or starts)
    _say_release(remote, release)
    return done


def _same_site(remote, without):
    """Failure where the image lacks what the board needs: for its site document, for the time server it has to ask."""
    document = remote.get(SITE) if without else None
    lacks = modules.lacking(without, sites.decode(document)) if document else None
    if lacks:
        raise Failure(FINDING, f"the image lacks {lacks}, which the board's site document needs",
                      "carbonterm board build --site that document, or without --site")  # fmt: skip
    if "sntp" in (without or ()) and remote.get(TIMESERVER):
        raise Failure(FINDING, "the image cannot ask the time server that the board has to ask",
                      "build it without --site, or carbonterm board provision --time-server '' first")  # fmt: skip


def _same_maker(remote, release):
    """Failure where the board knows its maker and the image is not the maker's."""
    known = remote.get(staging.MAKER)
    if known is None:
        return
    key = release[2] and release[2].hex()
    if key != known.decode(errors="replace").strip():
        raise Failure(
            FINDING, f"the image is signed by {key[:16] + '…' if key else 'nobody'}, the board takes those of"
            f" {known[:16].decode(errors='replace')}… only",
            "build it with the maker's key: carbonterm board build --key; factory-reset makes the board forget it",
        )  # fmt: skip


def _say_release(remote, release):
    """Leaves on the board what its log will tell of the image, and whose images it takes from now on."""
    raw = cbor.encode(release)
    if remote.get(onboard.RELEASE) != raw:
        remote.put(onboard.RELEASE, raw)
    if release[2] is not None and remote.get(staging.MAKER) is None:
        remote.put(staging.MAKER, release[2].hex().encode() + b"\n")


def _romfs(remote, folder, data, block, step, in_place):
    wanted = [data[at : at + block] for at in range(0, len(data), block)]
    digests = [hashlib.sha256(one).hexdigest() for one in wanted]

    def differing():
        said = remote.run(f"Rom().digests({len(wanted)}, {len(data)}, {block})", "for digests").split()
        if len(said) != len(wanted):
            raise Failure(FINDING, "the board gave no digests of its ROMFS", "reset it, then again")
        return [i for i, (one, other) in enumerate(zip(said, digests, strict=True)) if one != other]

    todo = differing()
    found = {"way": "romfs", "written": len(todo), "of": len(wanted), "bytes": sum(len(wanted[i]) for i in todo)}
    found["staged"] = bool(todo) and not in_place and staging.able(remote)
    if not todo:
        return found
    if found["staged"]:
        staging.bring(remote, staging.package(folder, data, block, todo), step)
        remote.run(staging.boot().decode(), "what its ROMFS is")
    else:
        _in_place(remote, wanted, todo, block, step)
    left = differing()
    if left:
        raise Failure(
            FINDING, f"{len(left)} blocks of the ROMFS are not what was written, the first is number {left[0]}",
            "run it again; if it stays, the flash is worn: replace the board",
        )  # fmt: skip
    return found


def _in_place(remote, wanted, todo, block, step):
    """Writes blocks of the ROMFS, the first one last."""
    remote.files()
    staging.forget(remote)
    remote.run("import vfs\ntry:\n vfs.umount('/rom')\nexcept OSError:\n pass", "to let go of its ROMFS")
    total = sum(len(wanted[i]) for i in todo)
    remote.run(_PACKS + f"_r = Rom()\n_r.erase(0, {block})", "to erase a block")
    packs, done = remote.value("_inflate is not None"), 0
    for i in [i for i in todo if i] + [0]:
        literal = encoded(_deflated(wanted[i])) if packs else encoded(wanted[i])
        data = f"{'_inflate' if packs else 'a2b_base64'}({literal})"
        remote.run(f"_r.write({i}, {data}, {block})", "to write a block")
        done += len(wanted[i])
        step(min(done, total), total)
    remote.run("_r.done()", "to write a block")


def _deflated(data):
    packer = zlib.compressobj(wbits=-9)
    return packer.compress(data) + packer.flush()


def _files(remote, wanted, step, in_place):
    """Modules as files: those that differ are written, those that are none of ours removed."""
    remote.files()
    remote.run(_LIB, "for its files")
    listing = "try:\n _tree('/lib')\nexcept OSError:\n pass"

    def found():
        return dict(line.split() for line in remote.run(listing, "for its files").splitlines() if line.strip())

    have = found()
    digests = {f"/lib/{path}": hashlib.sha256(data).hexdigest() for path, data in wanted.items()}
    todo = [name for name in sorted(digests) if have.get(name) != digests[name]]
    if todo and not in_place and remote.get(MAIN) == MAIN_TEXT:
        raise Failure(
            FINDING, f"{len(todo)} of its modules would be changed one after the other, and a cut leave it with"
            " modules of two versions",
            "deploy with --in-place, and again after a cut; or flash a MicroPython with a ROMFS, where they are staged",
        )  # fmt: skip
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
    return {"way": "files", "written": len(todo), "of": len(digests), "bytes": total, "staged": False}
