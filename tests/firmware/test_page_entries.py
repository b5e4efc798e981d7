"""Data by hand in the form of the terminal's page, on the real firmware: entered, corrected, reviewed, with evidence;
what the log, its replay and every output make of it."""

import json
import re
import time

import pytest

from carbonterm import clock, site
from carbonterm.gm import sm3
from carbonterm.ledger import entry as entries
from carbonterm.ledger import manual as records
from carbonterm.number import Number
from carbonterm_host.commands import key as keys
from carbonterm_host.site_formed import FUELS
from commandline import carbonterm
from paged import Plant, meters, port

DAY = 86400000
ZONE = 480
FUEL = """\
  - {name: KEY, method: cn-2015-other-industry, source: fuel_combustion, parameters: {FC: [POINT]}}
"""
MORE = """\
  - {name: 购电补录, method: cn-2015-other-industry, source: purchased_electricity,
     parameters: {AD: [外购电], EF: {value: "0.5", unit: tCO2/MWh, source: 测试}}}
operators: [{name: qian, public: "QIAN"}, {name: wang, page: true}, {name: zhang, page: true}]
manual:
  - {name: 外购电, quantity: active energy, unit: MWh}
"""


@pytest.fixture(scope="module")
def month():
    """(first day, last day) of the month before this one, of which it can be entered."""
    first = clock.start(clock.MONTH, clock.start(clock.MONTH, time.time_ns() // 1000000, ZONE) - 1, ZONE)
    end = clock.end(clock.MONTH, first, ZONE)
    return clock.text(first, ZONE)[:10], clock.text(end - 1, ZONE)[:10]


@pytest.fixture
def plant(tmp_path):
    printed = carbonterm("key", "operator", "qian", "-o", tmp_path / "qian.key")[1]
    more = "".join(FUEL.replace("KEY", key).replace("POINT", zh) for key, (zh, *_) in FUELS.items())
    more += MORE.replace("QIAN", printed.split()[-1])
    more += "".join(f"  - {{name: {zh}, fuel: {key}}}\n" for key, (zh, *_) in FUELS.items())
    with meters() as running, Plant(tmp_path, [port(bus) for bus in running.buses], more=more.rstrip()) as made:
        yield made


def amounts(plant):
    """{point: [row]} of what was entered, as `enter list` says it of the stopped terminal's log."""
    found = {}
    for row in json.loads(carbonterm("enter", "list", plant.folder / "log.bundle", "--json")[1])["manual"]:
        if row["event"] == "amount":
            found.setdefault(row["point"], []).append(row)
    return found


def ids(client):
    """Ids of the entries that may be corrected, in the page's order."""
    return re.findall(r'/manual/enter\?replaces=(\w+)"', client.get("/manual"))


@pytest.mark.slow
@pytest.mark.requirement("T-6.2-3", "T-11.3-13")
@pytest.mark.requirement("T-6.2-2", part="in the page's form: period, value, unit, evidence")
def test_the_form_and_what_becomes_of_it(plant, month):
    first, last = month
    wang, zhang = plant.client("wang"), plant.client("zhang")
    given = {"first": first, "last": last, "note": ""}
    for at, (zh, _, _, _) in enumerate(FUELS.values()):
        said = {**given, "point": zh, "value": f"{at + 1}000", "unit": "kg" if at in (0, 3) else ""}
        assert wang.send("/manual/enter", **said)[0] == 303
    paper, photo = b"%PDF weighed", bytes(range(256)) * 300
    electricity = {**given, "point": "外购电", "value": "12.5"}
    files = ("evidence", "磅单.pdf", paper), ("evidence", "C:\\shot.JPG", photo)
    assert wang.send("/manual/enter", *files, **electricity)[0] == 303
    old = ids(wang)[0]
    assert wang.inputs("/manual/enter?replaces=" + old)["value"] == "12.5"
    assert wang.send("/manual/enter", *files[:1], **electricity | {"value": "13"}, replaces=old)[0] == 303
    new = ids(wang)[0]
    assert wang.post("/manual/review", of=new, do="reviewed")[0] == 400  # his own
    assert zhang.post("/manual/review", of=new, do="reviewed", note="与电费单一致")[0] == 303
    second = ids(zhang)[2]  # behind electricity and coal
    assert zhang.post("/manual/review", of=second, do="rejected", note="no such delivery")[0] == 303
    text = wang.get("/manual")
    assert "已复核" in text and "已驳回" in text and "网页登录" in text
    links = re.findall(r'href="(/evidence/[^"]+)"', text)
    assert len(links) == 3 and len(set(links)) == 3
    shot = next(link for link in links if sm3.digest(photo).hex() in link)
    status, data, headers = wang.ask("GET", shot)
    assert (status, data) == (200, photo) and headers["Content-Disposition"].endswith('.jpg"')

    # beside a record that a key signed: the page does not touch that one
    signer, name = keys.load(plant.folder / "qian.key")
    begin, end = clock.parse(first + "T00:00:00+08:00"), clock.parse(last + "T00:00:00+08:00") + DAY
    fields = ["煤", begin, end, 3, 2, "t", [], "", bytes.fromhex(digests(plant)["煤"])]
    record = records.make("CT-PAGE-1", name, time.time_ns() // 1000000, records.ENTER, fields, signer.sign)
    assert wang.send("/manual", ("file", "coal.manual", record.encode()))[0] == 303
    of = record.digest.hex()[:16]
    assert of not in ids(wang) and "密钥签名" in wang.get("/manual")
    assert "with a key" in zhang.post("/manual/review", of=of, do="rejected")[1]
    plant.terminal.stop()

    log = plant.log()
    given = [one.body for one in log if one.kind == entries.MANUAL]
    assert [body[1] is None for body in given] == [True] * 10 + [False]
    assert records.Record(*given[6]).evidence == [["磅单.pdf", sm3.digest(paper)], ["shot.JPG", sm3.digest(photo)]]
    rows = amounts(plant)
    assert [(row["value"], row["basis"], row["state"]) for row in rows["煤"]] == [
        ("1", "page", "replaced"), ("2000", "key", "entered"),
    ]  # fmt: skip
    assert [(row["value"], row["state"], row["operator"]) for row in rows["外购电"]] == [
        ("12.5", "replaced", "wang"), ("13", "reviewed", "wang"),
    ]  # fmt: skip
    assert [row["state"] for row in rows["液化石油气"]] == ["rejected"]
    names = [source.name for source in plant.site.sources]
    figures = {name: emitted(log, names.index(name)) for name in names}
    for key in FUELS:
        assert figures[key][0][1] > 0, key
    assert figures["lpg"][-1] == (2, None) and figures["购电补录"] == [(1, Number("6.25")), (2, Number("6.5"))]
    traced = carbonterm("trace", plant.folder / "log.bundle", "购电补录", "month", first[:7])
    assert traced[0] == 0 and "wang (on the page)" in traced[1] and "磅单.pdf" in traced[1]
    (plant.folder / "磅单.pdf").write_bytes(paper)
    found = carbonterm("enter", "evidence", plant.folder / "log.bundle", plant.folder / "磅单.pdf")
    assert found[0] == 0 and "wang (on the page)" in found[1]


def digests(plant):
    """{point: digest of its last record} as the terminal's maintenance port has them."""
    rows = json.loads(carbonterm("enter", "list", plant.terminal.folder, "--json")[1])["manual"]
    return {row["point"]: row["digest"] for row in rows if row["event"] == "amount"}


def emitted(log, source):
    """[(version, tCO2e)] of a source's month."""
    found = []
    for one in log:
        if one.kind == entries.EMISSION and one.body[0] == clock.MONTH:
            for row in one.body[3]:
                if row[0] == source:
                    found.append((one.body[2], None if row[3] is None else Number(row[3], row[2])))
    return found


@pytest.mark.slow
def test_what_is_missing_or_wrong_is_said_beside_its_field(plant, month):
    first, last = month
    wang = plant.client("wang")
    good = {"point": "煤", "first": first, "last": last, "value": "10", "unit": "t", "note": ""}
    size = len(plant_manual(plant))
    for words, field, what in (
        ({"value": ""}, "value", "必填"), ({"first": " "}, "first", "必填"), ({"last": ""}, "last", "必填"),
        ({"point": ""}, "point", "必填"), ({"point": "石油"}, "point", "no such point"),
        ({"value": "ten"}, "value", "not a decimal number"), ({"first": "2026-13-01"}, "first", "not a date"),
        ({"last": "2020-01-01"}, "last", "before the first"), ({"unit": "kWh"}, "unit", "do not measure the same"),
        ({"last": clock.text(time.time_ns() // 1000000 + 60 * DAY)[:10]}, "last", "longer than a calendar month"),
        ({"value": "-1"}, "", "outside the range"),
    ):  # fmt: skip
        status, text, _ = wang.send("/manual/enter", **{**good, **words})
        assert status == 422, words
        said = text.partition(f'name="{field}"')[2].partition('class="bad">')[2] if field else text
        assert what in said[:200] or (not field and what in said), (words, said[:300])
    assert wang.send("/manual/enter", ("evidence", "big", bytes(300000)), **good)[0] == 413
    many = [("evidence", f"{at}.txt", bytes([at])) for at in range(9)]
    assert "最多 8" in wang.send("/manual/enter", *many, **good)[1]
    assert wang.send("/manual/enter", **good, replaces="0" * 16)[0] == 404
    assert wang.ask("GET", "/evidence/" + "0" * 81 + ".evidence")[0] == 400
    assert wang.ask("GET", "/evidence/page.key")[0] == 400
    assert wang.post("/manual/review", of="x", do="agreed")[0] == 400
    assert wang.send("/manual/enter", ("evidence", "a.txt", b"a"), **good)[0] == 303
    status, text, _ = wang.send("/manual/enter", ("evidence", "b.txt", b"b"), **good)
    assert status == 422 and "has an amount of" in text
    kept = [path for path in plant.terminal.data.iterdir() if path.suffix == ".evidence"]
    assert len(kept) == 1  # what came with a refused one is gone
    kept[0].write_bytes(kept[0].read_bytes()[:-1] + b"b")
    assert "is not what was given" in wang.ask("GET", "/evidence/" + kept[0].name)[1]
    # whom the site document does not name cannot enter, whatever his role
    assert plant.client("li").ask("GET", "/manual/enter")[0] == 403
    assert len(plant_manual(plant)) == size + 1


def plant_manual(plant):
    """The amounts that the running terminal has."""
    rows = json.loads(carbonterm("enter", "list", plant.terminal.folder, "--json")[1])["manual"]
    return [row for row in rows if row["event"] == "amount"]


ENTITY = {
    "name": "示范钢铁有限公司", "code": "91350100M000100Y43", "registration.4": "开发区一号", "contact.0": "李四",
    "contact.1": "010-12345678",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.requirement("T-6.2-1")
def test_the_enterprises_basic_information_is_a_form_whose_fields_may_not_be_empty(plant):
    zhang, form = plant.client("zhang"), "/configuration/entity/0"
    assert zhang.inputs(form)["name"] == ""  # a site without it so far
    for name in ENTITY:
        status, wrong = zhang.edit(form, **{**ENTITY, name: ""})
        assert status == 422 and "必填" in wrong[name], (name, wrong)
    for name, text, what in (("code", "91350100M000100Y44", "no unified social credit code"),
                             ("annual.0", "20x5", "whole"), ("type", "large", "none of them")):  # fmt: skip
        assert what in zhang.edit(form, **{**ENTITY, name: text})[1][name]
    assert "没有修改" in zhang.get("/draft")
    assert zhang.edit(form, **ENTITY, **{"annual.0": "2025", "annual.1": "31000"})[0] == 303
    assert zhang.force("基本信息")[0] == 303
    found = zhang.inputs(form)
    assert {name: found[name] for name in ENTITY} == ENTITY
    assert zhang.edit(form, **{"contact.0": "王五"})[0] == 303 and zhang.force("another person")[0] == 303
    plant.terminal.stop()
    versions = [site.decode(one.body[1]) for one in plant.log() if one.kind == entries.CONFIG]
    assert [one.boundary and one.boundary.entity.contact[0] for one in versions] == [None, "李四", "王五"]
    entity = versions[1].boundary.entity
    assert (entity.name, entity.code, entity.registration[4]) == tuple(ENTITY.values())[:3]
    assert str(entity.annual[1]) == "31000" and len(versions[2].boundary.places) == len(versions[2].sources)
    told = carbonterm("inventory", plant.folder / "log.bundle", "--period", "2026", "--json")
    assert ENTITY["code"] in told[1]
