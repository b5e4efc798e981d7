"""A board gets its identity: key made on the device, registration by the operator, site document, time; and what is
read back from it: log, backup, what it says of itself. Over MicroPython's prompt (carbonterm_host.boards.remote).

Every step looks at what the board has first, so a run that was cut is simply run again.
"""

import base64
import io
import json
import re
import secrets
import tarfile
import textwrap
import time

from carbonterm.errors import CarbonError
from carbonterm.ledger.registry import MAX_BYTES, Registration
from carbonterm.site import COLLECTOR
from carbonterm_host.boards import modules
from carbonterm_host.screen import FINDING, UNVERIFIED, USAGE, Failure

EPOCH = 0
SITE, TIMESERVER = "/site.bin", "/timeserver"
NO_FIRMWARE = "the board has no carbonterm firmware", "carbonterm board deploy NAME --image DIR --port PORT"
_BEGIN = """
import json, os, binascii
from carbonterm_device import boot, provision, keys
from carbonterm_device.ports import port
_s = boot.storage()
"""
_TREE = """
def _walk(p):
    for r in os.ilistdir(p or '/'):
        n = p + '/' + r[0]
        if r[1] == 0x4000:
            if n != '/rom':
                _walk(n)
        else:
            print(n)
"""


def begin(remote):
    """Loads the firmware's modules on the board. Failure where it has none."""
    if remote.about["board"] is None:
        raise Failure(FINDING, *NO_FIRMWARE)
    remote.run(_BEGIN, "to load its firmware")


def check_site(board, site, terminal):
    """Failure where a site document is not one for this board: another terminal's, UARTs it has not, what only a
    terminal does."""
    if site.terminal_id != terminal:
        raise Failure(USAGE, f"the site document is for {site.terminal_id}, not for {terminal}", "name the other file")
    names = [row["name"] for row in board.uarts]
    for bus in site.buses:
        if bus.kind in ("serial", "modbus-rtu") and bus.address not in names:
            raise Failure(
                USAGE, f"bus {bus.name} is at {bus.address}, which {board.name} has not",
                "its lines are " + ", ".join(names),
            )  # fmt: skip
    if board.profile == "collector" and site.settings.profile != COLLECTOR:
        raise Failure(USAGE, f"{board.name} is a collector, and the site document is a terminal's",
                      "write settings: {profile: collector}; what that refuses belongs to its terminal")  # fmt: skip


def check_image(remote, site, timeserver=None):
    """Failure where the board's image was made for another site document and lacks what this one needs."""
    lacks = modules.lacking(remote.about["without"], site)
    if timeserver and "sntp" in remote.about["without"]:
        raise Failure(FINDING, "the board's image cannot ask a time server: its centre tells it the time",
                      "leave out --time-server, or deploy an image that was built without --site")  # fmt: skip
    if lacks:
        raise Failure(FINDING, f"the board's image lacks {lacks}, which this site document needs",
                      "carbonterm board build --site this file, and deploy that")  # fmt: skip


def set_time(remote, offset_ms=0):
    """Sets the board's clock, and its clock chip, to this machine's time and offset_ms: on a full second, as the chip
    has no less."""
    time.sleep(-(time.time() + offset_ms / 1000) % 1)
    remote.run(f"port.set_clock({time.time_ns() // 1_000_000 + offset_ms})", "to set its clock")


def identify(remote, terminal, signer, operator):
    """The Registration of the board's key under `terminal`, signed by the operator and on the board. The key is made if
    there is none, on the board, where it stays. Failure where the board is another terminal already."""
    asked = request(remote, terminal, operator)
    if asked.terminal_id != terminal or asked.operator != operator:
        raise Failure(
            FINDING, f"the board is {asked.terminal_id}, registered by {asked.operator}",
            "provision it as that, or take its identity away: carbonterm board factory-reset",
        )  # fmt: skip
    if not asked.possessed():
        raise Failure(UNVERIFIED, "the board did not sign its request", "factory-reset it, and provision it again")
    if asked.operator_signature is None:
        asked = asked.authorised(signer.sign)
        remote.put(f"{folder(remote)}/{EPOCH:05}.reg", asked.encode())
    elif not asked.signed_by(signer.public):
        raise Failure(UNVERIFIED, "its registration was signed by another key of that operator", "use that key")
    return asked


def request(remote, terminal, operator):
    """What the board asks to be registered as: a Registration, which has the operator's signature if it got it."""
    options = {"epoch": str(EPOCH), "entropy": secrets.token_hex(32), "terminal": terminal, "operator": operator}
    said = remote.run(f"print(json.dumps(provision.init(_s, {options!r}, port)))", "for its key")
    try:
        return Registration.decode(bytes.fromhex(json.loads(said)["request"])[: MAX_BYTES + 1])
    except (ValueError, KeyError, CarbonError) as error:
        raise Failure(UNVERIFIED, f"the board's request is none: {error}", "deploy its firmware again") from error


def folder(remote):
    """The folder of keys and receipts on the board."""
    return remote.value("boot.DATA")


def configure(remote, document, network=None, timeserver=None):
    """Puts the canonical site document on the board, name and secret of its Wi-Fi, and the name of a time server (""
    for none any more). Whether anything was new."""
    changed = False
    wifi = network and json.dumps(network).encode()
    for path, data in ((SITE, document), ("/network.json", wifi), (TIMESERVER, named(timeserver))):
        if data is not None and remote.get(path) != data:
            remote.put(path, data)
            changed = True
    return changed


