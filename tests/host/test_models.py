"""Meter models: every file keeps the schema of docs/models.md, and what breaks it is told."""

import copy
import json
from pathlib import Path

import pytest

from carbonterm import units
from carbonterm.errors import ModelError
from carbonterm.field import models
from carbonterm.field.modbus import read_request
from carbonterm.field.registers import WIDTH, decode, encode
from carbonterm.number import Number

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/models.md").read_text(encoding="utf-8")
WANTED = ["acrel-adw300", "chint-dtsu666", "eastron-sdm120", "eastron-sdm630", "generic-gas-modbus",
          "generic-mass-modbus", "schneider-iem3155", "tuf-2000m"]  # fmt: skip


@pytest.mark.parametrize("name", models.ids())
def test_every_model_keeps_the_schema(name):
    model = models.load(name)
    assert model["id"] == name and f"| `{name}` |" in DOCUMENT
    assert any(r["kind"] == "register" for r in model["registers"])
    spans = {}
    for register in model["registers"]:
        width = WIDTH[register["type"]]
        read_request(register["function"], register["address"], width)
        assert units.parse(register["unit"]) is not None
        place = (register["function"], register["address"])
        assert place not in spans, f"{register['name']} and {spans[place]} share a register"
        spans.update({(place[0], place[1] + i): register["name"] for i in range(width)})
        low = Number(register["min"]) if register["min"] is not None else Number(0)
        raw = (low / Number(register["scale"])).round(0)
        assert decode(encode(raw, register["type"], register["order"]), register["type"], register["order"]) == raw


def test_the_models_of_the_first_line_are_there():
    assert set(WANTED) <= set(models.ids())


def test_sourced_places():
    """Where the makers' papers say the main totals are."""
    for name, register, function, address, type_, order, scale, unit in (
        ("eastron-sdm630", "active_energy_import", 4, 0x48, "float32", "ABCD", "1", "kWh"),
        ("eastron-sdm120", "active_energy_import", 4, 0x48, "float32", "ABCD", "1", "kWh"),
        ("chint-dtsu666", "active_energy_import", 3, 0x101E, "float32", "ABCD", "1", "kWh"),
        ("chint-dtsu666", "voltage_a", 3, 0x2000, "float32", "ABCD", "0.1", "V"),
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
