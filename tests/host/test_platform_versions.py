"""The platform shows the version of a figure that counts, and those before it with the reason; entered and combined
data have their origin in the metadata."""

import httpx
import pytest

from carbonterm import clock
from carbonterm.gm import sm2, sm3
from carbonterm.ledger import entry
from carbonterm.ledger import manual as records
from carbonterm.pipeline import Pipeline
from carbonterm.site import Site
from forming import formed
from serving import Platform, Source, post
from sites import compiled

ZHANG, LI = (sm2.Signer(bytes(31) + bytes([one])) for one in (9, 10))
MARCH, APRIL = (clock.parse(f"2026-0{month}-01T00:00:00+08:00") for month in (3, 4))
NOW = APRIL + 3600000


def plant():
    """A Source whose log has a month of coal by hand, corrected, rejected and entered again."""
    kiln = compiled("C", 1, "coal*EF", [["coal", "t"]], [["EF", "tCO2/t", -1, 8]])
    document = formed(
        [["zhang", ZHANG.public], ["li", LI.public]], [["coal", "mass", "t", None, None, False]],
        [["half", "mass", "t", "sum", [[3, 1, 2]], "estimate"]], terminal="CT-HAND",
        sources=[["kiln", kiln, [["coal", [[3, 1, 1]]]]], ["twice", kiln, [["coal", [[4, 2, 1]]]]]], closings=(4, 5),
    )  # fmt: skip
    made = Source("CT-HAND")
    pipeline = Pipeline()

    def put(kind, body):
        seq = made.log.append(NOW, 3, kind, body)
        found = entry.Entry("CT-HAND", 0, seq, NOW, 3, kind, body, None)
        for _, _, derived, one in pipeline.fold(found):
            made.log.append(NOW, 3, derived, one)

    def give(who, key, what, fields):
        record = records.make("CT-HAND", who, NOW, what, fields, key.sign)
        put(entry.MANUAL, [record.body, record.signature])
        return record.digest

    def amount(value, of=None):
        return give("zhang", ZHANG, records.ENTER, ["coal", MARCH, APRIL, 0, value, "t", [], "", of])

    canonical = Site(document).canonical()
    put(entry.START, ["0.1.0", "micropython 1.25", "first", 0])
    put(entry.CONFIG, [sm3.digest(canonical), canonical])
    second = amount(93, amount(100))
    give("li", LI, records.REVIEW, [second, records.REJECTED, "weighed twice"])
    amount(50)
    made.log.commit()
    made.log.checkpoint()
    return made


@pytest.mark.slow
@pytest.mark.requirement("T-9.2-5", part="the platform shows every version with its reason")
@pytest.mark.requirement("T-11.3-13", part="what was entered by hand reaches the platform")
def test_the_latest_version_counts_and_the_others_are_shown(tmp_path):
    made = plant()
    with Platform(tmp_path, "--check-every", "0", "--quality-hours", "0") as platform:
        platform.register(made)
        assert post(platform, "CT-HAND", made.batch(checkpoint=made.log.last_checkpoint))[0] == 200
        shown = httpx.get(f"{platform.url}/v1/terminals/CT-HAND").json()
        months = {row.get("source") or row["point"]: row for row in shown["closings"] + shown["emissions"]
                  if row["period"] == "month"}  # fmt: skip
        assert (months["coal"]["increment"], months["coal"]["quality"], months["coal"]["unit"]) == ("50.000", 0, "t")
        assert months["half"]["increment"] in ("25", "25.000")
        kiln = months["kiln"]
        assert (kiln["version"], kiln["tco2e"]) == (4, "40.000000")
        assert kiln["earlier"] == [{"version": 1, "tco2e": "80.000000"}, {"version": 2, "tco2e": "74.400000"},
                                   {"version": 3, "tco2e": None}]  # fmt: skip
        assert kiln["reason"].startswith("entered by zhang, entry") and months["twice"]["tco2e"] == "40.000000"
        page = httpx.get(platform.url).text
        assert "entered by zhang" in page and "74.400000" in page
        whole = httpx.get(f"{platform.url}/v1/terminals/CT-HAND/figures?kind=closing&period=month").json()
        origins = {row["name"]: row["origin"] for row in whole["metadata"].values()}
        assert origins["coal"] == "entered by hand, signed by zhang, li" and origins["half"] == "1/2 × coal"
        assert all(row["metadata"] for row in whole["figures"])
        year = httpx.get(f"{platform.url}/v1/terminals/CT-HAND/inventory?period=2026-03")
        assert year.status_code == 200 and year.json()["total"]["total"] == "80.000000"
