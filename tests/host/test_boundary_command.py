"""site.yaml's boundary, `carbonterm boundary` and `inventory`: refusals with line and clause, exact totals."""

import json
from fractions import Fraction

import pytest

import steelworks
from carbonterm import clock
from carbonterm import site as sites
from carbonterm.gm import sm2
from carbonterm.ledger import entry, frames
from carbonterm.ledger.segment import Log
from carbonterm.number import Number
from carbonterm_host import boundary_page, bundles, checklist, inventories, library, site_yaml
from chromium import Chromium, find
from logs import Written
from memory_storage import MemoryStorage
from owner import run
from shell import carbonterm, pulled
from sites import document as sites_document

BEGIN = 1767196800000


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    storage = MemoryStorage()
    steelworks.written(Log(storage, "CT-STEEL", 0, sm2.Signer(bytes(31) + b"\x07")), BEGIN)
    path = tmp_path_factory.mktemp("bundle") / "steel.bundle"
    path.write_bytes(pulled(storage, "CT-STEEL"))
    return path


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "site.yaml"
    path.write_text(steelworks.SITE, encoding="utf-8")
    return path


def asked(*arguments, code=0):
    found, out, err = carbonterm(*arguments, "--json")
    assert found == code, (out, err)
    return json.loads(out)


# --- site.yaml ------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("T-9.3-2", "T-9.3-3", "T-9.3-5", "T-9.3-6", "T-11.5-1", "T-11.5-2", "T-11.5-3", "T-11.5-4")
def test_a_boundary_compiles():
    made = steelworks.site()
    one = made.boundary
    assert (one.entity.name, one.entity.code, one.divide) == ("示范钢铁有限公司", "91350100M000100Y43", "site")
    assert one.entity.registration[0] == "2001-05-08" and one.entity.contact[2] == "carbon@example.cn"
    assert one.units == [("主厂区", None), ("轧钢车间", 0)] and one.sectors == [("steel", "钢铁", False)]
    told = [(made.sources[p.source].name, p.unit, p.sector, str(p.share), p.reason, p.custom) for p in one.places]
    assert told == [
        ("购入电力", 0, 0, "1", None, False), ("加热炉", 1, 0, "1", None, False), ("食堂", 0, 0, "0.4", None, True),
        ("食堂", None, None, "0.6", "承租方用能", False),
    ]  # fmt: skip
    assert sites.decode(made.canonical()).canonical() == made.canonical()


def test_attachments_are_kept_by_their_digest(tmp_path):
    text = steelworks.SITE.replace("  divide: site\n", "    attachments: [licence.pdf]\n  divide: site\n")
    with pytest.raises(site_yaml.Mistakes) as caught:
        site_yaml.compile_text(text, "site.yaml", tmp_path)
    assert "the attachment cannot be read" in str(caught.value)
    (tmp_path / "licence.pdf").write_bytes(b"abc")
    entity = site_yaml.compile_text(text, "site.yaml", tmp_path).boundary.entity
    sm3_of_abc = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    assert [(name, digest.hex()) for name, digest in entity.attachments] == [("licence.pdf", sm3_of_abc)]


