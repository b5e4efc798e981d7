"""An image holds what it imports: no module of it names, at its top, one that was left out."""

import pytest

from carbonterm_host.boards import modules


@pytest.mark.slow
@pytest.mark.parametrize("profile, port", [("collector", "esp32"), ("collector", "rp2"), ("collector", "stm32"),
                                           ("terminal", "unix"), ("terminal", "esp32")])  # fmt: skip
def test_what_is_imported_at_once_is_there(profile, port):
    carried = modules.needed(profile, port)
    others = {f"{modules.PORTS}.{one}" for one in modules.FAMILIES}
    lacking = [(one, name) for one in carried for name in modules.at_once(one) if name not in carried]
    assert [row for row in lacking if row[1] not in others] == []


@pytest.mark.slow
def test_a_collector_carries_no_accounting():
    carried = modules.needed("collector", "esp32")
    assert "carbonterm_device.boot" in carried and "carbonterm.field.cjt188" in carried
    assert "carbonterm_device.ports.unix" not in carried and "carbonterm_device.ports.esp32" in carried
    assert not [name for name in carried if name.startswith(("carbonterm.accounting", "carbonterm.formula"))]
