"""Entrances for what others send: one task each, beside the buses that are asked (docs/inbound.md)."""

from carbonterm.field.inbound import HTTPS, MQTT


def make(index, site, terminal, clock, port, storage):
    """The Inbox for bus number `index`; `storage` has the files that the site document names."""
    kind = site.buses[index].kind
    # code of a kind that is not there takes no memory
    if kind == MQTT:
        from carbonterm_device.inbound.subscriber import Subscriber as made
    elif kind == HTTPS:
        from carbonterm_device.inbound.endpoint import Endpoint as made
    else:
        from carbonterm_device.inbound.stations import Stations as made
    return made(index, site, terminal, clock, port, storage)
