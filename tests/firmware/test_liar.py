"""A liar with root on the gateway, against real MicroPython and a real platform: what he can do to a terminal's data
folder, and who finds out. docs/threats.md is this file in words; a row of its table that changes here changes there.

He has everything that lies on the gateway: the folder, the current private key, yesterday's copies. He does not have
the operator's key, the platform's, what the platform holds, or a checkpoint that somebody printed.
"""

import json
import shutil

import pytest

from carbonterm.gm import sm2
from carbonterm.ledger import entry
from carbonterm.ledger.segment import Log
from carbonterm_device.storage import Folder
from carbonterm_host import bundles, site_yaml
from shell import carbonterm
from station import Station, delivered

pytestmark = [pytest.mark.slow, pytest.mark.requirement("T-7.4-2", part="a liar with root on the gateway")]

EARLY = ("cutearly", "forgedearly")
NAMES = ("cut", "forged", "yesterday", "clone", "newkey", "bothkeys", "site", "receipts", "hidden", *EARLY)


@pytest.fixture(scope="module")
def station(tmp_path_factory):
    """Terminals that ran and delivered all; those named in EARLY went on while the platform was away."""
    with Station(tmp_path_factory.mktemp("liar"), "1s") as found:
        found.all = {name: found.registered(name) for name in NAMES}
        for one in found.all.values():
            one.start()
        for one in found.all.values():
            one.wait(delivered(0, 12))
        for one in found.all.values():
            assert one.stop() == 0
        printed = {name: heads(one)[-1] for name, one in found.all.items()}
        found.platform.kill()
        for name in EARLY:
            one = found.all[name]
            size = len(entries(one))
            one.start()
            one.wait(lambda status, size=size: status["entries"] > size + 8)
            one.kill()
        found.platform.start()
        found.printed = {}
        for name, text in printed.items():
            found.printed[name] = found.folder / f"{name}.txt"
            found.printed[name].write_text(text)
        yield found


def heads(one):
    return bundles.read(pulled(one)).checkpoints


def pulled(one):
    file = one.folder / "log.bundle"
    assert carbonterm("pull", one.data, "-o", file)[0] == 0
    return file


def entries(one):
    return [entry.decode(raw) for raw, _ in bundles.read(pulled(one)).entries]


def remade(one, log):
    """The folder's log made anew from `log` ([Entry]) with the stolen key; keys and registration stay, receipts go."""
    private = (one.data / "00000.key").read_bytes()
    for path in one.data.iterdir():
        if path.suffix in (".seg", ".ckp", ".rcp"):
            path.unlink()
    forged = Log(Folder(str(one.data)), one.name, 0, sm2.Signer(private))
    for row in log:
        forged.append(row.time_ms, row.clock_state, row.kind, row.body)
    forged.checkpoint()
    forged.storage.close()


def forgery(log):
    """The log with one reading changed and everything else as it was."""
    row = next(row for row in log if row.kind == entry.READINGS and row.body[0] and row.body[0][0][4] is not None)
    row.body[0][0][4] += 1
    return log


def outcome(station, one, *more):
    """Names of the verdicts that are not true, of `carbonterm verify` of the folder's bundle."""
    code, report = station.verify(pulled(one), *more)
    wrong = [name for name, verdict in report["verdicts"].items() if verdict is not True]
    assert (code == 0) == (wrong == [])
    return wrong, report


def platform(station):
    return "--platform", station.url, "--ca", station.ca, "--centre", station.public.hex()


def stops(one):
    """Whether the terminal says after its start that a centre holds more or other entries, and signs nothing more; it
    is not running then. Shorter than what the centre has it was set back; grown beyond that before it is told, it is
    another history.
    """
    one.start()
    status = one.wait(lambda status: status["stopped"])
    one.stop()
    return "the log was set back" in status["stopped"] or "two histories" in status["stopped"]


def test_the_last_entries_cut_off_after_the_receipt(station):
    one = station.all["cut"]
    whole = entries(one)
    remade(one, whole[:-4])
    assert outcome(station, one)[0] == []  # a shorter log is a true log
    assert outcome(station, one, "--operator", station.operator)[0] == []
    assert outcome(station, one, "--checkpoint", station.printed["cut"])[0] == ["checkpoints"]
    wrong, report = outcome(station, one, *platform(station))
    assert wrong == [] and f"holds {len(whole)} entries" in report["notes"][-1]
    assert stops(one)


def test_the_last_entries_cut_off_before_any_receipt(station):
    """Nobody has seen them: nobody misses them. Only a checkpoint that left the gateway before says so."""
    one = station.all["cutearly"]
    log, printed = entries(one), one.folder / "printed.txt"
    last = heads(one)[-1]
    printed.write_text(last)
    seen = station.receipt("cutearly").next_seq
    remade(one, log[:seen])
    one.start()
    one.wait(delivered(0, len(log) + 4))
    one.stop()
    assert outcome(station, one, *platform(station))[0] == []
    wrong, report = outcome(station, one, "--checkpoint", printed)
    assert wrong == ["checkpoints"] and "the terminal signed two histories" in report["reasons"]["checkpoints"]


def test_an_entry_replaced_after_the_receipt(station):
    one = station.all["forged"]
    remade(one, forgery(entries(one)))
    assert outcome(station, one)[0] == []  # the key is the terminal's: by itself it is right
    assert outcome(station, one, "--operator", station.operator)[0] == []
    assert outcome(station, one, "--checkpoint", station.printed["forged"])[0] == ["checkpoints"]
    assert "platform" in outcome(station, one, *platform(station))[0]
    assert stops(one)


