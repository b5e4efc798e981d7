"""The unique identity of each device in site.yaml: on every kind of bus, once, and in what comes out (6.3)."""

import pytest

from carbonterm import cbor, site, site_changes
from carbonterm.errors import SiteError
from carbonterm_host import site_yaml
from commandline import carbonterm

SITE = """\
terminal: CT-ID-1
name: 标识
zone: "+08:00"
buses:
  - {name: lan, kind: modbus-tcp, host: 127.0.0.1, port: 1}
  - {name: broker, kind: mqtt, host: 127.0.0.1, port: 1883}
meters:
  - {name: M1, bus: lan, unit: 1, model: eastron-sdm630, identifier: "88.118.12345678/M-0001"}
  - {name: S1, bus: broker, topic: plant/s1, identifier: "88.118.12345678/S-0001"}
  - {name: M2, bus: lan, unit: 2, model: eastron-sdm630}
points:
  - {name: E1, meter: M1, register: active_energy_import, every: 1h}
"""


@pytest.mark.requirement("T-6.3-3")
def test_each_device_has_an_identity_of_its_own_that_is_checked_and_carried_along(tmp_path):
    file = tmp_path / "site.yaml"
    file.write_text(SITE, encoding="utf-8")
    found = carbonterm("site", "check", file, "-o", tmp_path / "site.bin")
    assert found[0] == 0, found
    made = site.decode((tmp_path / "site.bin").read_bytes())
    wanted = ["88.118.12345678/M-0001", "88.118.12345678/S-0001", None]
    assert [meter.identifier for meter in made.meters] == wanted
    assert made.canonical() == (tmp_path / "site.bin").read_bytes()
    rows = cbor.decode(made.canonical())[6]
    assert [len(row) for row in rows] == [22, 22, 21]  # who has none has no place for one

    for old, new, line, what in (
        ("S-0001", "m-0001", 9, "meters 'M1' and 'S1' have one identifier"),
        ("88.118.12345678/M-0001", "1.2.156.1/M", 8, "country.industry.enterprise"),
        ("88.118.12345678/M-0001", "88.118.12345678", 8, "no suffix"),
    ):
        file.write_text(SITE.replace(old, new), encoding="utf-8")
        code, out, err = carbonterm("site", "check", file)
        assert code != 0 and what in out + err and f"site.yaml:{line}:" in out + err, out + err
    rows[2].append("88.118.12345678/S-0001")
    whole = cbor.decode(made.canonical())
    whole[6] = rows
    with pytest.raises(SiteError, match="have one identifier"):
        site.Site(whole)  # nor on the terminal, whoever made the document
    rows[2][-1] = "S-0001"
    with pytest.raises(SiteError, match=r"meter 2, identifier: .*no suffix"):
        site.Site(whole)

    other = site_yaml.compile_text(SITE.replace("M-0001", "M-0002"))
    assert site_changes.changes(made, other) == [
        "meter 'M1': identifier 88.118.12345678/M-0001 → 88.118.12345678/M-0002"
    ]  # fmt: skip
