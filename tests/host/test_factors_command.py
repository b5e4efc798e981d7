"""`carbonterm factors`: sets, versions by date, differences, confirmations, evidence, signed packages."""

import functools
import http.server
import json
import threading
from pathlib import Path

import pytest

from carbonterm.errors import AccountingError
from carbonterm.gm import sm3
from carbonterm_host import library, library_folder, library_package
from carbonterm_host.cli import main
from carbonterm_host.commands import key as keys
from seeded import Random

COKE = "gbt32151-2015/coke/CC"  # from memory: waits for a person
STEEL = ("account", "cn-2013-steel", "fossil_combustion", "FC=1000", "fuel=gbt32151-2015/coke")


@pytest.fixture
def run(capsys, tmp_path):
    (tmp_path / "library").mkdir()

    def call(*arguments, own=True):
        folder = ("--library", str(tmp_path / "library")) if own else ()
        with pytest.raises(SystemExit) as caught:
            main([*arguments, *folder, "--json"])
        return caught.value.code, json.loads(capsys.readouterr().out)

    return call


@pytest.fixture
def maker(capsys, tmp_path):
    """(key file, public key) of somebody who makes libraries."""
    with pytest.raises(SystemExit):
        main(["key", "operator", "maker.example", "-o", str(tmp_path / "maker.key"), "--json"])
    return tmp_path / "maker.key", json.loads(capsys.readouterr().out)["public_key"]


CONFIRM = ("factors", "confirm", COKE, "--document", "GB/T 32151.10—2023", "--page", "表 B.1", "--by", "张三")


@pytest.mark.slow
def test_sets_and_factors(run):
    sets = {row["set"]: row for row in run("factors", "list")[1]["sets"]}
    assert {"gwp", "grid", "ndrc-2013-chem"} <= set(sets)
    rows = run("factors", "list", "gwp")[1]["factors"]
    assert {row["id"]: row["value"] for row in rows}["gwp/AR5/CF4"] == "6630"
    code, error = run("factors", "list", "nothing")
    assert code == 2 and "no factors in 'nothing'" in error["error"]
    then = [row["id"] for row in run("factors", "list", "grid", "--at", "2019-06-01")[1]["factors"]]
    assert "cn-nat-2022" not in then and "cn-nat-0.6101" in then
    code, error = run("factors", "show", "cn-nat-2202")
    assert code == 2 and "cn-nat-2022" in error["hint"]


@pytest.mark.requirement("T-9.2-1")
def test_a_factor_is_shown_with_its_source_and_doubt(run):
    code, view = run("factors", "show", COKE)
    (row,) = view["versions"]
    assert code == 0
    assert row["unconfirmed"] and row["source"] and row["document"] and row["unit"] == "tC/GJ"


def test_a_confirmation_takes_the_flag_away_and_is_named(run):
    before = run(*STEEL)[1]
    assert COKE in before["unconfirmed"]
    assert run(*CONFIRM)[0] == 0
    after = run(*STEEL)[1]
    assert COKE not in after["unconfirmed"]
    assert after["exact"] == before["exact"]
    (row,) = [row for row in after["factors"] if row["id"] == COKE]
    assert (row["basis"], row["document"]) == ("confirmed", "GB/T 32151.10—2023")
    assert row["confirmation"].startswith("张三, 20")
    assert COKE in run(*STEEL, own=False)[1]["unconfirmed"]  # what ships is never edited


def test_a_correction_is_a_version_beside_the_old(run, maker):
    extra = ("--value", "0.0294", "--valid-from", "2024-01-01", "--on", "2026-11-20", "--key", str(maker[0]))
    code, view = run(*CONFIRM, *extra)
    assert code == 0
    assert [row["value"] for row in view["versions"]] == ["0.0295", "0.0294"]
    assert view["confirmation"]["public"] == maker[1]
    for day, value, doubtful in (("2023-12-31", "0.0295", True), ("2024-01-01", "0.0294", False)):
        found = run(*STEEL, "--at", day)[1]
        (row,) = [row for row in found["factors"] if row["id"] == COKE]
        assert (row["value"], COKE in found["unconfirmed"]) == (value, doubtful)
    first = run(*STEEL[:-1], "NCV=28.4", "OF=0.93", f"CC={COKE}@1", "--at", "2025-01-01")[1]
    assert [row["value"] for row in first["factors"] if row["id"] == COKE] == ["0.0295"]


