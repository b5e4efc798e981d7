"""Base firmware and images onto a board's flash: esptool for ESP32, a UF2 drive for RP2350, dfu-util for STM32.

Everything is checked before the first byte is erased: the chip, the firmware file's digest, the image's digests and
signature, that all of it fits. What is written is read back and compared. A board that has data keeps them unless
`erase` says otherwise: the data image is only written where the whole flash was erased.
"""

import contextlib
import functools
import hashlib
import shutil
import struct
import subprocess
import threading
import time
from pathlib import Path

from carbonterm_host.boards import image
from carbonterm_host.screen import FINDING, UNREACHABLE, USAGE, Failure

UF2_BLOCK, UF2_DATA = 512, 476
_UF2 = 0x0A324655, 0x9E5D5157, 0x0AB16F30
_DRIVE_FILE = "INFO_UF2.TXT"


def firmware(board, path, digest=None):
    """The bytes of a base firmware file. Its SHA-256 must be in board.toml or be `digest`; Failure otherwise."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise Failure(USAGE, f"{path} cannot be read: {error}", "give the MicroPython firmware as a file") from error
    found = hashlib.sha256(data).hexdigest()
    known = board.firmware.get("digests", [])
    if found not in known and found != digest:
        raise Failure(
            FINDING, f"the SHA-256 of {path} is {found}, which [firmware] digests in board.toml do not name",
            "compare it with the publisher's page, then add it there or give --digest",
        )  # fmt: skip
    return data


def fits(board, image_folder, trust=None):
    """The manifest of an image that was made for this board; Failure where it was made for another."""
    manifest = image.load(image_folder, trust)
    for key, ours in (("board", board.name), ("chip", board.chip), ("mpy", board.mpy)):
        if manifest[key] != ours:
            raise Failure(
                FINDING, f"the image in {image_folder} is for {key} {manifest[key]}, this board's is {ours}",
                f"carbonterm board build {board.name} -o DIR",
            )  # fmt: skip
    return manifest


def pieces(board, base, image_folder, erase):
    """[(address, bytes)] that go onto an ESP32's flash, in order. base: bytes of the base firmware or None."""
    folder = Path(image_folder)
    found = []
    if base is not None:
        # a whole image from micropython.org begins with the boot loader; it brings a table of its own, ours follows it
        found.append((board.firmware.get("offset", 0), base))
        end = board.firmware.get("offset", 0) + len(base)
        limit = board.partition("factory").end
        if end > limit:
            raise Failure(FINDING, f"the base firmware ends at {end:#x}, its partition at {limit:#x}", "see board.toml")
    if base is not None or erase:
        table = (folder / image.PARTITIONS).read_bytes()
        if found and found[0][0] == 0 and len(base) > 0x8000 + len(table):
            found[0] = (0, base[:0x8000] + table.ljust(0x1000, b"\xff") + base[0x9000:])
        else:
            found.append((0x8000, table))
    found.append((board.partition("romfs").offset, (folder / image.ROMFS).read_bytes()))
    if erase:
        found.append((board.partition("vfs").offset, (folder / image.DATA).read_bytes()))
    return sorted(found)


class _Told(threading.local):
    """What esptool tells in this thread: its progress goes to `step(done, total)`. esptool has one logger for all."""

    step = staticmethod(lambda done, total: None)


_TOLD = _Told()


@functools.cache
def _quiet():
    """Gives esptool a logger that says nothing and passes progress on; once, as it takes no second one."""
    from esptool.logger import TemplateLogger, log

    def nothing(self, *args, **kwargs):
        pass

    def progress_bar(self, cur_iter, total_iters, *args, **kwargs):
        _TOLD.step(cur_iter, total_iters)

    names = "print", "note", "warning", "error", "stage", "set_verbosity"
    log.set_logger(type("Logger", (TemplateLogger,), {**dict.fromkeys(names, nothing), "progress_bar": progress_bar})())


