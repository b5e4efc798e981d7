"""A day of a collector on 32-bit MicroPython: 16 meters, log in littlefs, a centre over TLS, in a board's heap."""

import json
import subprocess
import time

import pytest

import board_image
import runtimes
from carbonterm.ledger import entry as entries
from carbonterm_host import site_yaml
from carbonterm_host.benches.centre import Centre
from carbonterm_host.platform import keys as platform_keys

METERS, HOURS = 16, 24
HEAP = 192 << 10
FLASH = 10 << 20  # the log's partition of an esp32-s3-n16r8
SITE = """\
terminal: CT-DAY-1
name: 采集器一日
zone: "+08:00"
buses: [{name: line, kind: serial, device: /dev/line, baud: 9600, timeout: 300ms, retries: 1, gap: 10ms}]
"""


def _yaml(centre):
    lines = [SITE, "meters:"]
    lines += [f"  - {{name: m{i}, bus: line, unit: {i}, model: eastron-sdm630}}" for i in range(1, METERS + 1)]
    lines.append("points:")
    lines += [f"  - {{name: P{i}, meter: m{i}, register: active_energy_import, every: 1min}}"
              for i in range(1, METERS + 1)]  # fmt: skip
    lines.append("settings: {profile: collector, commit: 60s}")
    lines.append(f"centres: [{json.dumps(centre)}]")
    return "\n".join(lines)


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.requirement("T-4-5", part="a day of a collector of 16 meters in the heap of a 32-bit board")
def test_a_day_of_a_collector_in_the_heap_of_a_board(tmp_path):
    """Each minute of each meter is in the log and at the centre, as it was said; no alarm, no error."""
    try:
        start, environment = runtimes.command("micropython32", search_path=[])
    except runtimes.Unavailable as reason:
        pytest.skip(str(reason))
    image, flash = tmp_path / "image", tmp_path / "flash"
    image.write_bytes(board_image.build("micropython32"))
    flash.write_bytes(b"\xff" * FLASH)
    start[-1] = f"heapsize={HEAP + image.stat().st_size}"

    def run(*words):
        done = subprocess.run([*start, "tests/firmware/collector_day.py", image, flash, *map(str, words)],
                              cwd=runtimes.ROOT, env=environment, capture_output=True, text=True)  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    said = run("init")
    start[-1] = f"heapsize={HEAP + image.stat().st_size + said['own']}"
    made = platform_keys.make_certificates(tmp_path / "tls")
    centre = Centre("centre", tmp_path / "centre", made, ("CT-DAY-1", said["epoch"], bytes.fromhex(said["public"])))
    zero = int(time.time()) // 60 * 60 - (HOURS + 1) * 3600
    try:
        centre.start()
        (tmp_path / "site.bin").write_bytes(site_yaml.compile_text(_yaml(centre.row())).canonical())
        told = run(tmp_path / "site.bin", HOURS, zero)
    finally:
        centre.stop()
    assert told["errors"] == [] and told["alarms"] == [] and told["heap"] < HEAP
    held = centre.held()
    assert held["twice"] == 0 and len(held["entries"]) == told["entries"]
    assert values(held) == {(point, minute): 1000 * (point + 1) + minute
                            for point in range(METERS) for minute in range(1, HOURS * 60 + 1)}  # fmt: skip
    print("heap", HEAP, "in use at most", told["heap"], "entries", told["entries"], "flash", told["storage"]["bytes"])


def values(held):
    """{(point, minutes since the start): value} of all readings."""
    found, begin = {}, None
    for _, raw in sorted(held["entries"].items()):
        entry = entries.decode(raw)
        if entry.kind == entries.START:
            begin = entry.time_ms
        elif entry.kind == entries.READINGS:
            for point, _, quality, exponent, mantissa in entry.body[0]:
                assert quality == 0 and exponent >= 0
                found[point, round((entry.time_ms - begin) / 60000)] = mantissa * 10**exponent
    return found


