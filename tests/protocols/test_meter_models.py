"""The meter models on every runtime: all load, and every register of a bus protocol is a place of the site document."""

import pytest

from carbonterm.errors import ModelError
from carbonterm.field import models, places
from carbonterm.gm import sm3
from seeded import Random


def test_every_model_loads_and_has_its_places():
    count = 0
    for name in models.ids():
        model = models.load(name)
        told = []
        for row in model["registers"]:
            if model["protocol"] in places.PROTOCOLS:
                function, address, kind, order, scale = models.place(model, row)
                assert places.check_point(model["protocol"], function, address, kind, order) is None
                told.append("%s %s %s %s %s" % (function, address, kind, order, scale))
            assert set(models.transformers(row["quantity"])) <= set(("ct", "pt"))
            assert models.confidence(model, row)
            count += 1
        print(name, models.identity(model), models.dialect(model), sm3.digest("\n".join(told).encode()).hex()[:16])
    print(count)
    assert count > 500


@pytest.mark.slow
def test_by_protocol():
    for protocol in models.PROTOCOLS:
        names = models.ids(protocol=protocol)
        print(protocol, len(names))
        assert names


def test_registers_and_refusals():
    model = models.load("dlt645-2007-three-phase")
    row = models.register(model, "active_energy_import")
    function, address, kind, order, scale = models.place(model, row)
    assert (function, address, kind, order, str(scale)) == (0, "00010000", "XXXXXX.XX", "ABCD", "1")
    assert models.transformers(row["quantity"]) == ("ct", "pt") and models.transformers("voltage") == ("pt",)
    assert models.transformers("current") == ("ct",) and models.transformers("frequency") == ()
    for call in (
        lambda: models.load("eastron-sdm360"), lambda: models.load("../x"), lambda: models.register(model, "vloume"),
        lambda: models.place(models.load("hj212-cems"), models.load("hj212-cems")["registers"][0]),
    ):  # fmt: skip
        with pytest.raises(ModelError) as caught:
            call()
        print(caught.value)


def test_quantities_of_what_has_no_model():
    for unit, kind, quantity in (
        ("kWh", "register", "active energy"), ("MWh", "register", "active energy"),
        ("kvarh", "register", "reactive energy"),
        ("kW", "instant", "active power"), ("V", "instant", "voltage"), ("A", "instant", "current"),
        ("°C", "instant", "temperature"), ("kWh", "instant", None), ("m3", "register", None), (None, "instant", None),
    ):  # fmt: skip
        assert models.quantity_of(unit, kind) == quantity, unit


def _spoilt(random, value):
    """`value` with one thing in it replaced by junk, at a random depth."""
    junk = (None, True, -1, 70000, "", "x", "1e999", "9" * 70, [], {}, ["x"], {"x": 1}, "float32", "0001FF00", "sX")
    if random.below(3) == 0 or not isinstance(value, (dict, list)) or not value:
        return junk[random.below(len(junk))]
    if isinstance(value, list):
        at = random.below(len(value))
        return value[:at] + [_spoilt(random, value[at])] + value[at + 1 :]
    name = sorted(value)[random.below(len(value))]
    copy = dict(value)
    if random.below(8) == 0:
        del copy[name]
    else:
        copy[name] = _spoilt(random, value[name])
    return copy


def test_whatever_is_in_a_file_is_told_and_never_raises():
    random, told = Random(2026), 0
    names = ("acrel-adw300", "dlt645-1997", "cjt188-heat", "hj212-cems", "transmitter-4-20ma", "pulse-s0")
    for name in names:
        model = models.load(name)
        for _ in range(60):
            problems = models.check(_spoilt(random, _spoilt(random, model)))
            assert isinstance(problems, list)
            told += len(problems) > 0
    print(told)
    assert told > 300


def test_what_is_no_model_is_told():
    partial = {"protocol": "cjt188", "registers": 1}
    for document in (None, [], {}, {"protocol": "modbus"}, {"protocol": "canbus"}, partial):
        problems = models.check(document)
        print(len(problems), problems[0])
        assert problems
