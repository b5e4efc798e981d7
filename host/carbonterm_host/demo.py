"""The whole chain on loopback: simulated meters → firmware on MicroPython → signed log → platform → proof.

`Demo(folder, seconds).run(tell)` does all of it and returns the result; `tell(stage, text)` hears of each stage once,
as soon as it has happened. Everything it leaves is in `folder`; demo.bundle is the log.
"""

import fcntl
import json
import shutil
import signal
import sqlite3
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from carbonterm import clock
from carbonterm.errors import LedgerError
from carbonterm.gm import sm2, sm3
from carbonterm.ledger import entry as entries
from carbonterm.ledger.frames import Frames, segments
from carbonterm.number import Number
from carbonterm_host import bundles, gm_backends, runtime, site_yaml
from carbonterm_host.commands import bundle as bundle_command
from carbonterm_host.commands import pull
from carbonterm_host.commands import verify as verify_command
from carbonterm_host.commands.replay import replay, totals
from carbonterm_host.datafolder import DataFolder
from carbonterm_host.firmware import Terminal
from carbonterm_host.platform import keys
from carbonterm_host.screen import UNREACHABLE, USAGE, Failure, say
from carbonterm_host.simulate.site import six_meters
from carbonterm_host.verifier import Verifier

TERMINAL = "CT-DEMO-1"
ZONE = 480
STARTING_MS = 6000  # for the first reading, at the most, before the run counts
SPEED = 60  # the meters' time runs so much faster, so that a short demo moves their registers
HEAP = "8M"
FOLLOWED = "E3"  # the point whose way is told: a meter on the serial line
MARK = ".carbonterm-demo"

# point, meter of the simulated plant, register, source it feeds
POINTS = (
    ("E1", "em-1", "active_energy_import", "electricity"),
    ("E2", "em-2", "active_energy_import", "electricity"),
    ("E3", "em-3", "active_energy_import", "electricity"),
    ("E4", "em-4", "active_energy_import", "electricity"),
    ("G1", "gas-1", "volume", "natural gas"),
    ("H1", "heat-1", "heat_float", "heat"),
)
SOURCES = (
    ("natural gas", "fuel_combustion", "FC", {"fuel": "natural_gas"}),
    ("electricity", "purchased_electricity", "AD", {"EF": "cn-nat-2023"}),
    ("heat", "purchased_heat", "AD", {}),
)
# by purpose: what is burnt for the process, what the whole plant draws
BOUNDARY = {
    "entity": {"name": "示范工厂 Demo plant", "equivalent": "演示，非企业法人 a demonstration, no legal person"},
    "divide": "purpose",
    "units": [{"name": name, "sector": "other-industry"} for name in ("生产 production", "公用 utilities")],
    "sources": [{"source": name, "unit": "生产 production" if source == "fuel_combustion" else "公用 utilities"}
                for name, source, _, _ in SOURCES],
}  # fmt: skip


