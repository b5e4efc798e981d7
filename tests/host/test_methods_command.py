"""`carbonterm methods`: the catalogue of Annex A, one method in full, and a check that finds what is wrong."""

import json

import pytest

from carbonterm_host import library, methods_check
from carbonterm_host.cli import main


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        main([*arguments])
    return caught.value.code, capsys.readouterr().out


@pytest.mark.requirement("T-11.4-2")
@pytest.mark.requirement("T-9.2-1")
def test_the_catalogue_lists_all_of_annex_a(capsys):
    code, out = run(capsys, "methods", "list", "--json")
    rows = json.loads(out)["methods"]
    assert code == 0
    assert sorted(row["appendix_a"] for row in rows if row["appendix_a"]) == list(range(1, 30))
    for row in rows:
        assert row["version"] >= 1 and row["document"] and row["name_zh"] and row["gases"] and row["sources"]
    code, out = run(capsys, "methods", "list")
    assert code == 0 and "cn-2013-steel" in out


@pytest.mark.slow
@pytest.mark.requirement("T-9.1-1")
def test_all_methods_are_sound(capsys):
    code, out = run(capsys, "methods", "check", "--json")
    view = json.loads(out)
    assert (code, view["findings"]) == (0, [])
    assert (view["annex_a"], view["of"], view["general"]) == (29, 29, True)
    assert view["unconfirmed"] and {"set", "factor", "methods"} == set(view["unconfirmed"][0])
    code, out = run(capsys, "methods", "check")
    assert code == 0
    assert "29 of 29 methods of Annex A evaluate, units match" in out.replace("\n", " ")
    assert "from memory or of low confidence" in out.replace("\n", " ")
    assert "29 / 29" in run(capsys, "--lang", "zh", "methods", "check")[1]


@pytest.mark.requirement("T-9.2-8", part="sources of a method with their categories")
@pytest.mark.requirement("T-9.2-9", part="gas, formula and data items")
def test_one_method(capsys):
    code, out = run(capsys, "methods", "show", "cn-2024-aluminium", "--json")
    view = json.loads(out)
    effect = next(row for row in view["sources"] if row["id"] == "anode_effect")
    assert code == 0
    assert (effect["gases"], effect["scope"], effect["category"]) == (["CF4", "C2F6"], 1, 1)
    assert effect["formula"] == "CF4: P*EFcf4/1000; C2F6: P*EFc2f6/1000"
    assert {"P", "AEM", "EFcf4"} <= {p["name"] for p in effect["parameters"]}
    code, out = run(capsys, "--lang", "en", "methods", "show", "cn-2013-electrolytic-aluminium")
    assert code == 0 and "superseded by" in out
    code, out = run(capsys, "methods", "show", "cn-2013-steal", "--json")
    assert code == 2 and "cn-2013-steel" in out


def spoilt(change):
    """Findings of the library with one method changed by `change` (its JSON)."""
    data = library.read(library.FOLDER / "methods" / "cn-2013-steel.json")
    change(data)
    methods = dict(library.methods())
    methods["cn-2013-steel"] = library.load_method(data)
    return methods_check.report(methods, library.factors(), library.moment("2026-01-01"))


def source(data, name):
    return next(row for row in data["sources"] if row["id"] == name)


def heat_factor(data):
    return source(data, "purchased_heat")["parameters"][1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda data: source(data, "flux").update(carries="kgCO2/tCO2"), "off by a factor of 1/1000"),
        (lambda data: source(data, "flux").update(formula="P*EF+P"), "a sum of"),
        (lambda data: heat_factor(data).update(default="no-such"), "no factor no-such"),
        (lambda data: heat_factor(data).update(default="gwp/SAR/CO2"), "is in tCO2e/tCO2"),
        (lambda data: source(data, "flux")["parameters"][1].update(choose="no-such"), "no factors in no-such"),
        (lambda data: data.update(fuel_set="no-such"), "no fuel set no-such"),
        (lambda data: data.update(valid_to="2020-12-31"), "is not valid on 2026-01-01"),
        (lambda data: source(data, "flux").update(source=""), "names no source"),
    ],
)
def test_what_is_wrong_is_found(change, what):
    view = spoilt(change)
    assert any(what in row["what"] for row in view["findings"]), view["findings"]
    assert view["annex_a"] == 28