# what is changed in the file, (line of the mistake, what it says)
WRONG = (
    ("    code: 91350100M000100Y43\n", "", "unified social credit code (clause 9.3 a)"),
    ("M000100Y43", "M000100Y44", "do not check"),
    ("  divide: site\n", "", "units without saying how they are divided (clause 9.3 b)"),
    ("divide: site", "divide: shop", "not one of none, purpose, site"),
    ("sector: steel}\n    - {name: 轧", "sector: 钢铁}\n    - {name: 轧", "there is no sector '钢铁' (clause 9.3 c)"),
    ("of: 主厂区}", "of: 主厂}", "there is no unit above '主厂'"),
    ("unit: 轧钢车间}", "unit: 轧钢}", "there is no unit '轧钢'"),
    ("    - {source: 加热炉, unit: 轧钢车间}\n", "", "source '加热炉' is in no unit (clause 9.3 d)"),
    ('share: "0.4"', 'share: "0.5"', "the shares of source '食堂' sum to 1.1, not to 1 (clause 9.3 d)"),
    ('share: "0.4"', 'share: "0.39"', "sum to 0.99"),
    ('share: "0.4"', 'share: "-1"', "above 0 and at most 1"),
    ("{meter: 炼钢配电, main: 总进线}", "{meter: 炼钢, main: 总进线}", "there is no meter '炼钢'"),
    ("{point: PV, type: pv}", "{point: PV, type: solar}", "not one of pv, wind"),
    ("item: methanol_output", "item: methanol", "the checklist has no item 'methanol'"),
    ("氧气消耗量, unit: 10^4Nm3", "氧气消耗量", "an item of your own: it needs its unit (clause 5.2)"),
    (', value: "120000", year: 2026', ', value: "120000"', "an amount holds for a year"),
    (', value: "300000"', "", "a point or a value"),
    ('weight: "0.3"', 'weight: "0"', "a weight is above 0"),
    ("    by: mass\n", "    by: luck\n", "not one of mass, energy, value"),
    ('tco2e: "31000"', 'tco2e: "many"', "is not a decimal number"),
    ("  divide: site\n", "  divide: site\n  colour: red\n", "the boundary knows no key 'colour'"),
)


@pytest.mark.requirement("T-6.2-1", part="the entity of a boundary: what is missing is refused; a file, no form")
@pytest.mark.requirement("T-9.3-2", "T-9.3-3", "T-11.5-5", part="what is wrong is refused with file, line and clause")
@pytest.mark.parametrize("old, new, named", WRONG)
def test_mistakes_have_their_line(old, new, named):
    assert old in steelworks.SITE
    with pytest.raises(site_yaml.Mistakes) as caught:
        site_yaml.compile_text(steelworks.SITE.replace(old, new, 1))
    rows = [row for row in caught.value.rows if named in row[3]]
    assert rows, str(caught.value)
    assert rows[0][1] > steelworks.SITE.split("\n").index("boundary:") and rows[0][0] == "site.yaml"


@pytest.mark.requirement("T-9.3-4", part="double counting is refused with file and line")
def test_double_counting_is_told_where_it_stands():
    text = steelworks.SITE.replace("AD_e: [E1]", "AD_e: [E2]").replace(
        "  - name: 加热炉\n",
        "  - name: 二号线\n    method: cn-2013-steel\n    source: purchased_electricity\n"
        "    parameters: {AD_e: [E1], EF_e: cn-nat-2022}\n  - name: 加热炉\n", 1,
    ).replace("    - {source: 加热炉,", "    - {source: 二号线, unit: 主厂区}\n    - {source: 加热炉,")  # fmt: skip
    with pytest.raises(site_yaml.Mistakes) as caught:
        site_yaml.compile_text(text)
    (_, line, _, what, hint) = caught.value.rows[0]
    assert "what meter '炼钢配电' measures feeds source '购入电力'" in what and "twice (clause 9.3)" in what
    assert text.split("\n")[line - 1].strip().startswith("- {source: ") and "exclude one" in hint


def test_a_source_of_ones_own_sector_and_an_undivided_boundary():
    text = steelworks.SITE.split("boundary:")[0] + (
        "boundary:\n  entity: {name: 独立核算厂, equivalent: 独立核算单位，视同法人}\n"
        "  sectors: [{id: x-cable, name: 电线电缆}]\n  sources:\n    - {source: 购入电力, sector: x-cable}\n"
    )
    made = site_yaml.compile_text(text)
    assert made.boundary.sectors == [("x-cable", "电线电缆", True)]
    assert [(p.source, p.sector, p.custom) for p in made.boundary.places] == [
        (0, 0, False), (1, None, False), (2, None, False),
    ]  # fmt: skip


# --- checklists -----------------------------------------------------------------------------------------------------