@pytest.mark.parametrize(
    ("extra", "what"),
    [
        (("--number", "7"), "has no version 7"), (("--value", "0,5"), "not a decimal"), (("--by", ""), "names its by"),
        (("--on", "yesterday"), "not a date"),
        (("--valid-from", "2026-01-01", "--valid-to", "2025-01-01"), "ends before"),
    ],
)  # fmt: skip
def test_confirmations_that_say_too_little_are_refused(run, extra, what):
    code, error = run(*CONFIRM, *extra)
    assert code == 2
    assert what in error["error"]
    assert run("factors", "show", COKE)[1]["versions"][0]["confirmation"] is None


def test_an_unknown_factor_cannot_be_confirmed(run):
    code, error = run("factors", "confirm", "no/such", "--document", "d", "--page", "1", "--by", "b")
    assert code == 2 and "unknown factor" in error["error"]


def test_a_confirmation_that_was_tampered_with_is_refused(run, maker, tmp_path):
    run(*CONFIRM, "--value", "0.0294", "--key", str(maker[0]))
    path = tmp_path / "library" / library_folder.CONFIRMATIONS
    good = path.read_text(encoding="utf-8")
    for bad in (good.replace("0.0294", "0.0293"), "{}\n", "x\n", good.replace(maker[1], "00"), good + good[:40]):
        path.write_text(bad, encoding="utf-8")
        code, error = run("factors", "show", COKE)
        assert code == 1 and "confirmations.jsonl, line" in error["error"]
    path.write_text(good.replace('"was": "0.0295"', '"was": "0.7"'), encoding="utf-8")
    assert run("factors", "show", COKE)[0] == 1


OWN = ("factors", "add", "own/steam", "0.1", "tCO2/GJ", "--name", "蒸汽", "--document", "检测报告 12")


@pytest.mark.requirement("T-9.2-1", part="own factors with evidence")
def test_own_factors_have_evidence(run, tmp_path):
    report = tmp_path / "report.pdf"
    report.write_bytes(b"%PDF one")
    code, row = run(*OWN, "--evidence", str(report), "--valid-from", "2024-01-01", "--valid-to", "2024-12-31")
    assert code == 0 and row["evidence"] == sm3.digest(b"%PDF one").hex()
    heat = ("account", "common", "purchased_heat", "AD_h=10", "EF_h=own/steam")
    assert run(*heat, "--at", "2024-12-31")[1]["tco2e"] == "1"
    code, error = run(*heat, "--at", "2025-01-01")
    assert code == 2 and "holds from 2024-01-01 to 2024-12-31" in error["error"] and "choose one" in error["hint"]
    code, error = run(*OWN[:3], "0.2", *OWN[4:])
    assert code == 2 and "is there already" in error["error"]
    assert run(*OWN[:3], "0.2", *OWN[4:], "--valid-from", "2025-01-01")[0] == 0
    assert [run(*heat, "--at", day)[1]["tco2e"] for day in ("2024-06-01", "2025-06-01")] == ["1", "2"]
    shown = run("factors", "show", "own/steam")
    assert [row["evidence_found"] for row in shown[1]["versions"]] == [True, None]
    (tmp_path / "library" / "evidence" / row["evidence"]).write_bytes(b"%PDF two")
    code, shown = run("factors", "show", "own/steam")
    assert code == 1 and shown["versions"][0]["evidence_found"] is False


