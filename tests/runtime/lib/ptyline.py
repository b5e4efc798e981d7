"""A serial line on a pty with small meters of our codecs; answers at one moment become the AND of their bytes.

    with PtyLine([dlt645_meter("000000000012"), …]) as line: … line.path …

A meter is (baud, f(bytes) -> answer or None); it hears only what comes at its baud. At any other the line says `noise`.
"""

import os
import termios
import threading
import time
import tty

from carbonterm.field import cjt188, dlt645, dlt645_items, modbus, registers
from carbonterm.number import Number

SPEEDS = {termios.B1200: 1200, termios.B2400: 2400, termios.B4800: 4800, termios.B9600: 9600, termios.B19200: 19200}


class PtyLine(threading.Thread):
    """meters: as above. noise: bytes that come in place of silence when a meter hears a wrong baud; bursts: bytes put
    before the next answers, one each."""

    def __init__(self, meters, noise=b"", bursts=(), echo=False):
        super().__init__(daemon=True)
        self.meters = list(meters)
        self.noise = noise
        self.bursts = list(bursts)
        self.echo = echo
        self.asked = []  # (baud, request)
        self.ended = False
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.path = os.ttyname(self.slave)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended = True
        os.close(self.slave)
        self.join(5)

    def run(self):
        while not self.ended:
            try:
                data = os.read(self.master, 300)
            except OSError:
                break
            baud = SPEEDS.get(termios.tcgetattr(self.slave)[5]) if not self.ended else None
            self.asked.append((baud, data))
            if self.echo:
                os.write(self.master, data)
            said = [answer(data) for rate, answer in self.meters if rate == baud]
            said = [one for one in said if one]
            answer = collide(said)
            if self.bursts:
                answer = self.bursts.pop(0) + answer
            if not answer and self.noise and any(rate != baud for rate, _ in self.meters):
                answer = self.noise
            if answer:
                time.sleep(0.005)
                os.write(self.master, answer)
        os.close(self.master)


def collide(answers):
    """The bytes on the line when all speak at once: a driver that pulls down wins, so each bit is the AND."""
    longest = bytearray(b"\xff" * max(map(len, answers), default=0))
    for one in answers:
        for i, byte in enumerate(one):
            longest[i] &= byte
    return bytes(longest)


def dlt645_meter(address, baud=2400, payloads=None, shortened=True):
    """payloads: {identifier: text of XXXXXX.XX}; shortened: whether it answers to a part of its address."""
    known = payloads or {"00010000": "1234.56", "9010": "77.01"}

    def payload(identifier):
        return dlt645_items.write("XXXXXX.XX", Number(known[identifier])) if identifier in known else None

    meter = dlt645.Meter(address, payload)

    def answer(data):
        for frame in dlt645.Decoder(dlt645.METER).feed(data):
            if not shortened and frame.address not in (address, dlt645.WILDCARD):
                return None
            return meter.answer(frame, leaders=0)
        return None

    return baud, answer


def cjt188_meter(address, data, type=0x20, baud=2400, only=cjt188.HIGH_FIRST):
    def answer(asked):
        for frame in cjt188.Decoder(cjt188.METER).feed(asked):
            order = cjt188.LOW_FIRST if frame.wire in (0x1F90, 0x0A81) else cjt188.HIGH_FIRST
            matches = all(frame.address[i : i + 2] in ("AA", address[i : i + 2]) for i in range(0, 14, 2))
            if matches and order == only and frame.type in (type, cjt188.ANY_TYPE):
                frame.address, frame.type = address, type
                return cjt188.respond(frame, b"" if frame.function == cjt188.READ_ADDRESS else data)
        return None

    return baud, answer


def modbus_meter(unit, values=(), baud=9600, functions=(3, 4)):
    """values: {(function, address): (Number's text, type, order)}; other registers are refused."""
    held = {}
    for (function, address), (text, type, order) in dict(values).items():
        data = registers.encode(Number(text), type, order)
        for i in range(0, len(data), 2):
            held[function, address + i // 2] = data[i : i + 2]

    def answer(data):
        for frame in modbus.RtuDecoder(modbus.METER).feed(data):
            if frame.unit != unit:
                return None
            if frame.function not in functions:
                return modbus.rtu(unit, modbus.exception(frame.function, 1))
            asked = modbus.parse_request(frame.pdu)
            parts = [held.get((frame.function, asked.address + i)) for i in range(asked.count)]
            if None in parts:
                return modbus.rtu(unit, modbus.exception(frame.function, 2))
            return modbus.rtu(unit, modbus.read_response(frame.function, b"".join(parts)))
        return None

    return baud, answer