# table 1 of the standard, by hand: sector -> items
TABLE = {
    "power": "化石燃料消耗量 化石燃料热值 脱硫剂消耗量 电力净购入量",
    "grid": "SF6 回收量|输配电损失",
    "steel": "化石燃料消耗量 化石燃料热值 石灰石消耗量 白云石消耗量 电极消耗量 生铁消耗量 直接还原铁外购量 "
             "镍铁合金外购量 铬铁合金外购量 钼铁合金外购量 电力净购入量 热力净购入量 生铁产量 "
             "粗钢产量 甲醇产量 其他固碳产品的产量",
    "chemical": "化石燃料消耗量 化石燃料热值 工业过程碳输入量 工业过程碳输出量 碳酸盐的消耗量 硝酸产量 己二酸产量 "
                "电力净购入量 热力净购入量",
    "electrolytic-aluminium": "化石燃料消耗量 化石燃料热值 原铝产量 石灰石消耗量 电力净购入量 热力净购入量",
    "flat-glass": "化石燃料消耗量 化石燃料热值 配料中碳粉的消耗量 石灰石消耗量 白云石消耗量 纯碱消耗量 电力购入量 "
                  "热力购入量",
    "cement": "化石燃料消耗量 化石燃料热值 熟料产量 窑头粉尘的重量 旁路粉尘的重量 生料的重量 生料中非燃料碳含量 "
              "电力净购入量 热力净购入量",
    "aviation": "化石燃料消耗量 化石燃料热值 电力净购入量 热力净购入量",
    "petrochemical": "化石燃料消耗量 化石燃料热值 事故火炬气流量 烧焦量 含碳原料投入量 生焦量 氧化沥青产量 乙烯用量 "
                     "电力净购入量 热力净购入量",
    "paper": "化石燃料消耗量 化石燃料热值 石灰石消耗量 电力净购入量 热力净购入量 废水处理量 废水有机物含量 甲烷回收量",
    "non-ferrous": "化石燃料消耗量 化石燃料热值 蓝炭作为还原剂的消耗量 焦炭作为还原剂的消耗量 无烟煤作为还原剂的消耗量 "
                   "天然气作为还原剂的消耗量 纯碱消耗量 白云石消耗量 石灰石消耗量 草酸消耗量 电力净购入量 热力净购入量",
}  # fmt: skip


@pytest.mark.requirement(
    "T-5.2-2", "T-5.2-3", "T-5.2-4", "T-5.2-5", "T-5.2-6", "T-5.2-7", "T-5.2-8", "T-5.2-9", "T-5.2-10", "T-5.2-11",
    "T-5.2-12",
)  # fmt: skip
def test_every_item_of_table_1_with_its_unit():
    for sector, text in TABLE.items():
        wanted = text.split("|") if "|" in text else text.split()
        rows = checklist.items(sector)
        assert [row["name_zh"] for row in rows] == wanted, sector
        assert all(row["unit"] and row["name_en"] for row in rows)
        # each names a parameter that one of the sector's methods has
        known = {f"{source.id}.{parameter.name}" for name in checklist.methods_of(sector)
                 for source in library.method(name).sources for parameter in source.parameters}  # fmt: skip
        for row in rows:
            assert {match.partition("@")[0] for match in row["match"]} <= known, (sector, row["id"])


@pytest.mark.requirement("T-9.3-7", "T-5.2-13", "T-9.3-8")
def test_24_published_sectors_each_with_a_catalogue():
    found = asked("boundary")["sectors"]
    assert len(found) == 24 and len({row["id"] for row in found}) == 24
    for row in found:
        one = asked("boundary", "--sector", row["id"])
        assert one["sources"] and one["items"], row["id"]
        assert {source["method"] for source in one["sources"]} == set(row["methods"])
    code, _, err = carbonterm("boundary", "--sector", "steal")
    assert code == 2 and "steel" in err


