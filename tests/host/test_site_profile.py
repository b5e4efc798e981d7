"""`profile: collector` of a site.yaml: what a collector has not is refused with its line, all of it at once."""

import pytest

from carbonterm import site
from carbonterm_host import site_yaml
from carbonterm_host.yaml_reader import Mistakes

YAML = """\
terminal: C1
name: 采集器
zone: "+08:00"
buses: [{{name: lan, kind: modbus-tcp, host: 127.0.0.1}}{bus}]
meters: [{{name: m, bus: lan, unit: 1, model: eastron-sdm630}}]
points: [{{name: P, meter: m, register: active_power, every: 1min{point}}}]
settings: {{profile: {profile}, commit: 2s{settings}}}
{more}
"""


def text(bus="", point="", settings="", more="", profile="collector"):
    return YAML.format(bus=bus, point=point, settings=settings, more=more, profile=profile)


@pytest.mark.parametrize("settings", ["", ", closings: []"])
def test_a_collector_settles_nothing(settings):
    found = site_yaml.compile_text(text(settings=settings))
    assert found.settings.profile == site.COLLECTOR and found.settings.closings == []
    again = site.decode(found.canonical())
    assert again.settings.profile == site.COLLECTOR and again.canonical() == found.canonical()


def test_a_terminals_document_does_not_name_its_profile():
    named = site_yaml.compile_text(text(profile="terminal"))
    plain = site_yaml.compile_text(text().replace("profile: collector, ", ""))
    assert named.canonical() == plain.canonical() and plain.settings.profile == site.TERMINAL


@pytest.mark.parametrize("given, line, says", [
    ({"settings": ", closings: [hour]"}, 7, "settles nothing"),
    ({"bus": ", {name: io, kind: analog, folder: /x}"}, 4, "kind analog is a terminal's"),
    ({"point": ", average: linear"}, 6, "settles no rates"),
    ({"more": "virtual: [{name: V, add: [P]}]"}, 8, "combines no points"),
    ({"more": f"operators: [{{name: a, public: {'01' * 64}}}]"}, 8, "takes no data by hand"),
    ({"more": "boundary: {name: x}"}, 8, "has no boundary"),
    ({"profile": "gateway"}, 7, "terminal, collector"),
])  # fmt: skip
def test_what_a_collector_has_not(given, line, says):
    with pytest.raises(Mistakes) as said:
        site_yaml.compile_text(text(**given))
    assert any(says in what and at == line for _, at, _, what, _ in said.value.rows), said.value.rows
