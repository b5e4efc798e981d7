"""What one exchange with a meter costs in the codec alone, for every protocol on every runtime: make the request, find
the reply among the bytes, take the values out of it; no I/O.

Modbus beside pymodbus is modbus_codec; here PyPI dlt645 is the peer of DL/T 645 on CPython, given the same bytes.
"""

from tools.bench.measure import RUNTIMES, Unavailable, command, per_call, rounds, row

_WATER = "b'\\0\\x77\\x66\\x55\\x2c\\0\\x77\\x66\\x55\\x2c\\x31\\1\\x22\\x11\\5\\x15\\x20\\x21\\x84'"
_AREA = (
    "[[('DataTime', '20261121080000')]] + "
    "[[('a%05d-Avg' % i, '12.%d' % i), ('a%05d-Flag' % i, 'N')] for i in range(8)]"
)
_DLT645 = """
from carbonterm.field.dlt645 import Exchange, read_request, read_response, frame
from carbonterm.field.dlt645_items import values
reply = frame("201000000012", read_response("{identifier}", bytes({size})))
"""
_HJ212 = """
from carbonterm.field.hj212 import Decoder, readings
from carbonterm.field.hj212_roles import Logger
{cipher}
logger = Logger("A16F000169", "1", "31", "{version}", cipher=cipher)
logger.upload("2011", %s, 1795208460000, ack=False)
(packet,) = logger.poll(1795208460000)
""" % _AREA  # noqa: UP031

# what: (set-up, statement, calls on CPython)
EXCHANGES = {
    "Modbus RTU, 10 registers as 5 exact float32": (
        """
from carbonterm.field.modbus import Exchange, read_request, read_response, parse_response, rtu
from carbonterm.field.registers import decode
reply = rtu(1, read_response(3, b"\\x43\\x2c\\xd8\\x10" * 5))
""",
        "data = parse_response(Exchange(1, read_request(3, 0, 10)).feed(reply).pdu).data; "
        "[decode(data[i : i + 4], 'float32') for i in range(0, 20, 4)]",
        2000,
    ),
    "Modbus TCP, 10 registers as 5 uint32": (
        """
from carbonterm.field.modbus import Exchange, read_request, read_response, parse_response, tcp
from carbonterm.field.registers import decode
reply = tcp(1, 1, read_response(3, bytes(range(20))))
""",
        "data = parse_response(Exchange(1, read_request(3, 0, 10), 1).feed(reply).pdu).data; "
        "[decode(data[i : i + 4], 'uint32') for i in range(0, 20, 4)]",
        2000,
    ),
    "DL/T 645-2007, one register": (
        _DLT645.format(identifier="00010000", size=4),
        'values("00010000", Exchange("201000000012", read_request("00010000")).feed(reply).payload)',
        2000,
    ),
    "DL/T 645-2007, block of 5 registers": (
        _DLT645.format(identifier="0001FF00", size=20),
        'values("0001FF00", Exchange("201000000012", read_request("0001FF00")).feed(reply).payload)',
        2000,
    ),
    "DL/T 645-1997, one register": (
        _DLT645.format(identifier="9010", size=4),
        'values("9010", Exchange("201000000012", read_request("9010")).feed(reply).payload)',
        2000,
    ),
    "CJ/T 188, water": (
        f"""
from carbonterm.field.cjt188 import METER, Decoder, Exchange, read_data, readings, respond
request = read_data(0x10, "78330011223344", 7)
reply = respond(Decoder(METER).feed(request)[0], {_WATER}, leaders=2)
""",
        'readings(Exchange(read_data(0x10, "78330011223344", 7)).feed(reply))',
        2000,
    ),
    "HJ 212-2017, packet of 8 factors": (
        _HJ212.format(version="2017", cipher="cipher = None"),
        "readings(Decoder().feed(packet)[0])",
        400,
    ),
    "HJ 212-2025, packet of 8 factors, SM4": (
        _HJ212.format(version="2025", cipher="from carbonterm.gm.sm4 import Cipher; cipher = Cipher(bytes(16))"),
        "readings(Decoder(cipher).feed(packet)[0])",
        200,
    ),
    "MQTT, a publication of JSON with 8 values": (
        """
from carbonterm.field import json_text, mqtt
body = b'{"values": {' + b", ".join([b'"v%d": 12.%d' % (i, i) for i in range(8)]) + b"}}"
raw = mqtt.publish("plant/line-1", body, 1, 7)
""",
        "json_text.parse(mqtt.Decoder().feed(raw)[0].payload)",
        1000,
    ),
}
FRAMES = "DL/T 645-2007, a request built and its reply found"
_OURS = 'Exchange("201000000012", read_request("00010000")).feed(reply)'
_PEER = """
from dlt645 import DLT645Protocol as Peer
from carbonterm.field.dlt645 import read_response, frame
reply = frame("201000000012", read_response("00010000", bytes(4)))
address, asked = bytes((0x12, 0, 0, 0, 0x10, 0x20)), bytes((0, 0, 1, 0))
"""
_THEIRS = "Peer.build_frame(address, 0x11, asked, 4); Peer.deserialize(reply)"


def run():
    """Rows of every runtime that is here; the 64-bit MicroPython must be."""
    command("micropython")
    there = list(RUNTIMES)
    try:
        command("micropython32")
    except Unavailable:
        there.remove("micropython32")
    contenders = {
        (what, runtime): _contender(setup, statement, calls if runtime == "cpython" else calls // 2, runtime)
        for what, (setup, statement, calls) in EXCHANGES.items()
        for runtime in there
    }
    contenders[FRAMES, "cpython"] = _contender(EXCHANGES["DL/T 645-2007, one register"][0], _OURS, 2000, "cpython")
    contenders[FRAMES, "peer"] = _contender(_PEER, _THEIRS, 2000, "cpython")
    best = {name: samples.best * 1e6 for name, samples in rounds(contenders, count=3, warm=1).items()}
    peer, ours = best.pop((FRAMES, "peer")), best.pop((FRAMES, "cpython"))
    rows = [row(f"{what}, {runtime}", figure, "us") for (what, runtime), figure in best.items()]
    ratio = f"{ours / peer:.2f}x its time"
    return [*rows, row(f"{FRAMES}, cpython", ours, "us", "PyPI dlt645 on CPython", peer, ratio)]


def _contender(setup, statement, calls, runtime):
    return lambda: per_call(setup, statement, calls, runtime, warm=20)


if __name__ == "__main__":
    from tools.bench.__main__ import main

    raise SystemExit(main(["field"]))