def test_an_entry_replaced_before_any_receipt(station):
    """The same with an entry that nobody has seen: this is not found."""
    one = station.all["forgedearly"]
    log, seen = entries(one), station.receipt("forgedearly").next_seq
    remade(one, log[:seen] + forgery(log[seen:]))
    one.start()
    one.wait(delivered(0, len(log) + 4))
    one.stop()
    assert outcome(station, one, *platform(station), "--checkpoint", station.printed["forgedearly"])[0] == []


def test_yesterdays_copy_and_the_order_to_stop_removed(station):
    one = station.all["yesterday"]
    shutil.copytree(one.data, one.folder / "yesterday")
    one.start()
    one.wait(delivered(0, len(entries(one)) + 6))
    one.stop()
    shutil.rmtree(one.data)
    shutil.copytree(one.folder / "yesterday", one.data)
    assert stops(one)
    (one.data / "00000.stopped").unlink()
    assert stops(one)
    # with the platform out of reach he gets a second history signed; it is found at the next contact
    (one.data / "00000.stopped").unlink()
    size = len(entries(one))
    station.platform.kill()
    one.start()
    one.wait(lambda status: status["entries"] > size + 2)
    one.kill()
    station.platform.start()
    assert outcome(station, one, *platform(station))[0] == ["platform"]
    assert stops(one)


def test_two_copies_that_both_run(station):
    one, other = station.all["clone"], station.terminal("clone", "copy")
    shutil.copytree(one.data, other.data)
    size = len(entries(one))
    one.start()
    other.start()
    both = (one, other)
    for _ in range(600):
        if any(each.status().get("stopped") for each in both):
            break
        each_size = size + 1
        for each in both:
            each.wait(lambda status, least=each_size: status["stopped"] or status["entries"] >= least)
        size += 1
    stopped = [each.status()["stopped"] for each in both]
    for each in both:
        each.stop()
    assert any("two histories" in why or "set back" in why for why in stopped), stopped
    files = [pulled(each) for each in both]
    code, out, _ = carbonterm("verify", *files, "--json", "--backend", "openssl")
    fork = json.loads(out)["fork"]
    assert code == 4 and [leaf["signed"] for leaf in fork["leaves"]] == [True, True]


def test_a_new_key_in_place_of_the_old(station):
    private = bytes(31) + b"\x55"
    one = station.all["newkey"]
    (one.data / "00000.key").write_bytes(private)
    one.start()
    assert one.process.wait(120) == 1
    assert "00000.pub is missing or names another key" in one.console()
    one = station.all["bothkeys"]
    (one.data / "00000.key").write_bytes(private)
    (one.data / "00000.pub").write_bytes(sm2.public(private).hex().encode() + b"\n")
    before = {path.name: path.read_bytes() for path in one.data.iterdir()}
    one.start()
    assert one.process.wait(120) == 1
    assert "is not signed with the key at hand" in one.console()
    assert {path.name: path.read_bytes() for path in one.data.iterdir()} == before  # nothing is signed with it
    wrong = outcome(station, one)[0]
    assert "fingerprints" in wrong and "checkpoints" in wrong and "keys" in wrong


def test_another_site_document(station):
    """He may configure: that is what root is for. The log says so, with the time, and the figures say by which."""
    one = station.all["site"]
    document = (one.folder / "site.bin").read_bytes()
    text = (station.folder / "site.yaml").read_text().replace("every: 1s", "every: 2s")
    (station.folder / "site2.yaml").write_text(text)
    one.configure(site_yaml.compile_file(station.folder / "site2.yaml").canonical())
    for content in (None, document):
        if content:
            one.configure(content)
        size = len(entries(one))
        one.start()
        one.wait(delivered(0, size + 4))
        one.stop()
    configs = [row for row in entries(one) if row.kind == entry.CONFIG]
    assert len(configs) == 3 and configs[0].body == configs[2].body != configs[1].body
    assert outcome(station, one, *platform(station))[0] == []


def test_changed_and_removed_receipts(station):
    one = station.all["receipts"]
    (file,) = one.data.glob("*.rcp")
    data = file.read_bytes()
    for at in range(0, len(data), 7):
        changed = bytearray(data)
        changed[at] ^= 4
        file.write_bytes(changed)
        target = one.folder / "changed.bundle"
        if carbonterm("pull", one.data, "-o", target)[0] == 0:
            assert station.verify(target)[0] == 4, at
    file.unlink()
    wrong, report = outcome(station, one)
    assert wrong == [] and report["receipts"] == 0 and report["unwitnessed"] == report["entries"]
    assert outcome(station, one, "--centre", station.public.hex())[0] == ["keys"]
    assert outcome(station, one, *platform(station))[0] == []


def test_a_terminal_that_is_kept_from_the_platform(station):
    """He takes the centre out of the site document: the log says so itself, and the platform hears nothing more."""
    one = station.all["hidden"]
    text = (station.folder / "hidden.yaml").read_text().split("centres:")[0]
    (station.folder / "hidden2.yaml").write_text(text)
    one.configure(site_yaml.compile_file(station.folder / "hidden2.yaml").canonical())
    size = len(entries(one))
    one.start()
    one.wait(lambda status: status["entries"] > size + 4)
    one.stop()
    wrong, report = outcome(station, one, *platform(station))
    assert wrong == ["platform"] and report["verdicts"]["platform"] is None
    assert report["unwitnessed"] == len(entries(one)) - size