def test_own_factors_are_checked_before_they_are_written(run, tmp_path):
    for arguments, what in (
        ((*OWN[:3], "0,1", *OWN[4:]), "not a decimal"), ((*OWN[:4], "tCO3/GJ", *OWN[5:]), "unknown unit"),
        ((*OWN, "--valid-from", "soon"), "not a date"),
    ):  # fmt: skip
        code, error = run(*arguments)
        assert code == 2 and what in error["error"]
    assert list((tmp_path / "library").iterdir()) == []
    code, error = run(*OWN, own=False)
    assert code == 2 and "no library folder is named" in error["error"]


def changed(tmp_path, value, since):
    """A factor set with one new version of the heat factor."""
    path = tmp_path / f"heat-{value}.json"
    row = {"id": "heat-default", "name_zh": "热力", "value": value, "unit": "tCO2/GJ", "document": "new guide",
           "source": "the ministry", "basis": "found", "confidence": "high", "valid_from": since}  # fmt: skip
    path.write_text(json.dumps({"id": "heat", "name_zh": "热", "name_en": "heat", "factors": [row]}), encoding="utf-8")
    return str(path)


@pytest.mark.slow
@pytest.mark.requirement("T-9.2-2")
def test_a_new_version_is_fetched_checked_and_the_old_stays(run, maker, tmp_path):
    """The management side serves versions 1 and 2; each period is accounted with the version of its time."""
    (tmp_path / "www").mkdir()
    for version, value, since in ((1, "0.12", "2025-01-01"), (2, "0.13", "2026-01-01")):
        made = run("factors", "pack", changed(tmp_path, value, since), "--name", "cn", "--version", str(version),
                   "--key", str(maker[0]), "-o", str(tmp_path / "www" / f"cn-{version}.ctl"), own=False)  # fmt: skip
        assert made[0] == 0 and made[1]["maker"] == maker[1]
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path / "www")
    handler.log_message = lambda *_: None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        for version in (2, 1, 1):
            url = f"http://127.0.0.1:{server.server_address[1]}/cn-{version}.ctl"
            assert run("factors", "unpack", url, "--maker", f"maker.example:{maker[1]}")[0] == 0
        assert run("factors", "unpack", url.replace("cn-1", "cn-9"), "--maker", maker[1])[0] == 3
    finally:
        server.shutdown()
        server.server_close()
    assert {path.name for path in (tmp_path / "library" / "packages").iterdir()} == {"cn-1.ctl", "cn-2.ctl"}
    heat = ("account", "common", "purchased_heat", "AD_h=100")
    found = [run(*heat, "--at", day)[1]["tco2e"] for day in ("2024-06-01", "2025-06-01", "2026-06-01")]
    assert found == ["11", "12", "13"]
    assert run("factors", "diff", "2024-06-01", "2025-06-01")[1]["differences"][0]["factor"]
    (row,) = run("factors", "diff", str(tmp_path / "www" / "cn-1.ctl"), "2026-06-01")[1]["differences"][:1]
    assert (row["before"]["value"], row["after"]["value"]) == ("0.12", "0.13")


def test_packages_that_cannot_be_trusted_are_refused(run, maker, tmp_path):
    path = tmp_path / "one.ctl"
    run("factors", "pack", changed(tmp_path, "0.12", "2025-01-01"), "--name", "cn", "--version", "1",
        "--key", str(maker[0]), "-o", str(path), own=False)  # fmt: skip
    data = path.read_bytes()
    for bad in (b"", b"x", data[:-1], data + b"\0", data[:-1] + bytes([data[-1] ^ 1]), data.replace(b"0.12", b"0.11")):
        path.write_bytes(bad)
        code, error = run("factors", "unpack", str(path), "--maker", maker[1])
        assert (code, error["error"].split(":")[0]) in (
            (1, "not a library package"), (4, "the library's signature is not that of its key")), bad[:20]  # fmt: skip
    path.write_bytes(data)
    code, error = run("factors", "unpack", str(path), "--maker", "00" * 64)
    assert code == 4 and "not by the maker that was named" in error["error"]
    assert run("factors", "unpack", str(path), "--maker", "zz")[0] == 2
    assert run("factors", "unpack", str(tmp_path / "none"), "--maker", maker[1])[0] == 2
    assert not (tmp_path / "library" / "packages").exists()
    assert run("factors", "unpack", str(path), "--maker", maker[1])[0] == 0
    run("factors", "pack", changed(tmp_path, "0.14", "2025-01-01"), "--name", "cn", "--version", "1",
        "--key", str(maker[0]), "-o", str(path), own=False)  # fmt: skip
    code, error = run("factors", "unpack", str(path), "--maker", maker[1])
    assert code == 1 and "another cn version 1" in error["error"]