def named(timeserver):
    """The bytes that name a time server, HOST or HOST:PORT, on a board; None where nobody said."""
    if timeserver and not re.fullmatch(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?", timeserver):
        raise Failure(USAGE, f"{timeserver!r} is no time server", "--time-server HOST or HOST:PORT, or '' for none")
    return None if timeserver is None else timeserver.encode()


def label(terminal, public, text=""):
    """SVG of a label: a QR code of identifier and public key, and both in letters."""
    from html import escape

    import segno

    code = segno.make(f"carbonterm:{terminal}:{public.hex()}", error="m")
    scale = 3
    side = code.symbol_size(scale)[0]
    buffer = io.BytesIO()
    code.save(buffer, kind="svg", scale=scale, xmldecl=False, svgns=True)
    digits = public.hex()
    rows = [terminal, *textwrap.wrap(text, 32, max_lines=2), *(digits[i : i + 32] for i in range(0, 128, 32))]
    lines = "".join(
        f'<text x="{side + 8}" y="{24 + 18 * i}" font-family="monospace" font-size="12">{escape(row)}</text>'
        for i, row in enumerate(rows)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{side + 270}" height="{side}">'
        f"{buffer.getvalue().decode().strip()}{lines}</svg>\n"
    )


def described(remote, board, registration):
    """What the production record says of a board (record.py): dict."""
    return {
        "terminal": registration.terminal_id, "public_key": registration.public.hex(), "epoch": registration.epoch,
        "board": board.name, "chip": remote.value("port.unique_id()"), "carbonterm": remote.about["carbonterm"],
        "micropython": remote.about["version"], "operator": registration.operator,
        "time_ms": time.time_ns() // 1_000_000, "simulated": remote.about["simulated"],
    }  # fmt: skip


# --- what is read back ----------------------------------------------------------------------------------------------


def fetch(remote, target, step=lambda name: None):
    """Copies the board's log, checkpoints and receipts into the folder `target`; private keys stay where they are."""
    names = remote.value("_s.names()", doing="for its log")
    for name in sorted(names):
        if name.endswith((".key", ".new")):
            continue
        if not re.fullmatch(r"\w[\w.-]*", name):  # a board that is not what it seems may say anything
            what = f"the board has {name!r}, which is no file of a log"
            raise Failure(UNVERIFIED, what, "what runs on it is not ours")
        step(name)
        size, data = remote.value(f"_s.size({name!r})", doing=f"for {name}"), b""
        while len(data) < size:
            code = f"print(binascii.b2a_base64(_s.read({name!r}, {len(data)}, 4096)).decode())"
            part = base64.b64decode(remote.run(code, f"for {name}"))
            if not part:
                raise Failure(FINDING, f"{name} has {size} bytes, the board gave {len(data)}", "run it again")
            data += part
        (target / name).write_bytes(data[:size])


def backup(remote, path):
    """Writes all files of the board's file system into a tar file, but for private keys. Returns their names."""
    remote.files()
    remote.run(_TREE)
    names = [name for name in remote.run("_walk('')", "for its files").splitlines() if name and not secret(name)]
    if [name for name in names if ".." in name.split("/")]:
        raise Failure(UNVERIFIED, "the board names files outside of its file system", "what runs on it is not ours")
    draft = path.with_name(path.name + ".new")
    with tarfile.open(draft, "w") as tar:
        for name in names:
            data = remote.get(name) or b""
            row = tarfile.TarInfo(name.lstrip("/"))
            row.size = len(data)
            tar.addfile(row, io.BytesIO(data))
    draft.replace(path)
    return names


def secret(name):
    """Whether a file of the board is a private key, or a network's password."""
    return name.endswith((".key", ".key.new")) or name == "/network.json"


def erase(remote, step=lambda done, total: None):
    """Erases the partitions of log and data, keys and all; the firmware in the ROMFS stays. The next start makes an
    empty file system."""
    remote.run("import vfs\n_d = [port.block_device('log'), port.block_device('vfs')]", "to be erased")
    counts = remote.value("[one.ioctl(4, 0) for one in _d]")
    remote.run("os.chdir('/')\nvfs.umount('/')", "to let go of its files")
    total, done = sum(counts), 0
    for number in (1, 0):  # the keys first
        for at in range(0, counts[number], 64):
            end = min(counts[number], at + 64)
            remote.run(f"for _i in range({at}, {end}):\n _d[{number}].ioctl(6, _i)", "to be erased")
            done += end - at
            step(done, total)


def state(remote):
    """What the board says of itself: dict of free and total bytes of the file system, heap, clock (ms), reset cause,
    identifier, terminal, public key, whether registered, site document's digest, last crash."""
    found = remote.value(None, _STATE)
    now = time.time_ns() // 1_000_000
    found["clock_off_ms"] = found.pop("clock_ms") - now
    raw = remote.get(f"{folder(remote)}/{EPOCH:05}.reg")
    registration = None
    if raw:
        try:
            registration = Registration.decode(raw)
        except CarbonError as error:
            found["registration_error"] = error.what
    found["terminal"] = registration.terminal_id if registration else None
    found["public_key"] = registration.public.hex() if registration else None
    found["registered"] = bool(registration and registration.operator_signature)
    crash = remote.get("/crash.txt")
    found["crash"] = crash.decode(errors="replace") if crash else None
    return found


_STATE = """
import gc
gc.collect()
_v = os.statvfs('/')
_f = _s.free()
try:
    _c = port.wake_clock()
except OSError:
    _c = None
def _there(n):
    try:
        os.stat(n)
        return True
    except OSError:
        return False
print({'free': _v[0] * _v[3], 'total': _v[0] * _v[2], 'log_free': _f[0], 'log_total': _f[1],
       'heap_free': gc.mem_free(), 'clock_ms': port.now_ms(), 'clock_chip': _c, 'cause': port.reset_cause(),
       'id': port.unique_id(), 'key': len(keys.epochs(_s)) > 0, 'site': _there(boot.SITE)})
"""
