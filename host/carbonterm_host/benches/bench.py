"""Runs a scenario and judges it: `run(scenario, folder, defect, tell)` leaves everything in the folder.

truth.jsonl is ground truth, log.bundle the terminal's log, verdicts.json the table of verdicts, junit.xml the same for
a CI, report.html for people; site.yaml what the terminal was given.
"""

import json
import os
import shutil
import time
from pathlib import Path

from carbonterm.errors import CarbonError
from carbonterm.gm import sm3
from carbonterm.ledger import bundle
from carbonterm.ledger import entry as entries
from carbonterm_host.benches import report
from carbonterm_host.benches.evidence import Evidence
from carbonterm_host.benches.expect import judge
from carbonterm_host.benches.real import Real
from carbonterm_host.benches.virtual import run as simulated
from carbonterm_host.commands import pull
from carbonterm_host.screen import UNREACHABLE, USAGE, Failure

MARK = ".carbonterm-bench"


def run(scenario, folder, defect=None, tell=lambda what, text: None):
    """The object of verdicts.json. defect: a name of scenario.defects; tell(what, text) hears of events. Failure where
    the bench cannot be run."""
    if defect is not None and defect not in scenario.defects:
        known = ", ".join(scenario.defects) or "none"
        raise Failure(USAGE, f"{scenario.name} knows no defect '{defect}'", f"there are: {known}")
    folder = Path(folder).absolute()
    empty(folder)
    began = time.monotonic()
    saw = observe(scenario, folder, scenario.defects.get(defect), tell)
    return conclude(scenario, folder, saw, defect, time.monotonic() - began)


def conclude(scenario, folder, saw, defect, took_s):
    """Judges what `saw` and the folder say, and writes it down; the object of verdicts.json."""
    _spoil(scenario.defects.get(defect), folder, saw)
    evidence = Evidence(scenario, folder, saw)
    verdicts = judge(evidence)
    result = {
        "scenario": scenario.name, "title": scenario.title, "time": scenario.time, "lasts_ms": scenario.ms,
        "seed": scenario.seed, "board": saw.get("board"), "defect": defect,
        "green": all(row["ok"] for row in verdicts), "verdicts": verdicts,
        "took_s": round(took_s, 1),
        "files": {name: sm3.digest((folder / name).read_bytes()).hex() for name in ("truth.jsonl", "log.bundle",
                                                                                    "site.bin")},
        "scenario_sm3": sm3.digest(scenario.path.read_bytes()).hex(),
        "counts": evidence.result.counts, "faults": saw["faults"],
    }  # fmt: skip
    (folder / "verdicts.json").write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    (folder / "junit.xml").write_text(report.junit(result), encoding="utf-8")
    (folder / "report.html").write_text(report.html(result, evidence), encoding="utf-8")
    return result


def observe(scenario, folder, defect, tell):
    """Lets everything happen; leaves the log's bundle and ground truth, and returns what the bench saw. Failure where
    that cannot be."""
    try:
        if not scenario.simulated:
            return Real(scenario, folder, defect, tell).run()
        saw = simulated(scenario, folder, defect)
        pull.to_file(folder / "log", folder / "log.bundle")
        return saw
    except (RuntimeError, OSError, CarbonError) as error:
        raise Failure(UNREACHABLE, f"{scenario.name}: {error}", f"see {folder}") from None


def empty(folder):
    """Makes a folder for a bench; what an earlier bench left in it goes."""
    if os.path.lexists(folder):
        if folder.is_symlink() or not folder.is_dir():
            raise Failure(USAGE, f"{folder} is no folder", "name another with -o")
        if any(folder.iterdir()) and not (folder / MARK).exists():
            raise Failure(USAGE, f"{folder} is not empty and not of an earlier bench", "name another folder with -o")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARK).touch()


def _spoil(defect, folder, saw):
    """What a defect does to what the terminal left, or to the flash it is reckoned with."""
    does, path = defect and defect["does"], folder / "log.bundle"
    if does == "flip":
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif does == "drop":
        _without(path)
    elif does == "worn":
        saw["cycles"] = defect["cycles"]
    elif does == "unsent":
        held = saw["centres"][0]["entries"]
        del held[sorted(held)[len(held) // 2]]


def _without(path):
    """The bundle without the entry of readings in its middle, with a digest that is right."""
    with open(path, "rb") as file:
        frames = [frame for _, frame in bundle.read(file)]
    at = [i for i, frame in enumerate(frames)
          if frame[0] == "entry" and entries.decode(frame[1]).kind == entries.READINGS]  # fmt: skip
    left = frames[: at[len(at) // 2]] + frames[at[len(at) // 2] + 1 :]
    with open(f"{path}.new", "wb") as file:
        writer = bundle.Writer(file, *left[0][1:])
        for frame in left[1:]:
            getattr(writer, frame[0])(*frame[1:])
        writer.end()
    os.replace(f"{path}.new", path)