class Demo:
    """`folder` is emptied first if an earlier demo left it; seconds: how long the terminal runs, at least 10."""

    def __init__(self, folder, seconds=40, seed=1):
        self.folder = Path(folder)
        self.seconds = seconds
        self.seed = seed
        self.platform = None
        self.peak_rss = 0

    def run(self, tell):
        """The result that `carbonterm demo --json` prints. Failure where a part cannot be started."""
        try:
            binary = runtime.find()
        except runtime.NotFound as reason:
            raise Failure(UNREACHABLE, *str(reason).split("; ", 1)) from None
        self._empty_folder()
        self.runtime = runtime.version(binary)
        plant = six_meters(self.seed, SPEED, self.folder / "truth.jsonl", path=str(self.folder / "line.tty"))
        self.terminal = Terminal(self.folder / "terminal", heap=HEAP, binary=binary)
        try:
            epoch, self.public = self.terminal.key()
            self._start_platform(epoch)
            with plant:
                self._configure(plant)
                self._operate(tell)
            self._show_platform(tell)
        finally:
            if self.terminal.process:
                self.terminal.stop()
            if self.platform:
                self.platform.send_signal(signal.SIGTERM)
                self.platform.wait(20)
        return self._judge(plant, tell)

    # --- setting up --------------------------------------------------------------------------------------------------

    def _empty_folder(self):
        if self.folder.exists():
            if any(self.folder.iterdir()) and not (self.folder / MARK).exists():
                raise Failure(USAGE, f"{self.folder} is not empty and not of an earlier demo", "name another --folder")
            if (self.folder / MARK).exists():
                self._lock()
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True)
        (self.folder / MARK).touch()
        self._mark = self._lock()

    def _lock(self):
        """The open mark, which no other demo can have at the same time."""
        mark = open(self.folder / MARK)  # noqa: SIM115
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            mark.close()
            hint = "wait for it, or name another --folder"
            raise Failure(USAGE, f"another demo runs in {self.folder}", hint) from None
        return mark

    def _offset(self):
        """Milliseconds that put the terminal's clock back so that last midnight comes a third into the run, on a slow
        machine too; a log from the time to come would not verify."""
        now, later = time.time_ns() // 1000000, self.seconds * 350 + STARTING_MS
        self.midnight = time.monotonic() + later / 1000
        return clock.start(clock.DAY, now - 2 * later, ZONE) - now - later

    def _start_platform(self, epoch):
        tls = keys.make_certificates(self.folder / "tls")
        self.store = self.folder / "platform.sqlite"
        self.platform = subprocess.Popen(
            [
                *(sys.executable, "-m", "carbonterm_host", "platform", "serve", "--json"),
                *("--store", f"sqlite:///{self.store}", "--register", f"{TERMINAL}:{epoch}:{self.public.hex()}"),
                *("--tls-cert", tls["server.pem"], "--tls-key", tls["server.key"]),
            ],
            stdout=subprocess.PIPE,
            stderr=open(self.folder / "platform.log", "wb"),  # noqa: SIM115 - the child's
            text=True,
        )
        line = self.platform.stdout.readline()
        if not line:
            said = (self.folder / "platform.log").read_text()[-2000:]
            raise Failure(UNREACHABLE, f"the platform did not start: {said}", "see platform.log in the demo's folder")
        self.centre = json.loads(line)

    def _configure(self, plant):
        import yaml

        buses = [bus.describe() for bus in plant.buses]
        meters = [
            {"name": meter.name, "bus": bus.name, "unit": meter.unit, "model": meter.model["id"]}
            for bus in plant.buses
            for meter in bus.meters.values()
        ]
        document = {
            "terminal": TERMINAL,
            "name": "示范工厂 Demo plant",
            "zone": clock.zone_text(ZONE),
            "buses": [
                {"name": b["bus"], "kind": b["kind"]}
                | ({"host": b["address"], "port": b["port"]} if b["kind"] == "modbus-tcp" else {})
                | ({"device": b["address"], "baud": b["port"]} if b["kind"] == "modbus-rtu" else {})
                for b in buses
            ],
            "meters": meters,
            "points": [{"name": p, "meter": m, "register": r, "every": "1s"} for p, m, r, _ in POINTS],
            "sources": [
                {"name": name, "method": "cn-2015-other-industry", "source": source,
                 "parameters": {activity: [p for p, _, _, feeds in POINTS if feeds == name], **constants}}
                for name, source, activity, constants in SOURCES
            ],
            "boundary": BOUNDARY,
            "centres": [{"name": self.centre["name"], "url": self.centre["url"], "ca": "tls/ca.der",
                         "public": self.centre["public_key"]}],
            "settings": {"commit": "500ms"},
        }  # fmt: skip
        file = self.folder / "site.yaml"
        file.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False))
        self.site = site_yaml.compile_file(file)
        self.terminal.configure(self.site.canonical())

    # --- running -----------------------------------------------------------------------------------------------------

    def _operate(self, tell):
        stages = Stages(self.site, self.terminal, self.public, tell)
        self.terminal.offset_ms = self._offset()
        self.terminal.start()
        self.terminal.wait(lambda status: status["readings"] > 0, 30)
        begin = time.monotonic()
        self.acknowledged = 0
        while time.monotonic() < begin + self.seconds / 2:
            self._look(stages)
        self.terminal.kill()
        self.acknowledged = max(self.acknowledged, self._uploaded())
        tell("kill", say(f"SIGKILL with {self.acknowledged} entries acknowledged; started again",
                         f"SIGKILL，已确认 {self.acknowledged} 条；重新启动"))  # fmt: skip
        self.terminal.start()
        status = self.terminal.wait(lambda status: True, 30)
        tell("recovered", say(f"{status['found']} entries found in the log, goes on after them",
                              f"日志中有 {status['found']} 条，接续运行"))  # fmt: skip
        while time.monotonic() < max(begin + self.seconds, self.midnight + 3):
            self._look(stages)
        code = self.terminal.stop()
        if code:
            raise Failure(UNREACHABLE, f"the terminal ended with {code}:\n{self.terminal.console()[-2000:]}")
        self.status = self.terminal.status()

    def _show_platform(self, tell):
        """Keeps what the platform shows people: platform.html, and platform.json with the same figures."""
        trusted = ssl.create_default_context(cafile=self.folder / "tls" / "ca.pem")
        for path, name in (("/", "platform.html"), (f"/v1/terminals/{TERMINAL}", "platform.json")):
            with urllib.request.urlopen(self.centre["url"] + path, context=trusted, timeout=30) as answer:
                (self.folder / name).write_bytes(answer.read())
        shown = json.loads((self.folder / "platform.json").read_text())
        day = [f"{row['source']} {row['tco2e']}" for row in shown["emissions"] if row["period"] == "day"]
        tell("shown", say("platform.html, tCO2e of the day: ", "platform.html，当日 tCO2e：") + ", ".join(day))

    def _look(self, stages):
        status = self.terminal.status()
        if status:
            self.peak_rss = max(self.peak_rss, self._resident())
            for centre in status["centres"]:
                self.acknowledged = max(self.acknowledged, centre["cursor"] or 0)
            stages.look(status)
        time.sleep(0.1)

    def _resident(self):
        try:
            text = Path(f"/proc/{self.terminal.process.pid}/status").read_text()
            return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM"))
        except (OSError, StopIteration):
            return 0

    def _uploaded(self):
        return len(self._platform_entries())

    def _platform_entries(self):
        """[(seq, entry bytes)] in the platform's store, read beside it."""
        with sqlite3.connect(f"file:{self.store}?mode=ro", uri=True) as connection:
            return connection.execute("SELECT seq, raw FROM entries ORDER BY seq").fetchall()

    # --- judging -----------------------------------------------------------------------------------------------------

    def _judge(self, plant, tell):
        file = self.folder / "demo.bundle"
        pull.to_file(self.terminal.data, file)
        found = bundles.read(file)
        verifier = Verifier([self.public], **verify_command.tools(gm_backends.best()))
        with open(file, "rb") as opened:
            verifier.read(opened)
        report = verifier.report()
        counts = (report["entries"], report["checkpoints"])
        text = say("%d entries, %d checkpoints, own code: ", "%d 条记录、%d 个检查点，本机代码：") % counts
        tell("verified", text + _yes(report["ok"]))
        openssl = self._openssl(found, tell)
        fold, wrong = replay(found.entries)
        text = say("%d settlements and emissions recomputed from the readings: ", "由读数重算结算与排放 %d 条：")
        tell("replayed", text % fold.compared + _yes(not wrong))
        log = [raw for raw, _ in found.entries]
        held = self._platform_entries()
        lost, duplicated = _compare(log, held, self.acknowledged)
        figures = totals(fold.pipeline)
        meters = _meters(found.entries, self.site, fold.pipeline, plant)
        readings = sum(len(e.body[0]) for e in map(entries.decode, log) if e.kind == entries.READINGS)
        return {
            "readings": readings,
            "entries": len(log),
            "uploaded": len(held),
            "lost": lost,
            "duplicated": duplicated,
            "tco2e": figures["tco2e"],
            "verified": report["ok"],
            "openssl_verified": openssl,
            "replayed_equal": not wrong and fold.compared > 0 and not fold.expected,
            "runtime": self.runtime,
            "meters": meters,
            "sources": figures["sources"],
            "unsealed": report["unsealed"],
            "heap": {"limit": HEAP, "live_peak": self.status["heap_peak"], "resident_kb": self.peak_rss},
            "kills": 1,
            "simulated": f"six meters, their time ×{SPEED}; the terminal's clock: midnight falls into the run",
            "folder": str(self.folder),
        }

    def _openssl(self, found, tell):
        target = self.folder / "openssl"
        target.mkdir()
        count = bundle_command.write(found, target)
        done = subprocess.run(["sh", target / "verify.sh"], capture_output=True, text=True)
        text = say("%d signatures checked by plain openssl: ", "openssl 验证签名 %d 个：")
        tell("openssl", text % count + _yes(done.returncode == 0))
        return done.returncode == 0


