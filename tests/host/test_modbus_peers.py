"""Our Modbus bytes against two that share no code with them: pymodbus' framers and PDUs, and struct's floats."""

import random
import struct

import pytest
from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ExceptionResponse
from pymodbus.pdu import bit_message as coils
from pymodbus.pdu import register_message as words

from carbonterm.field import modbus
from carbonterm.field.registers import decode, encode
from carbonterm.number import Number

PEER = {  # function: (request class, response class)
    1: (coils.ReadCoilsRequest, coils.ReadCoilsResponse),
    2: (coils.ReadDiscreteInputsRequest, coils.ReadDiscreteInputsResponse),
    3: (words.ReadHoldingRegistersRequest, words.ReadHoldingRegistersResponse),
    4: (words.ReadInputRegistersRequest, words.ReadInputRegistersResponse),
    5: (coils.WriteSingleCoilRequest, coils.WriteSingleCoilResponse),
    6: (words.WriteSingleRegisterRequest, words.WriteSingleRegisterResponse),
    15: (coils.WriteMultipleCoilsRequest, coils.WriteMultipleCoilsResponse),
    16: (words.WriteMultipleRegistersRequest, words.WriteMultipleRegistersResponse),
}


def exchange(seeded, function):
    """Random (ids, our request, pymodbus' request, our response, pymodbus' response)."""
    ask, answer = PEER[function]
    where = {"dev_id": seeded.randint(1, 247), "transaction_id": seeded.randint(1, 65535)}
    limit = modbus.LIMITS.get(function, 1)
    count = seeded.choice((1, limit, seeded.randint(1, limit)))
    address = seeded.randint(0, 65536 - count)
    flags = [bool(seeded.getrandbits(1)) for _ in range(count)]
    registers = [seeded.getrandbits(16) for _ in range(count)]
    data = struct.pack(f">{count}H", *registers)
    if function < 5:
        request = modbus.read_request(function, address, count)
        payload = modbus.bits(flags) if function < 3 else data
        held = {"bits": flags} if function < 3 else {"registers": registers}
        theirs = ask(address=address, count=count, **where)
        return where, request, theirs, modbus.read_response(function, payload), answer(**held, **where)
    value = {5: flags[0], 6: registers[0], 15: flags, 16: data}[function]
    request = modbus.write_request(function, address, value)
    held = {"registers": registers} if function in (6, 16) else {"bits": flags}
    reply = {"count": count} if function > 6 else held
    theirs = ask(address=address, **held, **({"count": count} if function == 16 else {}), **where)
    return where, request, theirs, modbus.write_response(request), answer(address=address, **reply, **where)


@pytest.mark.requirement("T-11.3-1", "T-11.3-4")
@pytest.mark.parametrize("function", PEER)
def test_bytes_are_those_of_pymodbus(function):
    seeded = random.Random(function)
    for _ in range(60):
        where, request, their_request, response, their_response = exchange(seeded, function)
        unit, transaction = where["dev_id"], where["transaction_id"]
        for server, role, pdu, theirs in (
            (True, modbus.METER, request, their_request),
            (False, modbus.MASTER, response, their_response),
        ):
            for peer, ours, decoder in (
                (FramerRTU(DecodePDU(server)), modbus.rtu(unit, pdu), modbus.RtuDecoder(role)),
                (FramerSocket(DecodePDU(server)), modbus.tcp(transaction, unit, pdu), modbus.TcpDecoder(role)),
            ):
                raw = peer.buildFrame(theirs)
                assert raw == ours
                (frame,) = decoder.feed(raw)
                assert (frame.unit, frame.pdu) == (unit, pdu)
                used, found = peer.handleFrame(ours, 0, 0)
                assert used == len(ours) and type(found) is type(theirs) and found.dev_id == unit
                assert peer.buildFrame(found) == ours


@pytest.mark.requirement("T-11.3-1")
def test_exceptions_are_those_of_pymodbus():
    for function in PEER:
        for code in modbus.EXCEPTIONS:
            theirs = ExceptionResponse(function, exception_code=code, device_id=9)
            raw = FramerRTU(DecodePDU(False)).buildFrame(theirs)
            assert raw == modbus.rtu(9, modbus.exception(function, code))
            (frame,) = modbus.RtuDecoder(modbus.MASTER).feed(raw)
            assert (frame.function, frame.exception) == (function, code)


def test_floats_are_those_of_struct():
    seeded = random.Random(754)
    for _ in range(4000):
        text = f"{'-' if seeded.random() < 0.5 else ''}{seeded.getrandbits(60)}e{seeded.randint(-340, 285)}"
        value = float(text)
        assert encode(Number(text), "float64") == struct.pack(">d", value), text
    for _ in range(4000):
        # struct rounds to a double first; from a double to a single it rounds once, so start from doubles
        (value,) = struct.unpack(">d", struct.pack(">d", seeded.uniform(-1, 1) * 10.0 ** seeded.randint(-46, 38)))
        exact = encode(Number(f"{value:.17e}"), "float64")
        assert exact == struct.pack(">d", value)
        if abs(value) < 3.4e38:
            numerator, denominator = value.as_integer_ratio()
            places = denominator.bit_length() - 1
            whole = Number(numerator * 5**places, -places) if places <= 400 else None
            if whole is not None:
                assert encode(whole, "float32") == struct.pack(">f", value), value


def test_halfway_floats_go_to_the_even_one():
    for bits in (0x3F800000, 0x3F800001, 0x00000001, 0x00000002, 0x007FFFFF, 0x4B7FFFFF, 0x7F7FFFFE):
        (low,), (high,) = (struct.unpack(">f", struct.pack(">I", b)) for b in (bits, bits + 1))
        numerator, denominator = ((low + high) / 2).as_integer_ratio()  # exact in a double
        places = denominator.bit_length() - 1
        half = Number(numerator * 5**places, -places)
        even = bits if bits % 2 == 0 else bits + 1
        assert encode(half, "float32") == struct.pack(">I", even)


def test_integers_are_those_of_struct():
    seeded = random.Random(64)
    for type_, code in {"int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q"}.items():
        for _ in range(200):
            data = seeded.randbytes(struct.calcsize(code))
            for order, theirs in (("ABCD", data), ("DCBA", data[::-1])):
                (value,) = struct.unpack(">" + code, theirs)
                assert decode(data, type_, order) == value
                assert encode(value, type_, order) == data
