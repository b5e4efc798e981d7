"""The real firmware and its storage: the beginning of a log goes when every centre holds it, and what is left verifies;
a storage that runs full, becomes read-only and comes back (a small tmpfs of its own) loses nothing that was there."""

import json
import shutil
import subprocess
from contextlib import contextmanager
from itertools import pairwise

import pytest

import disks
from carbonterm.ledger import entry as entries
from carbonterm.ledger import room
from carbonterm.ledger.frames import Frames, segments
from carbonterm.number import Number
from carbonterm_host import bundles, datafolder, site_yaml
from carbonterm_host.commands.replay import replay
from shell import carbonterm
from station import POINTS, Station, delivered

DAY = 86400000
SEGMENT = ("--segment-size", "12000")


def keeping(station, terminal, keep, **more):
    """Configures the terminal with `keep` in its settings; more: texts of the site file to be replaced."""
    text = station._yaml(terminal.name).replace("commit: 50ms", f"commit: 50ms, keep: {keep}")
    for old, new in more.items():
        text = text.replace(old, new)
    file = station.folder / "keeping.yaml"
    file.write_text(text)
    terminal.configure(site_yaml.compile_file(file).canonical())
    terminal.options = list(SEGMENT)


def audits(file, who):
    found = [entries.decode(raw) for raw, _ in bundles.read(file).entries]
    return [one.body[2] for one in found if one.kind == entries.AUDIT and one.body[0] == who]


def checked(station, terminal, begins=True):
    """The bundle of a stopped terminal, after verify, replay and trace; begins: its beginning was dropped."""
    file = station.pulled(terminal)
    code, report = station.verify(file)
    assert code == 0 and report["ok"] and (report["begins"] > 0) == begins, report
    code, out, err = carbonterm("verify", file, "--backend", "openssl")
    assert code == 0 and (f"begins with entry {report['begins']}" in out) == begins, out
    code, out, err = carbonterm("replay", file, "--json")
    assert code == 0 and json.loads(out)["equal"], (out, err)
    assert (json.loads(out)["begins"] is not None) == begins
    return file, report


@pytest.mark.slow
@pytest.mark.requirement("T-9.2-5", part="a log whose beginning was dropped")
@pytest.mark.requirement("T-7.6-2", part="what no centre holds is never dropped")
def test_what_all_centres_hold_goes_by_age(tmp_path):
    with Station(tmp_path) as station:
        one = station.registered(offset_ms=-3 * DAY)
        keeping(station, one, "{days: 1}")
        one.start()
        one.wait(lambda status: status["entries"] > 60)
        one.rotate()
        one.wait(lambda status: status["epoch"] == 1 and status["entries"] > 150)
        # no day old: nothing goes, though all of it is held
        one.wait(delivered(1))
        assert one.status()["storage"]["begins"] == [0, 0]
        one.set_clock(0)
        status = one.wait(lambda status: status["storage"]["begins"][0] == 1)
        assert status["storage"]["begins"][1] > 0 and not status["alarms"]
        # a start reads only what is there, and so does delivery
        one.kill()
        one.offset_ms = 0
        one.start()
        status = one.wait(delivered(1, status["entries"] + 10))
        assert [row["error"] for row in status["centres"]] == [""] and not status["disagreements"]
        assert one.stop() == 0
        names = sorted(path.name for path in one.data.iterdir())
        assert not [name for name in names if name[:6] == "00000-" and name.endswith((".seg", ".ckp"))]
        assert "00000.pub" in names and "00000.end" in names and "00000.key" not in names
        file, report = checked(station, one)
        # what is left still leads to the operator's word for the key of epoch 0, and a centre's for its end
        code, report = station.verify(file, "--operator", station.operator)
        assert code == 0 and report["anchored"] and report["begins"] > 0, report
        assert any("is named by epoch 0, which was dropped" in note for note in report["notes"])
        assert [row["epoch"] for row in report["keys"]] == [1] and report["cosignatures"] > 0
        assert station.verify(file, "--operator", station.public.hex())[1]["verdicts"]["keys"] is False
        proof = one.folder / "one.proof"
        assert carbonterm("prove", file, str(report["begins"] + 3), "-o", proof)[0] == 0
        assert carbonterm("verify", proof, "--operator", station.operator)[0] == 0
        first = segments(datafolder.DataFolder(one.data))[0][1]
        assert report["begins"] == first
        said = audits(file, "retention")
        print(said)
        assert any(f"before 1:{first}," in text or "before 1:" in text for text in said)
        assert carbonterm("trace", file, "--list")[0] == 0
        # the platform has all of it
        assert station.receipt(epoch=1).next_seq == one.status()["entries"]