@pytest.mark.requirement("T-5.2-1")
def test_a_sector_brings_its_checklist(file):
    found = asked("boundary", file, "--checklist", code=1)
    steel = found["sectors"][0]
    states = {row["id"]: row["state"] for row in steel["items"]}
    assert states["fuel"] == "metered" and states["heating_value"] == "default" and states["electricity"] == "metered"
    assert states["limestone"] == states["氧气消耗量"] == "missing" and states["methanol_output"] == "absent"
    assert (steel["collected"], steel["applicable"], steel["coverage"]) == (3, 16, "18.7")
    # the flux source is limestone by the factor that it uses; then nothing but what is said to be absent is left
    text = file.read_text().replace("sources:\n", """sources:
  - {name: 熔剂, method: cn-2013-steel, source: flux, parameters: {P: {value: "12", source: 台账}, EF: steel/limestone}}
""", 1).replace("    - {source: 加热炉,", "    - {source: 熔剂, unit: 主厂区}\n    - {source: 加热炉,")  # fmt: skip
    file.write_text(text)
    steel = asked("boundary", file, "--checklist", code=1)["sectors"][0]
    states = {row["id"]: row["state"] for row in steel["items"]}
    assert states["limestone"] == "declared" and states["dolomite"] == "missing" and steel["collected"] == 4


# --- inventory ------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("T-9.1-2", "T-9.3-4", "T-9.4-1", "T-9.4-7", "P-7.1-1", "P-5.3-1", "P-5.3-2", "P-5.3-3")
def test_an_inventory_by_hand(bundle):
    found = asked("inventory", bundle, "--period", "2026")
    # months 1 and 2: electricity 285.15 × 3 + 1 g (version 2), furnace 864.865523 × 3, canteen 2.162191 × 3 × 0.4
    electricity, furnace = Fraction("855.450001"), Fraction("2594.596569")
    canteen = Fraction("2.594629")  # 6.486573 × 0.4 = 2.5946292, the rest to the share outside
    total = {key: Fraction(value) for key, value in found["total"].items()}
    assert total["total"] == electricity + furnace + canteen == total["direct"] + total["energy"]
    assert total["energy"] == electricity and total["sink"] == 0 and total["net"] == total["total"]
    assert found["excluded"] == [{"source": "食堂", "share": "0.6", "tco2e": "3.891944", "reason": "承租方用能"}]
    for by, rows in found["by"].items():
        assert sum(Fraction(row["tco2e"]) for row in rows) == total["total"], by
    assert {row["key"] for row in found["by"]["energy"]} == {"electricity", "natural_gas", "combustion"}
    tree = found["tree"]
    assert tree["total"] == found["total"]["total"] and tree["children"][0]["name"] == "主厂区"
    assert found["type"] == "key" and found["custom"] == ["食堂"]
    assert [row["meter"] for row in found["unlinked"]] == ["炼钢配电", "备用"]
    per = Fraction(found["intensities"][0]["exact"])
    assert per == total["total"] / 120000 and found["intensities"][1]["tco2e_per_unit"] is not None
    products = found["products"]["rows"]
    assert sum(Fraction(row["tco2e"]) for row in products) == total["total"]
    assert Fraction(products[0]["exact"]) == Fraction(products[0]["tco2e"]) * 1000 / 8000
    assert found["clean"]["mwh"] == "300.000000" and found["clean"]["percent"] == "16.67"  # of 300 + 1500 MWh


@pytest.mark.requirement("P-5.1-1", "P-5.1-2", "P-5.1-4", part="energy by source, shares that sum to 100 %")
def test_energy_mix(bundle):
    rows = asked("inventory", bundle, "--period", "2026")["energy"]
    assert [(row["source"], row["kind"], row["amount"], row["unit"]) for row in rows] == [
        ("购入电力", "electricity", "1500.000000", "MWh"), ("加热炉", "combustion", "120.000000", "10^4Nm3"),
        ("食堂", "combustion", "0.300000", "10^4Nm3"),
    ]  # fmt: skip
    assert sum(Fraction(row["percent"]) for row in rows) == 100


@pytest.mark.requirement("P-7.2-2", part="the change to the period before and to the year before")
def test_changes_and_months(bundle):
    found = asked("inventory", bundle, "--period", "2026-02")
    assert not found["incomplete"] and found["unknown"] == []
    previous, year_ago = found["change"]
    assert previous["percent"] == "100.0" and year_ago["percent"] is None and year_ago["tco2e"] is None
    march = asked("inventory", bundle, "--period", "2026-03")
    assert march["total"]["total"] == "0.000000" and march["change"][0]["percent"] is None
    code, out, _ = carbonterm("inventory", bundle, "--period", "2026-02", "--by", "kind", lang="zh")
    assert code == 0 and "化石燃料燃烧" in out and "重点排放单位" in out and "不计入 食堂 × 0.6" in out