def espressif(board, port, what, erase=False, baud=460800, stub=True, step=lambda done, total: None):
    """Writes [(address, bytes)] to an ESP32 at `port` and reads it back. Returns {"chip", "mac", "bytes", "seconds"}.

    stub: load esptool's helper into the chip's RAM, faster; without it the ROM does all. Failure says what went wrong.
    """
    import serial
    from esptool import cmds
    from esptool.util import FatalError

    _quiet()
    _TOLD.step = step
    begun = time.monotonic()
    with _said(port):
        serial.Serial(port, exclusive=True).close()  # says why it cannot be opened; esptool does not
        esp = cmds.connect_esp(port, "auto", connect_attempts=5)
        try:
            chip = esp.CHIP_NAME.lower().replace("-", "")
            if chip != board.chip:
                raise Failure(
                    FINDING, f"{port} is an {esp.CHIP_NAME}, {board.name} has an {board.chip}; nothing was written",
                    "connect the right board, or choose its folder: carbonterm board list",
                )  # fmt: skip
            mac = ":".join(f"{one:02x}" for one in esp.read_mac())
            if stub:
                esp = cmds.run_stub(esp)
                esp.change_baud(baud)
            cmds.attach_flash(esp)
            _roomy(cmds.detect_flash_size(esp), what)
            if erase:
                cmds.erase_flash(esp)
            for address, data in what:
                cmds.write_flash(esp, [(address, data)], flash_size="keep", force=False, no_progress=False)
                cmds.verify_flash(esp, [(address, data)], flash_size="keep")
            with contextlib.suppress(FatalError):  # a board without the reset line is reset by hand
                cmds.reset_chip(esp, "hard-reset")
        finally:
            esp._port.close()
    return {"chip": chip, "mac": mac, "bytes": sum(len(data) for _, data in what), "seconds": time.monotonic() - begun}


def _roomy(found, what):
    """Refuses what ends behind the flash that the chip has; found: "16MB" as esptool says it, None where it can't."""
    room = int(found[:-2]) << (20 if found.endswith("MB") else 10) if found else None
    end = max(address + len(data) for address, data in what)
    if room is not None and end > room:
        raise Failure(
            FINDING, f"the chip has {found} of flash, the image ends at {end >> 10} KiB; nothing was written",
            "this is another module than board.toml describes: choose the folder of the right one",
        )  # fmt: skip


@contextlib.contextmanager
def _said(port):
    """Turns esptool's and the port's errors into ours, with the way out."""
    import serial
    from esptool.util import FatalError

    try:
        yield
    except serial.SerialException as error:
        raise _port_failure(port, error) from error
    except FatalError as error:
        text = str(error).strip().split("\n")[0]
        if isinstance(error.__cause__, serial.SerialException):
            raise _port_failure(port, error.__cause__) from error
        if "connect" in text.lower() or "sync" in text.lower():
            raise Failure(
                UNREACHABLE, f"no ESP32 answers on {port}: {text}",
                "hold BOOT while you press RESET, try another cable (some carry no data), then again",
            ) from error  # fmt: skip
        raise Failure(
            FINDING, f"writing over {port} failed: {text}",
            "the board still has its boot loader in ROM: run the same command again",
        ) from error  # fmt: skip
    except (OSError, struct.error) as error:
        raise Failure(
            UNREACHABLE, f"{port} vanished while it was written: {error}",
            "the board still has its boot loader in ROM: connect it and run the same command again",
        ) from error  # fmt: skip


def _port_failure(port, error):
    text = str(error)
    if "Permission" in text or "Errno 13" in text:
        return Failure(UNREACHABLE, f"{port}: no permission", "sudo usermod -aG dialout $USER, and log in again")
    if "busy" in text.lower() or "Errno 16" in text or "exclusively lock" in text:
        return Failure(UNREACHABLE, f"{port} is in use by another program", "close the console that has it open")
    if "No such file" in text or "could not open" in text:
        return Failure(UNREACHABLE, f"there is no serial port {port}", "carbonterm board list shows those there are")
    return Failure(UNREACHABLE, f"{port}: {text}", "connect the board and run the same command again")


# --- RP2350: a drive that takes UF2 files ------------------------------------------------------------------------


def uf2(pieces_, family):
    """UF2 bytes of [(address, bytes)] for a family id: blocks of 256 bytes (microsoft/uf2)."""
    blocks = []
    for address, data in pieces_:
        for at in range(0, len(data), 256):
            blocks.append((address + at, data[at : at + 256].ljust(256, b"\xff")))
    out = bytearray()
    for number, (address, data) in enumerate(blocks):
        head = struct.pack("<8I", _UF2[0], _UF2[1], 0x2000, address, 256, number, len(blocks), family)
        out += head + data.ljust(UF2_DATA, b"\0") + struct.pack("<I", _UF2[2])
    return bytes(out)