@pytest.mark.slow
@pytest.mark.requirement("T-7.6-2", part="what no centre holds is never dropped")
def test_nothing_goes_that_no_centre_holds(tmp_path):
    with Station(tmp_path) as station:
        one = station.registered(offset_ms=-3 * DAY)
        keeping(station, one, "{days: 1}")
        station.platform.kill()
        one.start()
        one.wait(lambda status: status["entries"] > 150)
        one.set_clock(0)
        one.wait(lambda status: status["entries"] > 250)
        assert one.status()["storage"]["begins"] == [0, 0]
        # the centre comes back: now it may go
        station.platform.start()
        one.wait(lambda status: status["storage"]["begins"][1] > 0)
        assert one.stop() == 0
        checked(station, one)


def commits(one):
    """[(offset behind the commit, its entries)] of the only segment of a terminal."""
    storage = datafolder.DataFolder(one.data)
    ((epoch, first, name),) = segments(storage)
    reader = Frames(storage, name, epoch, first)
    found, end, frame = [], reader.end, reader.next()
    while frame:
        if frame[2]:
            found.append([end, 0])
        found[-1][1] += 1
        end, frame = reader.end, reader.next()
    return list(zip([row[0] for row in found[1:]] + [end], [row[1] for row in found], strict=True))


@pytest.mark.slow
@pytest.mark.requirement("T-7.4-1", part="entries are committed together, by bytes")
def test_commits_by_bytes(tmp_path):
    """With `commit` at ten minutes it is the waiting bytes that make a commit, just behind another multiple."""
    with Station(tmp_path, "100ms") as station:
        one = station.registered()
        text = station._yaml("T1").replace("commit: 50ms", "commit: 10min, commit_size: 2048")
        (tmp_path / "bytes.yaml").write_text(text)
        one.configure(site_yaml.compile_file(tmp_path / "bytes.yaml").canonical())
        one.start()
        started = one.wait(lambda status: status["entries"] > 0)["entries"]
        size = one.wait(lambda status: status["entries"] > started + 60)["entries"]
        one.wait(lambda status: status["entries"] > size)
        one.kill()  # what waited is gone, what was committed is not
        rows = commits(one)
        print(rows)
        held = sum(count for _, count in rows)
        assert held > size and sum(count for _, count in rows[:2]) >= started
        blocks = [end // 2048 for end, _ in rows[1:]]  # the first two are those of the start
        assert len(blocks) > 3 and all(before < block for before, block in pairwise(blocks))
        one.start()
        status = one.wait(lambda status: status["entries"] > held)
        assert status["found"] == held
        assert one.stop() == 0
        file, _ = checked(station, one, begins=False)
        assert totals_are_the_meters(station, file) == 4


# --- a small storage -----------------------------------------------------------------------------------------------


def mount(*arguments):
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")


@contextmanager
def small(station, size, **more):
    """A registered terminal whose data folder is a file system of `size` KiB."""
    folder = station.folder / "T1" / "data"
    folder.mkdir(parents=True)
    mount("-t", "tmpfs", "-o", f"size={size}k", "tmpfs", folder)
    try:
        one = station.registered(**more)
        yield one
        if one.process and one.process.poll() is None:
            one.kill()
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def totals_are_the_meters(station, file, dropped=False):
    """Every point's total is the last believed reading less the first: what was not read is in the next increment.
    dropped: the first is only known to be one of those that its meter has said."""
    values = {}
    found = bundles.read(file).entries
    for one in map(entries.decode, (raw for raw, _ in found)):
        if one.kind == entries.READINGS:
            for point, _, quality, exponent, mantissa in one.body[0]:
                if quality < 2:
                    values.setdefault(point, []).append(Number(mantissa, exponent))
    fold, wrong = replay(found)
    assert wrong == []
    for point, numbers in values.items():
        total = fold.pipeline.settlers[point].total
        if dropped:
            name = next(row[1] for row in POINTS if row[0] == fold.pipeline.site.points[point].name)
            said = [Number(str(value)) for row in station.plant.truth.answers(name)
                    for value in row["registers"].values() if value is not None]  # fmt: skip
            assert numbers[-1] - total in said, point
        else:
            assert total == numbers[-1] - numbers[0], point
    return len(values)


@pytest.mark.slow
@pytest.mark.requirement("T-12.4-2", part="a storage that is full")
def test_a_full_storage_and_its_way_back(tmp_path):
    with Station(tmp_path) as station, small(station, 400) as one:
        keeping(station, one, "{days: 1}")
        one.start()
        one.wait(lambda status: status["entries"] > 40)
        # somebody else fills the disk: the terminal lives, says it, and records nothing that is not there
        disks.fill(one.data / "ballast")
        status = one.wait(lambda status: status["storage"]["failed"])
        assert "ENOSPC" in status["storage"]["failed"] and "free space" in status["storage"]["do"]
        assert any("nothing is recorded" in text for text in status["alarms"]) and status["points"] == []
        held = status["entries"]
        status = one.wait(lambda status: status["storage"]["missed"] > 30)
        assert status["entries"] == held
        (one.data / "ballast").unlink()
        status = one.wait(lambda status: not status["storage"]["failed"] and status["entries"] > held + 20)
        assert one.stop() == 0 and status["alarms"] == []
        file, _ = checked(station, one, begins=False)
        said = audits(file, "terminal")
        print(said)
        assert any("ENOSPC" in text and "not stored" in text for text in said)
        assert totals_are_the_meters(station, file) == 4


@pytest.mark.slow
@pytest.mark.requirement("T-12.4-2", part="a storage that becomes read-only")
def test_a_storage_that_becomes_read_only(tmp_path):
    with Station(tmp_path) as station, small(station, 2000) as one:
        keeping(station, one, "{days: 1}")
        one.start()
        one.wait(lambda status: status["entries"] > 40)
        one.kill()
        mount("-o", "remount,ro", one.data)
        one.start()
        # a start on it: the terminal lives and says so
        status = one.wait(lambda status: status["storage"]["failed"])
        assert "EROFS" in status["storage"]["failed"] and "mount it writable" in status["storage"]["do"]
        mount("-o", "remount,rw", one.data)
        status = one.wait(lambda status: not status["storage"]["failed"] and status["entries"] > 60)
        assert one.stop() == 0
        file, _ = checked(station, one, begins=False)
        assert totals_are_the_meters(station, file) == 4


@pytest.mark.slow
@pytest.mark.requirement("T-12.4-2", part="the order in which a terminal takes less")
def test_the_order_of_degradation_with_the_link_down(tmp_path):
    with Station(tmp_path) as station, small(station, 320) as one:
        keeping(station, one, "{days: 1}")
        station.platform.kill()
        one.start()
        one.wait(lambda status: status["entries"] > 300)
        one.kill()
        one.start()
        ballast = one.data / "ballast"

        def squeeze(step):
            """Somebody else's file leaves a little less room than begins a step; returns the status at it."""
            usage = shutil.disk_usage(one.data)
            with open(ballast, "ab") as file:
                file.write(bytes(max(usage.free - room.limits(usage.total)[step - 1] + 2048, 0)))
            return one.wait(lambda status: status["storage"]["step"] == step)

        said = [squeeze(step)["storage"]["name"] for step in (room.EARLY, room.COARSE, room.REGISTERS, room.CLOSED)]
        assert said == ["early", "coarse", "registers", "closed"]
        status = one.status()
        assert status["storage"]["failed"] is None and any("storage runs out" in text for text in status["alarms"])
        assert status["storage"]["begins"] == [0, 0]
        size, left_out = status["entries"], status["storage"]["left_out"]
        status = one.wait(lambda status: status["storage"]["left_out"] > left_out + 40)
        assert status["entries"] <= size + 2
        # a start in this state finds room for what it has to say
        one.kill()
        one.start()
        one.wait(lambda status: status["entries"] > size and status["storage"]["name"] == "closed")
        # the centre comes back, what it holds goes, and all is well
        station.platform.start()
        status = one.wait(lambda status: status["storage"]["step"] < room.COARSE and status["entries"] > size + 20)
        assert status["storage"]["begins"][1] > 0 and status["storage"]["left_out"] == 0
        assert one.stop() == 0
        file, _ = checked(station, one)
        texts = audits(file, "terminal")
        print(texts, audits(file, "retention"))
        steps = [int(text.split()[1]) for text in texts if text.startswith("step ")]
        assert steps[-1] < room.COARSE and room.CLOSED in steps
        assert any("left out" in text for text in texts)
        assert "storage runs out" in audits(file, "retention")[-1]
        assert station.receipt().next_seq == one.status()["entries"]
        assert totals_are_the_meters(station, file, True) == 4