def test_what_cannot_be_asked(bundle, tmp_path):
    for arguments, code in (
        ((tmp_path / "no.bundle",), 2), ((bundle, "--period", "2026-13"), 2), ((bundle, "--by", "colour"), 2),
        (("https://127.0.0.1:1",), 2), (("https://127.0.0.1:1", "--terminal", "CT-1"), 3),
        ((f"sqlite:///{tmp_path}/store.db",), 2), ((f"sqlite:///{tmp_path}/store.db", "--terminal", "CT-1"), 2),
    ):  # fmt: skip
        found, out, err = carbonterm("inventory", *arguments)
        assert found == code, (arguments, out, err)
        assert "→" in err or "Invalid" in err or "colour" in err, err


# --- the page -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.requirement("T-9.3-1", "T-9.3-9", "T-9.3-10")
def test_the_boundary_is_drawn_and_changed_in_a_browser(file, bundle, tmp_path):
    if find() is None:
        pytest.skip("chromium is not installed")
    drawn = tmp_path / "boundary.html"
    found = asked("boundary", file, "-o", drawn, "--bundle", bundle)
    assert found["page"] == str(drawn) and [row["meter"] for row in found["unlinked"]] == ["炼钢配电", "备用"]
    with Chromium(tmp_path / "profile") as page:
        page.open(drawn)
        page.wait("document.querySelector('svg rect')")
        words = page.evaluate("document.querySelector('svg').textContent")
        for name in ("示范钢铁有限公司", "主厂区", "轧钢车间", "钢铁", "购入电力", "855.450001 t", "总进线"):
            assert name in words, name
        assert "备用" in page.evaluate("document.getElementById('findings').textContent")
        given = page.evaluate("document.getElementById('yaml').value")
        assert given in same_part(file.read_text(), given)
        # a new unit, and the furnace goes there
        page.evaluate("document.getElementById('more').click()")
        page.evaluate(change("input[name=name]", "锻造车间"))
        page.evaluate(change("select[name=sector]", "cement"))
        assert page.evaluate("document.querySelector('select[name=sector]').options.length") == 25  # 24 and none
        page.evaluate("document.querySelector('[data-name=加热炉]').dispatchEvent(new Event('click'))")
        page.evaluate(change("select[name=unit]", "锻造车间"))
        assert not page.errors and [url for url in page.requests if not url.startswith("file:")] == []
        text = page.evaluate("document.getElementById('yaml').value")
        for width in (400, 1200):
            page.look(width)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.screenshot(tmp_path / "boundary.png")
        assert (tmp_path / "boundary.png").stat().st_size > 10000
    changed = site_yaml.compile_text(steelworks.SITE.split("boundary:")[0] + text)
    assert changed.boundary.units[2] == ("锻造车间", None)
    assert [place.unit for place in changed.boundary.places] == [0, 2, 0, None]
    furnace = changed.boundary.places[1]
    assert changed.boundary.sectors[furnace.sector][0] == "cement" and furnace.custom


def same_part(text, given):
    """`given`, if it compiles to the same boundary as the file does."""
    one = site_yaml.compile_text(text.split("boundary:")[0] + given)
    return given if one.boundary.canonical() == site_yaml.compile_text(text).boundary.canonical() else ""


def change(selector, value):
    return (f"{{const one = document.querySelector({json.dumps(selector)}); one.value = {json.dumps(value)}; "
            "one.dispatchEvent(new Event('change'))}")  # fmt: skip


def test_a_page_of_a_site_without_a_boundary_begins_one():
    text = steelworks.SITE.split("boundary:")[0]
    data = boundary_page.describe(site_yaml.compile_text(text), text)
    assert data["divide"] == "none" and [place["unit"] for place in data["places"]] == [None, None, None]
    assert data["rest"] == ["  entity: {name: 示范钢铁, code: }"]


# --- shipped methods, data by hand, other logs ------------------------------------------------------------------------