class Stages:
    """Watches the log grow, and tells each stage of one reading's way when it is first there."""

    def __init__(self, plan, terminal, public, tell):
        self.site = plan
        self.storage = DataFolder(terminal.data)
        self.public = public
        self.tell = tell
        self.point = next(i for i, point in enumerate(plan.points) if point.name == FOLLOWED)
        self.bus = plan.buses[plan.meters[plan.points[self.point].meter].bus].name
        self.frames = {}
        self.first = self.entry = self.second = None
        self.seen = 0
        self.done = set()

    def once(self, stage, text):
        if stage not in self.done:
            self.done.add(stage)
            self.tell(stage, text)

    def look(self, status):
        frames = bytes.fromhex(next(bus["frames"] for bus in status["buses"] if bus["bus"] == self.bus))
        if frames:
            self.frames[sm3.digest(frames)] = frames
        for raw, fingerprint in self._new():
            self._entry(entries.decode(raw), fingerprint)
        centre = status["centres"][0]
        if self.entry is not None and status["sealed"] > self.entry.seq:
            text = say("Merkle root of %d entries signed, with entry %d", "%d 条记录的 Merkle 根已签，含第 %d 条")
            self.once("checkpoint", text % (status["sealed"], self.entry.seq))
            if (centre["cursor"] or 0) > self.entry.seq:
                text = say("signed receipt of '%s': %d entries held durably", "'%s' 已签回执：持久保存 %d 条")
                self.once("platform", text % (centre["name"], centre["cursor"]))

    def _new(self):
        """(entry bytes, fingerprint) that are new in the log; the terminal goes on writing meanwhile."""
        try:
            found = []
            for epoch, first, name in segments(self.storage):
                frames = Frames(self.storage, name, epoch, first)
                frame = frames.next()
                while frame:
                    found.append(frame[:2])
                    frame = frames.next()
        except (LedgerError, OSError):  # between two writes; the next look sees it whole
            return []
        fresh, self.seen = found[self.seen :], max(self.seen, len(found))
        return fresh

    def _entry(self, entry, fingerprint):
        if entry.kind == entries.READINGS:
            self._reading(entry, fingerprint)
        elif entry.kind == entries.CLOSING:
            for row in entry.body[2]:
                if row[0] == self.point:
                    period = clock.PERIODS[entry.body[0]]
                    text = f"{clock.text(entry.body[1], ZONE)}: {Number(row[3], row[2])} {self._unit()}"
                    partly = say(" (estimated: seen in part)", "（估算：只见到一部分）") if row[1] else ""
                    self.once(f"settlement {period}", text + partly)
        elif entry.kind == entries.EMISSION:
            for row in entry.body[3]:
                source = self.site.sources[row[0]]
                if row[3] is not None and any(p == self.point for feed in source.inputs for p, _, _ in feed.points):
                    period = clock.PERIODS[entry.body[0]]
                    text = f"{source.name}: {Number(row[3], row[2])} tCO2e"
                    used = say("method and factors", "方法与因子")
                    self.once(f"emission {period}", f"{text}, {used} SM3 {row[4].hex()[:16]}…")

    def _reading(self, entry, fingerprint):
        row = next((row for row in entry.body[0] if row[0] == self.point and row[4] is not None), None)
        if row is None:
            return
        value = Number(row[4], row[3])
        if self.entry is None and entry.body[1] in self.frames:
            self.entry, self.first = entry, value
            meter = self.site.meters[self.site.points[self.point].meter]
            self.once("frame", f"{meter.name} ({meter.model}): {self.frames[entry.body[1]].hex(' ')}")
            self.once("reading", f"{FOLLOWED} = {value} {self._unit()} @ {clock.text(entry.time_ms + row[1], ZONE)}")
            good = sm2.verify(self.public, entry.raw, fingerprint)
            text = say("entry %d, %d bytes, SM2 fingerprint %s…: %s", "第 %d 条，%d 字节，SM2 指纹 %s…：%s")
            self.once("log", text % (entry.seq, len(entry.raw), fingerprint.hex()[:16], _yes(good)))
        elif self.entry is not None and value > self.first:
            self.once("increment", f"{FOLLOWED}: {value} - {self.first} = {value - self.first} {self._unit()}")

    def _unit(self):
        return self.site.points[self.point].unit