def test_any_change_of_a_package_is_refused(maker, tmp_path):
    """Bits flipped, bytes cut, doubled or put in: never taken, and always said in the house's words."""
    text = Path(changed(tmp_path, "0.12", "2025-01-01")).read_text(encoding="utf-8")
    good = library_package.pack("cn", 1, 0, [("factors", text)], keys.load(maker[0])[0])
    random = Random(17)
    for _ in range(400):
        data = bytearray(good)
        at = random.below(len(data))
        change = random.below(4)
        if change == 0:
            data[at] ^= 1 << random.below(8)
        elif change == 1:
            del data[at : at + random.between(1, 40)]
        elif change == 2:
            data[at:at] = data[at : at + random.between(1, 40)]
        else:
            data[at:at] = random.bytes(random.between(1, 9))
        with pytest.raises(AccountingError, match=r"not a library package|signature is not"):
            library_package.parse(bytes(data))
    assert library_package.parse(good).version == 1


def test_what_cannot_be_packed(run, maker, tmp_path):
    bad = tmp_path / "bad.json"
    bad.write_text('{"id": "x", "factors": [{}]}', encoding="utf-8")
    good = changed(tmp_path, "0.12", "2025-01-01")
    for files, name, version, what in (
        ((bad,), "cn", "1", "lacks"), ((good,), "CN!", "1", "cannot name a library"), ((good,), "cn", "0", "from 1"),
        ((tmp_path / "none.json",), "cn", "1", "No such file"), ((maker[0],), "cn", "1", "is no JSON"),
    ):  # fmt: skip
        code, error = run("factors", "pack", *map(str, files), "--name", name, "--version", version,
                          "--key", str(maker[0]), "-o", str(tmp_path / "x.ctl"), own=False)  # fmt: skip
        assert code == 2 and what in error["error"], error


@pytest.mark.slow
def test_all_that_ships_can_be_packed_and_methods_come_back(run, maker, tmp_path):
    path = tmp_path / "all.ctl"
    view = run("factors", "pack", "--name", "carbonterm", "--version", "1", "--key", str(maker[0]), "-o", str(path),
               own=False)[1]  # fmt: skip
    assert len(view["methods"]) >= 31
    package = library_package.read(path)
    assert {data["id"] for data in package.methods} == set(library.methods())
    assert run("factors", "diff", str(path))[1]["differences"] == []


def test_a_newer_method_stands_beside_the_old(run, maker, tmp_path):
    data = library.read(library.FOLDER / "methods" / "common.json")
    old, data["version"] = data["version"], data["version"] + 1
    next(row for row in data["sources"] if row["id"] == "purchased_heat")["formula"] = "AD_h*EF_h*2"
    method = tmp_path / "common.json"
    method.write_text(json.dumps(data), encoding="utf-8")
    path = tmp_path / "m.ctl"
    run("factors", "pack", str(method), "--name", "m", "--version", "3", "--key", str(maker[0]), "-o", str(path),
        own=False)  # fmt: skip
    run("factors", "unpack", str(path), "--maker", maker[1])
    new = run("account", "common", "purchased_heat", "AD_h=10", "EF_h=0.1")[1]
    assert (new["tco2e"], new["method"]["version"]) == ("2", old + 1)
    former = run("account", f"common@{old}", "purchased_heat", "AD_h=10", "EF_h=0.1")[1]
    assert (former["tco2e"], former["method"]["version"]) == ("1", old)
    assert former["digest"] != new["digest"]
