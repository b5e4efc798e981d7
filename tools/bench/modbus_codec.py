"""What one poll of 50 registers costs in the codec alone: build the request, take the response apart; no I/O.

The peer is pymodbus' framer with its PDU classes on CPython, given the same bytes; it makes a list of the registers, we
leave them as bytes until a point is decoded.
"""

from tools.bench.measure import RUNTIMES, Unavailable, command, per_call, rounds, row

COUNT = 50
_DATA = f"bytes(range({2 * COUNT}))"
OURS = f"""
from carbonterm.field.modbus import Exchange, read_request, read_response, parse_response, rtu, tcp
from carbonterm.field.registers import decode
rtu_reply = rtu(1, read_response(3, {_DATA}))
tcp_reply = tcp(1, 1, read_response(3, {_DATA}))
noisy = b"\\x01\\x04\\x00\\xff" + rtu_reply
words = rtu_reply[3:7]
"""
PEER = f"""
from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest as Request
from carbonterm.field.modbus import read_response, rtu, tcp
rtu_framer, tcp_framer = FramerRTU(DecodePDU(False)), FramerSocket(DecodePDU(False))
rtu_reply = rtu(1, read_response(3, {_DATA}))
tcp_reply = tcp(1, 1, read_response(3, {_DATA}))
"""

# what: (statement of ours, statement of the peer or None)
POLLS = {
    "Modbus RTU poll, 50 registers": (
        f"parse_response(Exchange(1, read_request(3, 0, {COUNT})).feed(rtu_reply).pdu)",
        f"rtu_framer.buildFrame(Request(address=0, count={COUNT}, dev_id=1)); rtu_framer.handleFrame(rtu_reply, 1, 0)",
    ),
    "Modbus TCP poll, 50 registers": (
        f"parse_response(Exchange(1, read_request(3, 0, {COUNT}), 1).feed(tcp_reply).pdu)",
        f"tcp_framer.buildFrame(Request(address=0, count={COUNT}, dev_id=1, transaction_id=1)); "
        "tcp_framer.handleFrame(tcp_reply, 1, 1)",
    ),
    "Modbus RTU poll behind 4 bytes of noise": (
        f"Exchange(1, read_request(3, 0, {COUNT})).feed(noisy)",
        None,
    ),
    "float32 register to exact decimal": ("decode(words, 'float32', 'CDAB')", None),
}
CALLS = 2000


def run():
    """Rows of every runtime that is here; the 64-bit MicroPython must be."""
    command("micropython")
    there = list(RUNTIMES)
    try:
        command("micropython32")
    except Unavailable:
        there.remove("micropython32")
    contenders = {}
    for what, (ours, peer) in POLLS.items():
        for runtime in there:
            contenders[what, runtime] = _contender(OURS, ours, runtime)
        if peer:
            contenders[what, "peer"] = _contender(PEER, peer, "cpython")
    best = {name: samples.best * 1e6 for name, samples in rounds(contenders, count=5, warm=1).items()}
    rows = []
    for what in POLLS:
        peer = best.get((what, "peer"))
        for runtime in there:
            ours = best[what, runtime]
            if peer is None:
                rows.append(row(f"{what}, {runtime}", ours, "us"))
            else:
                ratio = f"{ours / peer:.2f}x its time"
                rows.append(row(f"{what}, {runtime}", ours, "us", "pymodbus on CPython", peer, ratio))
    return rows


def _contender(setup, statement, runtime):
    return lambda: per_call(setup, statement, CALLS, runtime, warm=50)


if __name__ == "__main__":
    from tools.bench.__main__ import main

    raise SystemExit(main(["modbus_codec"]))
