"""`carbonterm compare`: units and periods, the band with its borders, zero accounting, and what is refused."""

import json

import pytest

from shell import carbonterm

UNITS = """unit,period,monitored,accounted,monitored_u,accounted_u
1号机组,2026-01,110,100,6,4
1号机组,2026-02,90,100,6,4
2号机组,2026-01,110.01,100,3%,2%
3号机组,2026-01,5,0,,
"""


def run(tmp_path, text, *options, code=0):
    file = tmp_path / "u.csv"
    file.write_text(text, encoding="utf-8")
    returned, out, err = carbonterm("compare", file, *options, "--json")
    assert returned == code, err + out
    return json.loads(out)


@pytest.mark.requirement("C-3-1")
@pytest.mark.requirement("C-3-2")
def test_units_and_periods(tmp_path):
    """±10 % is inside; two of three judged; mean 3.34 %, s = √(((6.66)² + (13.34)² + (6.67)²)/2) = 11.55 %."""
    view = run(tmp_path, UNITS, code=1)
    assert [row["relative_percent"] for row in view["rows"]] == ["10.00", "-10.00", "10.01", None]
    assert [row["within"] for row in view["rows"]] == [True, True, False, None]
    assert view["rows"][0]["symmetric_percent"] == "9.52" and view["rows"][3]["symmetric_percent"] == "200.00"
    assert view["within_percent"] == "66.7" and view["mean_percent"] == "3.34" and view["s_percent"] == "11.55"
    assert view["outside"] == ["2号机组 2026-01"] and view["unjudged"] == ["3号机组 2026-01"]
    assert view["units"][0] == {"unit": "1号机组", "monitored": "200", "accounted": "200", "relative_percent": "0.00"}
    # 10/√(6.6² + 4²) = 1.296; 10.01/√(3.3003² + 2²) = 2.594
    assert [row["En"] for row in view["rows"]] == ["1.30", "-1.49", "2.59", None]
    assert view["disagreeing"] == ["1号机组 2026-01", "1号机组 2026-02", "2号机组 2026-01"]


def test_a_wider_band_and_the_screen(tmp_path):
    plain = "unit,monitored,accounted\na,104,100\nb,97,100\n"
    view = run(tmp_path, plain)
    assert view["within_percent"] == "100.0" and view["mean_percent"] == "0.50" and view["s_percent"] == "4.950"
    assert run(tmp_path, plain, "--band", "3%", code=1)["outside"] == ["a"]
    assert run(tmp_path, "unit,monitored,accounted\na,104,100\n")["mean_percent"] == "4.00"
    (tmp_path / "u.csv").write_text(UNITS, encoding="utf-8")
    for lang, words in (("en", ("outside the band", "check values")), ("zh", ("超出界限", "校核值", "核算值为 0"))):
        code, out, _ = carbonterm("compare", tmp_path / "u.csv", lang=lang)
        assert code == 1 and all(word in out for word in words)


@pytest.mark.parametrize(
    "text, options, said",
    [
        ("unit,monitored\na,1\n", (), "the header is"), ("unit,monitored,accounted,x\n", (), "the header is"),
        ("unit,unit,monitored,accounted\n", (), "each once"), ("unit,monitored,accounted\n", (), "has no rows"),
        ("", (), "has no rows"), ("unit,monitored,accounted\na,-1,1\n", (), "u.csv:2: monitored is -1"),
        ("unit,monitored,accounted\na,x,1\n", (), "u.csv:2: 'x'"), ("unit,monitored,accounted\na,1\n", (), "u.csv:2: "),
        ("unit,monitored,accounted\na,1,1\n", ("--band", "0"), "--band is 0"),
        ("unit,monitored,accounted\na,1,1\n", ("--band", "x"), "not a decimal number"),
    ],
)  # fmt: skip
def test_refusals(tmp_path, text, options, said):
    file = tmp_path / "u.csv"
    file.write_text(text, encoding="utf-8")
    code, out, err = carbonterm("compare", file, *options)
    assert code == 2 and said in err, err + out
