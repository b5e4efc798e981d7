"""Meter models: every file keeps the schema of docs/models.md, and what breaks it is told."""

import copy
import json
from pathlib import Path

import pytest

from carbonterm import units
from carbonterm.errors import ModelError
from carbonterm.field import cjt188, dlt645_items, models, places
from carbonterm.field.modbus import read_request
from carbonterm.field.registers import WIDTH, decode, encode
from carbonterm.number import Number

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/models.md").read_text(encoding="utf-8")
WANTED = [
    "abb-b23-b24", "acrel-adl3000", "acrel-adl400", "acrel-adw300", "carlo-gavazzi-em24", "carlo-gavazzi-em340",
    "chint-ddsu666", "chint-dtsu666", "chint-dtsu666-401e", "chint-dtsu666-h", "cjt188-gas", "cjt188-heat",
    "cjt188-heat-unit-first", "cjt188-water", "dlt645-1997", "dlt645-2007-single-phase", "dlt645-2007-three-phase",
    "eastron-sdm120", "eastron-sdm230", "eastron-sdm630", "hj212-cems", "janitza-umg104", "janitza-umg96rm-e",
    "schneider-iem3155", "schneider-pm5000", "siemens-pac2200", "siemens-pac3200", "teledyne-t300", "tuf-2000m",
    "transmitter-4-20ma", "pulse-s0", "generic-gas-modbus", "generic-mass-modbus",
]  # fmt: skip


@pytest.mark.parametrize("name", models.ids())
def test_every_model_keeps_the_schema(name):
    model = models.load(name)
    assert model["id"] == name and f"| `{name}` |" in DOCUMENT
    assert model["medium"] in ("flue gas", "other") or any(r["kind"] == "register" for r in model["registers"])
    assert all(row["source"] and units.parse(row["unit"]) for row in model["registers"])


@pytest.mark.parametrize("name", models.ids(protocol="modbus"))
def test_registers_can_be_asked_and_hold_their_range(name):
    for register in models.load(name)["registers"]:
        function, address, kind, order, scale = models.place({"protocol": "modbus"}, register)
        read_request(function, address, WIDTH[kind])
        low = Number(register["min"]) if register["min"] is not None else Number(0)
        raw = (low / scale).round(0)
        assert decode(encode(raw, kind, order), kind, order) == raw


@pytest.mark.parametrize("name", models.ids(protocol="dlt645-2007") + models.ids(protocol="dlt645-1997"))
def test_identifiers_mean_what_the_standard_says(name):
    for row in models.load(name)["registers"]:
        item = dlt645_items.lookup(row["item"])
        _, layout, unit = item.layouts[0]
        assert (layout, unit or "1") == (row["layout"], row["unit"]), row["name"]
        assert row["quantity"].split(" ")[-1] in item.name, (item.name, row["quantity"])


@pytest.mark.parametrize("name", models.ids(protocol="cjt188"))
def test_items_are_those_of_901f(name):
    model = models.load(name)
    layouts = (cjt188.HEAT_46, cjt188.HEAT_43) if model["medium"] == "heat" else (cjt188.VOLUME,)
    assert places.check_dialect("cjt188", models.dialect(model)) is None
    for row in model["registers"]:
        for layout in layouts:
            assert row["item"] in [item[0] for item in layout]
    decimals = {item[0]: item[3] for item in cjt188.HEAT_46 + cjt188.VOLUME}
    assert all(models.cjt188_decimals(row["item"]) == decimals[row["item"]] for row in model["registers"])


def test_the_models_wanted_are_there():
    assert set(WANTED) <= set(models.ids())
    real = [name for name in models.ids() if not models.load(name)["source"]["confidence"].startswith("simulated")]
    assert len(real) >= 24


def test_three_maps_of_one_badge_are_told_apart():
    """What each of the three DTSU666 shows at the probe registers of the others, at 230 V, is outside their range."""
    maps = [models.load(name) for name in ("chint-dtsu666", "chint-dtsu666-401e", "chint-dtsu666-h")]
    raws = []
    for model in maps:
        row = models.register(model, model["probe"]["register"])
        raws.append({row["address"]: Number(230) / Number(row["scale"])})
    for i, model in enumerate(maps):
        row, probe = models.register(model, model["probe"]["register"]), model["probe"]
        for j, raw in enumerate(raws):
            value = Number(0) if row["address"] not in raw else raw[row["address"]] * Number(row["scale"])
            assert (Number(probe["min"]) <= value <= Number(probe["max"])) == (i == j), (model["id"], maps[j]["id"])