def _compare(log, held, acknowledged):
    """(lost, duplicated): entries that were acknowledged or logged and are not at the platform as they were logged;
    entries that either side has twice."""
    platform = dict(held)
    lost = sum(1 for seq, raw in enumerate(log) if platform.get(seq) != raw) + max(acknowledged - len(log), 0)
    strangers = sum(1 for seq in platform if seq >= len(log))
    return lost, (len(held) - len(platform)) + (len(log) - len(set(log))) + strangers


def _meters(rows, plan, pipeline, plant):
    """Per point: first and last reading of the log, the sum of increments, and what the meter itself says it gave:
    every logged value must be one that the meter answered, and last minus first the sum."""
    logged = {index: [] for index in range(len(plan.points))}
    for raw, _ in rows:
        entry = entries.decode(raw)
        if entry.kind == entries.READINGS:
            for point, _, _, exponent, mantissa in entry.body[0]:
                if mantissa is not None:
                    logged[point].append(Number(mantissa, exponent))
    table = []
    for index, (name, meter, register, _) in enumerate(POINTS):
        point, values = plan.points[index], logged[index]
        answers = [row["registers"] for row in plant.truth.answers(meter)]
        said = [Number(str(registers[register])) for registers in answers if register in registers]
        total = pipeline.settlers[index].total
        table.append({
            "point": name, "meter": meter, "unit": point.unit, "readings": len(values),
            "first": str(values[0]) if values else None, "last": str(values[-1]) if values else None,
            "increment": str(total),
            "agrees": bool(values) and _subsequence(values, said) and total == values[-1] - values[0],
        })  # fmt: skip
    return table


def _subsequence(values, said):
    """Whether the values stand in `said` in the same order: each is an answer of the meter, none is out of turn."""
    answers = iter(said)
    return all(any(value == answer for answer in answers) for value in values)


def _yes(good):
    return say("yes", "是") if good else say("NO", "否")