def uf2_blocks(data):
    """[(address, bytes, family)] of a UF2 file; Failure where it is none or is truncated."""
    if not data or len(data) % UF2_BLOCK:
        raise Failure(
            FINDING, f"{len(data)} bytes are no UF2 file, which has blocks of {UF2_BLOCK}", "download it again"
        )
    found = []
    for at in range(0, len(data), UF2_BLOCK):
        first, second, _, address, size, number, count, family = struct.unpack_from("<8I", data, at)
        (last,) = struct.unpack_from("<I", data, at + UF2_BLOCK - 4)
        if (first, second, last) != _UF2 or size > UF2_DATA:
            raise Failure(FINDING, f"block {at // UF2_BLOCK} is no UF2 block", "download it again")
        if count != len(data) // UF2_BLOCK or number != at // UF2_BLOCK:
            raise Failure(FINDING, f"UF2 block {number} of {count} is missing or out of order", "download it again")
        found.append((address, data[at + 32 : at + 32 + size], family))
    return found


FLASH_BASE = 0x10000000  # where the RP2350 maps its flash


def drive(board, folder, base, image_folder, erase):
    """Copies a UF2 of base firmware and image onto the drive `folder` of an RP2350 in its boot loader."""
    folder = Path(folder)
    if not (folder / _DRIVE_FILE).is_file():
        raise Failure(
            UNREACHABLE, f"{folder} is not the drive of a board in its boot loader: it has no {_DRIVE_FILE}",
            "hold BOOTSEL while you connect the board, and give the folder where its drive is mounted",
        )  # fmt: skip
    text = (folder / _DRIVE_FILE).read_text(errors="replace")
    if board.chip.upper() not in text.upper():
        raise Failure(
            FINDING,
            f"the drive is of another chip than {board.chip}: {text.strip().splitlines()[-1]}",
            "connect the right board",
        )
    family, parts = board.firmware["uf2_family"], []
    if base is not None:
        for address, data, said in uf2_blocks(base):
            if said == family:
                parts.append((address, data))
        if not parts:
            raise Failure(FINDING, f"the UF2 file has no block for family {family:#x}", "take the one for this board")
    parts.append((FLASH_BASE + board.partition("romfs").offset, (Path(image_folder) / image.ROMFS).read_bytes()))
    if erase:
        parts.append((FLASH_BASE + board.partition("vfs").offset, (Path(image_folder) / image.DATA).read_bytes()))
    data = uf2(parts, family)
    try:
        (folder / f"{board.name}.uf2").write_bytes(data)
    except OSError as error:
        raise Failure(
            UNREACHABLE, f"the drive vanished while it was written: {error}", "connect the board again and repeat"
        ) from error
    return {"chip": board.chip, "bytes": sum(len(one) for _, one in parts)}


# --- STM32: DFU -------------------------------------------------------------------------------------------------------

STM_BASE = 0x08000000


def dfu(board, base, image_folder, erase, folder):
    """Writes base firmware (a raw binary at the flash's beginning) and image by dfu-util; files go to `folder`."""
    if shutil.which("dfu-util") is None:
        raise Failure(USAGE, "dfu-util is not there", "apt-get install dfu-util")
    parts = [] if base is None else [(STM_BASE, base)]
    parts.append((STM_BASE + board.partition("romfs").offset, (Path(image_folder) / image.ROMFS).read_bytes()))
    if erase:
        parts.append((STM_BASE + board.partition("vfs").offset, (Path(image_folder) / image.DATA).read_bytes()))
    for address, data in parts:
        path = Path(folder) / f"{address:08x}.bin"
        path.write_bytes(data)
        done = subprocess.run(
            ["dfu-util", "-a", "0", "-d", "0483:df11", "-s", f"{address:#x}", "-D", str(path)],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            why = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1]
            raise Failure(UNREACHABLE, f"dfu-util: {why}", "connect BOOT0 to 3.3 V, press RESET, and repeat")
    return {"chip": board.chip, "bytes": sum(len(one) for _, one in parts)}
