"""Runs on every runtime: a wire with meters of four protocols, asked with each fault; prints what came of it."""

import sys

from carbonterm.field import cjt188, dlt645, dlt645_items, modbus, models, registers
from carbonterm.number import Number
from carbonterm_host.simulate import faults as table
from carbonterm_host.simulate.faults import Faults
from carbonterm_host.simulate.meter import Meter
from carbonterm_host.simulate.wire import Wire

LINE, OTHER = (2400, "even", 1), (9600, "none", 1)
HEAT = cjt188.Profile("90 1F", True)


class Clock:
    start_ms = 1795190400000

    def __init__(self):
        self.ms = 0

    def elapsed_s(self):
        return self.ms // 1000

    def now_ms(self):
        return self.start_ms + self.ms


class Truth:
    def __init__(self):
        self.rows = []

    def add(self, row):
        self.rows.append(row)


class Bench:
    """The wire, and one request in its time: what `ask` gives are pieces (microseconds, bytes)."""

    def __init__(self, seed):
        self.meters = [
            Meter("e", "201000000012", models.load("dlt645-2007-three-phase"), 1),
            Meter("o", "000000000007", models.load("dlt645-1997"), 2),
            Meter("h", "42590008210438", models.load("cjt188-heat-unit-first"), 3),
            Meter("g", 3, models.load("generic-gas-modbus"), 4, baud=9600, parity="none"),
        ]
        self.clock, self.faults, self.truth = Clock(), Faults(seed), Truth()
        for meter in self.meters:
            meter.begin(self.clock, self.faults, self.truth)
        self.wire = Wire(self.meters, LINE, self.faults)

    def ask(self, frame, settings):
        self.clock.ms += 60000
        self.wire.send(1000 * self.clock.ms, frame, settings)
        pieces = []
        while self.wire.next_us() is not None:
            due = self.wire.next_us()
            pieces.append((due - 1000 * self.clock.ms, self.wire.take(due)))
        return pieces


def exchanges():
    """(meter, settings, conversation, value of its data) of each."""
    energy = dlt645.Read("201000000012", "00010000")
    old = dlt645.Read("000000000007", "9010")
    heat = cjt188.Exchange(cjt188.read_data(0x20, "42590008210438", 9, profile=HEAT))
    gas = modbus.Exchange(3, modbus.read_request(3, 0, 2))
    return (
        ("e", LINE, energy, lambda data: dlt645_items.read("XXXXXX.XX", data)),
        ("o", LINE, old, lambda data: dlt645_items.read("XXXXXX.XX", data)),
        ("h", LINE, heat, lambda frame: cjt188.readings(frame, HEAT)[1].value),
        ("g", OTHER, gas, lambda frame: registers.decode(frame.pdu[2:], "uint32", "ABCD")),
    )


def read(bench, settings, asked):
    """What a master makes of it: data, or None."""
    talk = hasattr(asked, "take")
    while True:
        exchange = asked.exchange if talk else asked
        found = None
        for _, data in bench.ask(exchange.frame, settings):
            found = found or exchange.feed(data)
        found = found or exchange.flush()
        if found is None or not talk:
            return found
        if found.error is not None:
            return None
        data = asked.take(found)
        if data is not None:
            return data


def main():
    names = [None]
    names.extend(table.names(*table.METERS))
    for name in names:
        bench = Bench(7)
        if name is not None:
            bench.faults.add(name)
        for place, (meter, settings, asked, value) in enumerate(exchanges()):
            if name is not None and name not in bench.meters[place].persona.able:
                continue
            register = ("active_energy_import", "active_energy_import", "heat", "volume")[place]
            data = read(bench, settings, asked)
            refused = getattr(data, "error", False) or getattr(data, "exception", None) is not None
            try:
                shown = None if data is None or refused else value(data)
            except Exception as error:  # a reply whose layout is broken is refused, whatever the error's text
                shown = type(error).__name__
            said = bench.truth.rows[-1]["registers"].get(register) if bench.truth.rows else None
            print(name, meter, shown, None if said is None else Number(said).normal())


main()
sys.exit(0)
