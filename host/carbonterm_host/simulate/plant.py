"""The simulated meters of a site document: what stands at the other end of each of its lines. MicroPython as well."""

from carbonterm.field import models
from carbonterm_host.simulate.meter import Meter


def meters_of(site, bus, seed=1):
    """Meters of bus number `bus` of a Site (see carbonterm.site), each with a seed of its own."""
    return [
        Meter(row.name, row.unit, models.load(row.model), seed * 100 + number, serial=row.serial,
              baud=row.baud, parity=row.parity, stop=row.stop, dialect=row.dialect)
        for number, row in enumerate(site.meters) if row.bus == bus
    ]  # fmt: skip