@pytest.mark.requirement("T-9.4-2", "T-9.4-3", "T-9.4-4", "T-9.4-5", "T-9.4-6", "T-9.4-7", "T-9.4-8")
def test_every_source_of_every_method_has_its_category():
    """Each kind of clause 9.4 is one of shipped methods; what is recovered is deducted where the method says so."""
    kinds = {}
    for method in library.methods().values():
        for source in method.sources:
            if source.kind != "auxiliary":
                kinds.setdefault(source.kind, []).append((method.id, source))
    titles = {row[0]: row[1] for row in inventories.KINDS}
    assert set(kinds) <= set(titles) and set(inventories.ALWAYS) <= set(kinds)
    for kind, rows in kinds.items():
        for name, source in rows:
            assert source.category == source.scope or source.scope == 3, (name, source.id)
            if kind in ("electricity", "heat"):
                assert source.scope == 2, (name, source.id)
    assert all(source.sign == -1 for _, source in kinds["recovery"])
    # net purchased MWh × the grid factor of the stated year; net purchased GJ × 0.11 by default
    for arguments, tonnes in (
        (("purchased_electricity", "AD_e=1000", "EF_e=cn-nat-2022"), "536.6"),
        (("purchased_electricity", "AD_e=1000", "EF_e=cn-nat-2021"), "556.8"),
        (("purchased_heat", "AD_h=1000"), "110"),
    ):
        found = asked("account", "cn-2013-steel", *arguments)
        assert found["tco2e"] == tonnes and found["method"]["scope"] == 2


MANUAL = """\
operators: [{name: zhang, public: KEY}]
manual:
  - {name: 生铁外购, quantity: mass, unit: t}
virtual:
  - {name: 轧钢电量, unit: kWh, add: [E1], subtract: [E2]}
"""


def by_hand():
    text = steelworks.SITE.replace("sources:\n", MANUAL.replace("KEY", sm2.Signer(bytes(31) + b"\x09").public.hex())
                                   + "sources:\n", 1)  # fmt: skip
    text = text.replace("AD_e: [E1]", "AD_e: [轧钢电量]").replace("  - name: 加热炉\n", """\
  - {name: 炼钢用电, method: cn-2013-steel, source: purchased_electricity, parameters: {AD_e: [E2], EF_e: cn-nat-2022}}
  - name: 生铁
    method: cn-2013-steel
    source: carbon_material
    parameters: {M: [生铁外购], EF: steel-carbon-material/pig_iron}
  - name: 加热炉
""", 1)  # fmt: skip
    return text.replace("    - {source: 加热炉,", """\
    - {source: 炼钢用电, unit: 主厂区}
    - {source: 生铁, unit: 主厂区}
    - {source: 加热炉,""")


@pytest.mark.requirement("T-9.3-9", "T-5.2-1", part="manual data and the rest of a main meter")
def test_data_by_hand_and_the_rest_of_a_main_meter(file):
    """The main meter less its submeter beside the submeter is no double counting; a manual item is told as such."""
    file.write_text(by_hand())
    found = asked("boundary", file)
    assert [row["meter"] for row in found["unlinked"]] == ["备用"]
    source = found["tree"]["children"][0]["children"][0]["children"][0]
    assert source["name"] == "购入电力" and [row["name"] for row in source["children"]] == ["总进线", "炼钢配电"]
    steel = asked("boundary", file, "--checklist", code=1)["sectors"][0]
    items = {row["id"]: row for row in steel["items"]}
    assert items["pig_iron"]["state"] == "manual" and items["pig_iron"]["by"] == ["生铁外购"]
    assert items["electricity"]["state"] == "metered" and items["electricity"]["by"] == ["E1", "E2"]
    # and the main meter itself beside the submeter is refused
    file.write_text(by_hand().replace("AD_e: [轧钢电量]", "AD_e: [E1]"))
    code, _, err = carbonterm("site", "check", file)
    assert code == 1 and "what meter '炼钢配电' measures feeds" in err and "clause 9.3" in err