def test_sourced_places():
    """Where the makers' papers say the main totals are."""
    for name, register, function, address, type_, order, scale, unit in (
        ("eastron-sdm630", "active_energy_import", 4, 0x48, "float32", "ABCD", "1", "kWh"),
        ("eastron-sdm120", "active_energy_import", 4, 0x48, "float32", "ABCD", "1", "kWh"),
        ("chint-dtsu666", "active_energy_import", 3, 0x101E, "float32", "ABCD", "1", "kWh"),
        ("chint-dtsu666", "voltage_a", 3, 0x2006, "float32", "ABCD", "0.1", "V"),
        ("schneider-iem3155", "active_energy_import", 3, 0x0C83, "int64", "ABCD", "1", "Wh"),
        ("schneider-iem3155", "frequency", 3, 0x0C25, "float32", "ABCD", "1", "Hz"),
        ("acrel-adw300", "active_energy_import", 3, 62, "int32", "ABCD", "0.01", "kWh"),
        ("tuf-2000m", "temperature_supply", 3, 0x20, "float32", "CDAB", "1", "°C"),
        ("tuf-2000m", "heat", 3, 16, "int32", "CDAB", "1", "GJ"),
        ("generic-gas-modbus", "volume", 3, 0, "uint32", "ABCD", "0.01", "Nm3"),
    ):
        found = models.register(models.load(name), register)
        got = [found[key] for key in ("function", "address", "type", "order", "scale", "unit")]
        assert got == [function, address, type_, order, scale, unit], (name, register)


def test_the_gas_meter_is_marked_as_simulated():
    model = models.load("generic-gas-modbus")
    assert model["source"]["confidence"] == "simulated" and "no maker" in model["source"]["via"]
    assert models.register(model, "volume")["modulus"] == str(Number("0.01") * (1 << 32))


def test_the_document_tells_every_field():
    rules = models._MODEL + models._REGISTER + models._MAYBE + models._MAYBE_REGISTER
    for more in (models._OF_MODEL, models._MAYBE_OF, models._PLACE):
        rules += sum(more.values(), ())
    for field, _, _ in rules:
        assert f"`{field}`" in DOCUMENT, field
    for field, _, _ in models._SERIAL + models._SOURCE:
        assert f"`{field}`" in DOCUMENT, field
    for medium in models.MEDIA:
        assert f"`{medium}`" in DOCUMENT


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m.pop("maker"), "maker is missing"),
        (lambda m: m.update(colour="red"), "unknown field 'colour'"),
        (lambda m: m.update(protocol="dlt645"), "protocol must be one of modbus"),
        (lambda m: m.update(medium="air"), "medium must be one of"),
        (lambda m: m.update(max_registers=126), "max_registers must be 1 to 125"),
        (lambda m: m.update(id="A B"), "id must be"),
        (lambda m: m.update(registers=[]), "no registers"),
        (lambda m: m.update(registers={}), "registers must be a list"),
        (lambda m: m.update(serial=[]), "serial is no object"),
        (lambda m: m["serial"].update(parity="mark"), "parity must be one of"),
        (lambda m: m["serial"].pop("baud"), "baud is missing"),
        (lambda m: m["source"].update(document=""), "document must be a text"),
        (lambda m: m["registers"].append(7), "register '7' is no object"),
        (lambda m: m["registers"].append(m["registers"][0]), "is there twice"),
        (lambda m: m["registers"][0].pop("title_zh"), "title_zh is missing"),
        (lambda m: m["registers"][0].update(scale=0.01), "scale must be a decimal as a text"),
        (lambda m: m["registers"][0].update(scale="0"), "scale must be a decimal as a text"),
        (lambda m: m["registers"][0].update(unit="kWq"), "unit must be a unit"),
        (lambda m: m["registers"][0].update(function=6), "function must be 3 or 4"),
        (lambda m: m["registers"][0].update(address=-1), "address must be 0 to 65535"),
        (lambda m: m["registers"][0].update(address=True), "address must be 0 to 65535"),
        (lambda m: m["registers"][0].update(address=65535), "it does not fit"),
        (lambda m: m["registers"][0].update(type="int24"), "type must be one of"),
        (lambda m: m["registers"][0].update(order="ABDC"), "order must be one of"),
        (lambda m: m["registers"][0].update(modulus="0"), "modulus must be a decimal above 0"),
        (lambda m: m["registers"][0].update(modulus="42949672.97"), "more than the type can hold"),
        (lambda m: m["registers"][2].update(modulus="100"), "only a running total has a modulus"),
        (lambda m: m["registers"][2].update(min="5", max="4"), "min is above max"),
        (lambda m: m["registers"][2].update(max="much"), "max must be a decimal"),
        (lambda m: m["registers"][2].update(kind="total"), "kind must be one of"),
        (lambda m: m["registers"][1].update(address=1), "register 'volume_actual': overlaps 'volume'"),
        (lambda m: m["registers"][0].update(quantity="volts"), "quantity must be one of"),
        (lambda m: m["registers"][0].update(confidence="sure"), "confidence must be"),
        (lambda m: m["source"].update(confidence="quite sure"), "confidence must be one of"),
        (lambda m: m.update(ratios="none"), "ratios must be primary, secondary or direct"),
        (lambda m: m.update(gap=200), "gap must be 0 to 124"),
        (lambda m: m.update(silence_ms=-1), "silence_ms must be"),
        (lambda m: m.update(probe={"register": "voltage"}), "probe must be"),
        (lambda m: m.update(probe={"register": "volt", "min": "1", "max": "2"}), "there is no register 'volt'"),
        (lambda m: m.update(dialect={}), "unknown field 'dialect'"),
    ],
)
def test_what_breaks_the_schema_is_told(tmp_path, change, said):
    model = copy.deepcopy(models.load("generic-gas-modbus"))
    assert models.check(model) == []
    change(model)
    problems = models.check(model)
    assert any(said in problem for problem in problems), problems
    (tmp_path / "x.json").write_text(json.dumps(model), encoding="utf-8")
    with pytest.raises(ModelError, match=r"meter model x: .*docs/models\.md"):
        models.load("x", str(tmp_path))


