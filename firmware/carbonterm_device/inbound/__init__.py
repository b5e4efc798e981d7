"""Entrances for what others send: one task each, beside the buses that are asked (docs/inbound.md)."""

from carbonterm.field.inbound import HTTPS, MQTT
from carbonterm_device.inbound.endpoint import Endpoint
from carbonterm_device.inbound.stations import Stations
from carbonterm_device.inbound.subscriber import Subscriber


def make(index, site, terminal, clock, port, storage):
    """The Inbox for bus number `index`; `storage` has the files that the site document names."""
    kind = site.buses[index].kind
    made = Subscriber if kind == MQTT else Endpoint if kind == HTTPS else Stations
    return made(index, site, terminal, clock, port, storage)