@pytest.mark.slow
def test_a_log_without_a_boundary_and_a_data_folder(tmp_path):
    """Readings of the real fold, written to a folder and as a bundle: the same inventory, all of it the site's own."""
    storage = MemoryStorage()
    made = Written(storage, sm2.Signer(bytes(31) + b"\x07"), sites_document(), BEGIN)
    for i in range(30):
        made.readings(BEGIN + i * 3600000, [(point, 0, 0, -2, 100000 + i * 3000) for point in range(3)])
    made.log.commit()
    made.log.checkpoint()
    file = tmp_path / "log.bundle"
    file.write_bytes(pulled(storage, "CT-TEST-1"))
    for name in storage.names():
        (tmp_path / name).write_bytes(storage.read(name, 0, storage.size(name)))
    for raw, _ in bundles.read(file).entries:
        one, peeked = entry.decode(raw), inventories.told(raw)
        assert (one.kind, one.time_ms) == (peeked.kind, peeked.time_ms)
    found = asked("inventory", file, "--period", "2026")
    assert found == asked("inventory", tmp_path, "--period", "2026") and found["entity"] is None
    # a day and five hours: 870 kWh × 2 × 0.5306, and 870 Nm3 of gas
    electricity = Fraction(870 * 2, 1000) * Fraction("0.5306")
    by_source = {row["key"]: Fraction(row["tco2e"]) for row in found["by"]["source"]}
    assert abs(by_source["electricity"] - electricity) < Fraction(4, 10**6)
    assert found["incomplete"] is False and found["tree"]["name"] == "test"
    day = asked("inventory", file, "--period", "2026-01-01")
    assert {row["key"]: row["tco2e"] for row in day["by"]["source"]}["electricity"] == "0.764064"  # 1440 kWh


@pytest.mark.slow
def test_a_log_whose_beginning_was_dropped(tmp_path):
    storage = MemoryStorage()
    owner = run(storage, 260, ())
    owner.log.drop_before([first for _, first, _ in frames.segments(storage)][2])
    file = tmp_path / "log.bundle"
    file.write_bytes(pulled(storage, "CT-TEST-1"))
    found = asked("inventory", file)
    assert found["terminal"] == "CT-TEST-1" and found["until"]


@pytest.mark.requirement("T-11.7-4", "T-9.1-2", part="other indirect by category of ISO 14064-1, sinks beside")
def test_other_indirect_and_sinks(tmp_path):
    """Scope 3 stands by its category, not among the kinds of scope 1; a sink is in no total and in the net."""
    given = 'parameters: {AD: {value: "1", source: x}, EF: {value: "1", source: x, unit: UNIT}}'
    rows = "".join(
        f"  - {{name: {name}, method: iso14064-1-2018, source: {source}, {given.replace('UNIT', unit)}}}\n"
        for name, source, unit in (
            ("差旅", "transport", "tCO2e/(t.km)"), ("采购", "purchased_goods", "tCO2e/t"),
            ("厂车", "mobile_combustion", "tCO2e/t"), ("林地", "removals", "tCO2e/m2"),
        )
    )  # fmt: skip
    text = steelworks.SITE.split("boundary:")[0].replace("sources:\n", "sources:\n" + rows)
    made = site_yaml.compile_text(text)
    records = inventories.Records(made.zone)
    for name, value in (("差旅", "3"), ("采购", "5"), ("厂车", "7"), ("林地", "-2")):
        records.add("source", name, 4, made_start(made), 1, 0, Number(value))
    records.heard(made_start(made) + 31 * 86400000)
    found = inventories.report(made, records, "2026-01")
    assert {name: Fraction(value) for name, value in found["total"].items()} == {
        "total": 15, "direct": 7, "energy": 0, "other": 8, "sink": -2, "net": 13,
    }  # fmt: skip
    rows = {row["key"]: Fraction(row["tco2e"]) for row in found["by"]["kind"]}
    assert (rows["transport"], rows["other-3"], rows["other-4"]) == (7, 3, 5) and "sink" not in rows
    assert found["sinks"] == [{"source": "林地", "tco2e": "-2.000000"}]
    assert {row["key"]: row["title_zh"] for row in found["by"]["category"]}[4] == "使用的产品"


def made_start(made):
    return clock.stamp(2026, 1, 1, zone=made.zone)