@pytest.mark.parametrize(
    ("id", "change", "said"),
    [
        ("dlt645-2007-three-phase", lambda m: m["registers"][0].update(item="0001"), "no data identifier"),
        ("dlt645-2007-three-phase", lambda m: m["registers"][0].update(layout="XXX"), "layout must be a layout"),
        ("dlt645-2007-three-phase", lambda m: m["registers"][0].update(modulus="1000001"), "than the layout can hold"),
        ("dlt645-2007-three-phase", lambda m: m["registers"][1].update(item="00010000"), "overlaps"),
        ("dlt645-2007-three-phase", lambda m: m["registers"][0].update(address=1), "unknown field 'address'"),
        ("dlt645-2007-three-phase", lambda m: m.update(max_registers=1), "unknown field 'max_registers'"),
        ("cjt188-water", lambda m: m["registers"][0].update(item="901F"), "901F of CJ/T 188 has no '901F'"),
        ("cjt188-water", lambda m: m.pop("dialect"), "dialect is missing"),
        ("cjt188-water", lambda m: m["dialect"].update(type="5A"), "dialect must be an object"),
        ("cjt188-water", lambda m: m["dialect"].update(order="1F90"), "dialect must be an object"),
        ("hj212-cems", lambda m: m["registers"][0].update(field="Now"), "field must be Rtd"),
        ("hj212-cems", lambda m: m.update(serial={}), "unknown field 'serial'"),
        ("transmitter-4-20ma", lambda m: m["registers"][0].update(signal="0-20mA"), "signal must be one of"),
        ("transmitter-4-20ma", lambda m: m["registers"][0].update(high="0"), "low and high are the same"),
        ("pulse-s0", lambda m: m["registers"][0].update(constant="0"), "constant must be"),
        ("pulse-s0", lambda m: m["registers"][0].update(bits=7), "bits must be 8 to 64"),
    ],
)
def test_what_breaks_the_schema_of_each_protocol_is_told(id, change, said):
    model = copy.deepcopy(models.load(id))
    change(model)
    problems = models.check(model)
    assert any(said in problem for problem in problems), problems


def test_meters_that_are_on_no_bus_have_no_place():
    model = models.load("hj212-cems")
    with pytest.raises(ModelError, match="no meter on a bus"):
        models.place(model, model["registers"][0])
    places = [models.place(one, one["registers"][0]) for one in map(models.load, ("transmitter-4-20ma", "pulse-s0"))]
    assert places[0][:4] == (0, [[0, 0], [100, 0]], "4-20mA", "ABCD") and places[1][:4] == (0, 32, "pulse", "ABCD")


def test_unknown_models_and_files_that_are_none(tmp_path):
    with pytest.raises(ModelError, match="did you mean eastron-sdm630"):
        models.load("eastron-sdm360")
    for name in ("../meters/tuf-2000m", "", None, 7, "x" * 1000, "TUF-2000M\n"):
        with pytest.raises(ModelError, match="unknown meter model"):
            models.load(name)
    for text in (b"", b"{", b"[]", b"null", b'{"id": 1}', b"\xff\xfe"):
        (tmp_path / "x.json").write_bytes(text)
        with pytest.raises(ModelError, match="meter model x"):
            models.load("x", str(tmp_path))
    model = models.load("tuf-2000m")
    (tmp_path / "x.json").write_text(json.dumps(model), encoding="utf-8")
    with pytest.raises(ModelError, match="its id is 'tuf-2000m'"):
        models.load("x", str(tmp_path))
    with pytest.raises(ModelError, match="no register 'vloume'; did you mean volume"):
        models.register(model, "vloume")
