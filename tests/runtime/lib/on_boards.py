"""What tests of virtual boards share: a site of one meter, provisioning, deploying, an image of another version."""

import json
import re
import shutil
import sqlite3

from carbonterm.field import models
from carbonterm.gm import sm2
from carbonterm_host.boards import deploy, image
from carbonterm_host.boards.remote import Remote
from shell import carbonterm

NAME, MODEL = "esp32-s3-n8r2", "eastron-sdm630"
MAKER = sm2.Signer(bytes(31) + b"\x05")
SITE = """
terminal: T1
name: a collector
zone: "+08:00"
buses: [{{name: line, kind: modbus-rtu, device: {device}, baud: 9600, timeout: 10s}}]
meters:
  - {{name: m1, bus: line, unit: 1, model: {model}}}
points:
  - {{name: P1, meter: m1, register: {register}, every: 1s}}
settings: {{profile: collector, commit: 1s}}
"""


def site(folder, device="rs485-1", more=""):
    register = models.load(MODEL)["registers"][0]["name"]
    path = folder / "site.yaml"
    path.write_text(SITE.format(device=device, model=MODEL, register=register) + more)
    return path


def provision(board, operator, yaml, *more, terminal="T1"):
    return carbonterm("board", "provision", NAME, "--terminal", terminal, "--operator-key", operator, "--site", yaml,
                      "--port", board.port, *more)  # fmt: skip


def vanish(board, done):
    """A board on USB takes its port along when its power fails; done: not empty where it did not."""
    board.wait(lambda b: not b.powered or done)
    board.unplug()


def cursor(store):
    """Entries that the centre has."""
    try:
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as base:
            return base.execute("select count(*) from entries").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


def deployed(board, folder, **options):
    with Remote(board.port, 30) as remote:
        done = deploy.deploy(remote, board.board, folder, **options)
        del board.said[:]
        remote.restart()
    return done


def signed(built, folder, signer, without=()):
    """A copy of an image, signed by a Signer or nobody: another version, whose ROMFS differs in few blocks; its
    manifest lacks the names of `without`."""
    shutil.copytree(built, folder)
    data = bytearray((built / image.ROMFS).read_bytes())
    version = re.search(rb"esp32-s3-n8r2 ([0-9.]+)\n", data)
    data[version.start(1)] = ord("9")
    at = data.rindex(b"provision")
    data[at : at + 9] = b"PROVISION"
    (folder / image.ROMFS).write_bytes(data)
    manifest = json.loads((folder / image.MANIFEST).read_text())
    manifest["carbonterm"] = "9" + manifest["carbonterm"][1:]
    for row in manifest["files"]:
        if row["name"] == image.ROMFS:
            row["sm3"] = image.digest(bytes(data))
    for name in without:
        del manifest[name]
    raw = image.canonical(manifest)
    (folder / image.MANIFEST).write_bytes(raw)
    (folder / image.SIGNATURE).unlink()
    if signer:
        (folder / image.SIGNATURE).write_text(signer.public.hex() + "\n" + signer.sign(raw).hex() + "\n")
    return folder
