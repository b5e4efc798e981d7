"""Two centres, one of which holds another history of the terminal: how many of them stop it is the site's to say."""

import ssl
from types import SimpleNamespace

import httpx
import pytest

from carbonterm.gm import sm2
from carbonterm.ledger import entry
from carbonterm.ledger.segment import Log
from carbonterm.uplink.message import Batch
from carbonterm_host import site_yaml
from memory_storage import MemoryStorage
from serving import post
from station import Station, delivered, patient


def configured(one, good, bad, centres, stop):
    """Configures the terminal `one` of Station `good` with the centres named."""
    text = good._yaml("T1").replace("commit: 50ms", f"commit: 50ms, stop: {stop}")
    lines = [line for line in text.split("\n") if not line.startswith("centres")]
    rows = {
        "good": f'{{name: good, url: "{good.url}", ca: ca.der, public: "{good.public.hex()}"}}',
        "bad": f'{{name: bad, url: "{bad.url}", ca: bad/ca.der, public: "{bad.public.hex()}"}}',
    }
    file = good.folder / "both.yaml"
    file.write_text("\n".join([*lines, "centres: [" + ", ".join(rows[name] for name in centres) + "]"]))
    one.configure(site_yaml.compile_file(file).canonical())


def another_history(one, bad, count):
    """What a centre holds that was given `count` other entries, signed with the terminal's own key."""
    signer = sm2.Signer((one.data / "00000.key").read_bytes())
    bad.platform.register(SimpleNamespace(terminal_id="T1", signer=signer))
    log = Log(MemoryStorage(), "T1", 0, signer)
    for _ in range(count):
        log.append(1750000000000, 3, entry.AUDIT, ["a", "thief's", "log"])
    log.commit()
    body = Batch("T1", 0, 0, list(log.entries()), log.checkpoint()).encode()
    with httpx.Client(verify=ssl.create_default_context(cafile=bad.ca)) as client:
        assert post(bad.platform, "T1", body, client)[1].next_seq == count


def log_of(one):
    return sorted((path.name, path.read_bytes()) for path in one.data.iterdir() if path.suffix in (".seg", ".ckp"))


@pytest.mark.slow
@pytest.mark.requirement("T-12.3.2-2", part="no signature on a fork; no single centre stops a terminal for ever")
def test_one_centre_of_two_has_another_history(tmp_path):
    (tmp_path / "bad").mkdir()
    with Station(tmp_path, meters=False) as good, Station(tmp_path / "bad", meters=False) as bad:
        one = patient(good.registered())
        configured(one, good, bad, ["good"], "any")
        for _ in range(3):
            one.start()
            one.wait(delivered(0, 2))
            assert one.stop() == 0
        another_history(one, bad, 2)  # fewer entries than the terminal has, under another root
        configured(one, good, bad, ["good", "bad"], "any")
        before = log_of(one)
        for _ in range(2):
            one.start()
            status = one.wait(lambda status: status["stopped"])
            assert "two histories" in status["stopped"] and "1 of 2 centres" in status["stopped"], status["stopped"]
            assert one.stop() == 0
        assert log_of(one) == before  # not one signature
        configured(one, good, bad, ["good", "bad"], "majority")
        one.start()
        status = one.wait(
            lambda status: status["centres"][1]["stopped"] and status["centres"][0]["cursor"] == status["entries"]
        )
        assert status["stopped"] == "" and [name for name, _ in status["against"]] == ["bad"]
        assert one.stop() == 0
        configured(one, good, bad, ["good"], "any")  # the operator has dropped the liar
        one.start()
        assert one.wait(delivered(0, len(before)))["stopped"] == ""
        assert one.stop() == 0
        code, report = good.verify(good.pulled(one), "--operator", good.operator)
        assert code == 0 and report["ok"], report
