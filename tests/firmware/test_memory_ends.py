"""A heap that is full, on the runtimes of boards: nothing that was read is lost, nothing is written twice."""

import json
import subprocess

import pytest

import runtimes
from carbonterm import site as sites
from carbonterm.gm import sm2
from carbonterm.ledger import entry
from carbonterm.ledger.segment import Log
from carbonterm_device import keys
from carbonterm_device.storage import Folder
from carbonterm_host import site_yaml
from carbonterm_host.commands.replay import replay

PRIVATE = bytes(31) + b"\x07"
SITE = """\
terminal: T1
name: one meter
zone: "+08:00"
buses: [{name: line, kind: serial, device: /dev/line, baud: 9600, timeout: 60s, gap: 0ms}]
meters: [{name: m, bus: line, unit: 1, model: eastron-sdm630}]
points: [{name: P, meter: m, register: active_energy_import, every: 200ms}]
settings: {profile: collector, commit: 500ms}
"""


def run(runtime, heap, *words):
    try:
        command, environment = runtimes.command(runtime, heap=heap)
    except runtimes.Unavailable as reason:
        pytest.skip(str(reason))
    done = subprocess.run([*command, "tests/firmware/memory_ends.py", *map(str, words)],
                          cwd=runtimes.ROOT, env=environment, capture_output=True, text=True, timeout=600)  # fmt: skip
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["micropython", "micropython32"])
def test_memory_that_ends_in_the_log(tmp_path, runtime):
    """Where memory ends in an entry, a commit or a checkpoint, the same is tried again and stands once."""
    told = run(runtime, "1M", "log", tmp_path / "log")
    assert told["append"] > 10 and told["commit"] > 3
    log = Log(Folder(str(tmp_path / "log")), "T1", 0, sm2.Signer(PRIVATE), segment_size=4096)
    numbers = []
    for raw, fingerprint in log.entries():
        assert sm2.verify(sm2.public(PRIVATE), raw, fingerprint)
        one = entry.decode(raw)
        if one.kind == entry.READINGS:
            numbers.append(one.time_ms - 1760000000000)
    assert numbers == list(range(130)) and log.sealed == log.size
    print(told)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["micropython", "micropython32"])
def test_memory_that_ends_in_a_new_site_document(tmp_path, runtime):
    """The terminal, its tasks and the file that starts read have the same version, and so has the log, each once."""
    (tmp_path / "site.bin").write_bytes(site_yaml.compile_text(SITE.replace("profile: collector, ", "")).canonical())
    told = run(runtime, "2M", "change", tmp_path / "log", tmp_path / "site.bin")
    assert len(told) > 5 and [row[:3] for row in told] == [[version] * 3 for version in range(2, len(told) + 2)]
    folder = Folder(str(tmp_path / "log"))
    log = Log(folder, "T1", 0, keys.load(folder, 0), segment_size=65536)
    found = [entry.decode(raw) for raw, _ in log.entries()]
    configured = [sites.decode(one.body[1]).version for one in found if one.kind == entry.CONFIG]
    assert configured == list(range(1, len(told) + 2)) and replay(list(log.entries()))[1] == []
    print(told)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["micropython", "micropython32"])
def test_a_collector_beside_who_takes_all_memory(tmp_path, runtime):
    """Each reading in the log is another answer of the meter, in their order; none that was taken is missing."""
    (tmp_path / "site.bin").write_bytes(site_yaml.compile_text(SITE).canonical())
    told = run(runtime, "1M", "app", tmp_path / "log", tmp_path / "site.bin")
    values = []
    folder = Folder(str(tmp_path / "log"))
    for raw, _ in Log(folder, "T1", 0, keys.load(folder, 0), segment_size=65536).entries():
        one = entry.decode(raw)
        values += [row[4] * 10 ** row[3] for row in one.body[0]] if one.kind == entry.READINGS else []
    assert len(values) == told["readings"] and told["missed"] == 0
    assert values == sorted(set(values)) and values[-1] <= told["answers"]
    print(told)


@pytest.mark.parametrize("runtime", ["micropython", "micropython32"])
def test_a_task_goes_on_where_memory_ends_as_a_steps_time_is_over(runtime):
    """What was left of the step cancels the task once, later: nobody asked for that, and the task begins again."""
    assert run(runtime, "1M", "late") == {"runs": 2, "ended": 1, "late": 1}
