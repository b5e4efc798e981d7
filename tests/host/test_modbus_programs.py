"""Our Modbus codec against Debian's mbpoll and libmodbus, which share no code with it: both roles, TCP and RTU."""

import ctypes
import ctypes.util
import os
import re
import select
import shutil
import socket
import struct
import subprocess
import threading
import tty

import pytest

from carbonterm.field import modbus
from modbus_table import SIZE, RtuMeter, Table, TcpMeter

needs_mbpoll = pytest.mark.skipif(not shutil.which("mbpoll"), reason="no mbpoll here (apt-get install mbpoll)")
LIBRARY = ctypes.util.find_library("modbus")
needs_libmodbus = pytest.mark.skipif(not LIBRARY, reason="no libmodbus here (apt-get install libmodbus5)")
NO_SUCH_ADDRESS = 112345678 + 2  # libmodbus' errno of exception 02


@pytest.fixture(params=["tcp", "rtu"])
def meter(request):
    """(our meter, its table, arguments of mbpoll that lead to it)."""
    table = Table()
    if request.param == "tcp":
        with TcpMeter(table) as served:
            yield served, table, ["-m", "tcp", "-p", str(served.port)], ["127.0.0.1"]
    else:
        with RtuMeter(table, 1) as served:
            yield served, table, ["-m", "rtu", "-b", "19200", "-P", "none"], [served.path]


def poll(way, place, *arguments, values=(), code=0):
    """{reference: text} that mbpoll shows."""
    command = ["mbpoll", *way, "-a", "1", "-0", "-1", "-o", "10", *map(str, arguments), *place, *map(str, values)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == code, done.stdout + done.stderr
    return {int(at): value for at, value in re.findall(r"^\[(\d+)\]:\s+(\S+)", done.stdout, re.M)}


@needs_mbpoll
@pytest.mark.requirement("T-4-7", part="Modbus TCP and RTU, our meter role read by mbpoll")
@pytest.mark.requirement("T-11.3-1")
def test_mbpoll_reads_and_writes_our_meter(meter):
    served, table, way, place = meter
    shown = poll(way, place, "-t", "4:hex", "-r", 7, "-c", 60)
    assert shown == {at: f"0x{table.holding[at]:04X}" for at in range(7, 67)}
    shown = poll(way, place, "-t", "3:hex", "-r", 0, "-c", 125)
    assert shown == {at: f"0x{table.registers[at]:04X}" for at in range(125)}
    for kind, held in (("0", table.coils), ("1", table.inputs)):
        shown = poll(way, place, "-t", kind, "-r", 3, "-c", 100)
        assert shown == {at: str(int(held[at])) for at in range(3, 103)}
    poll(way, place, "-t", "4", "-r", 9, values=[4711])
    poll(way, place, "-t", "4", "-r", 11, values=[1, 65535, 0])
    poll(way, place, "-t", "0", "-r", 20, values=[1, 0, 1, 1, 0, 0, 0, 1, 1, 1])
    poll(way, place, "-t", "0", "-r", 40, values=[1])
    assert table.holding[9:14] == [4711, 10 * 257 + 3, 1, 65535, 0]
    assert table.coils[20:30] == [True, False, True, True, False, False, False, True, True, True] and table.coils[40]
    table.holding[100:102] = struct.unpack(">2H", struct.pack(">f", 172.844))
    (value,) = poll(way, place, "-t", "4:float", "-B", "-r", 100, "-c", 1).values()
    assert value == "172.844"
    poll(way, place, "-t", "4", "-r", SIZE - 1, "-c", 2, code=1)  # beyond the table: exception 02
    assert served.requests == 10


class Library:
    """libmodbus through ctypes."""

    def __init__(self):
        self.lib = ctypes.CDLL(LIBRARY, use_errno=True)
        for name in ("modbus_new_tcp", "modbus_new_rtu", "modbus_mapping_new"):
            getattr(self.lib, name).restype = ctypes.c_void_p

    def tcp(self, port):
        return ctypes.c_void_p(self.lib.modbus_new_tcp(b"127.0.0.1", port))

    def rtu(self, path, unit):
        link = ctypes.c_void_p(self.lib.modbus_new_rtu(path.encode(), 19200, ctypes.c_char(b"N"), 8, 1))
        assert self.lib.modbus_set_slave(link, unit) == 0
        return link

    def end(self, link):
        self.lib.modbus_close(link)
        self.lib.modbus_free(link)


class Mapping(ctypes.Structure):
    """modbus_mapping_t."""

    _fields_ = [(name, ctypes.c_int) for name in (
        "nb_bits", "start_bits", "nb_input_bits", "start_input_bits", "nb_input_registers", "start_input_registers",
        "nb_registers", "start_registers")]  # fmt: skip
    _fields_ += [("bits", ctypes.POINTER(ctypes.c_uint8)), ("inputs", ctypes.POINTER(ctypes.c_uint8))]
    _fields_ += [("input_registers", ctypes.POINTER(ctypes.c_uint16)), ("registers", ctypes.POINTER(ctypes.c_uint16))]


@needs_libmodbus
@pytest.mark.requirement("T-4-7", part="Modbus TCP and RTU, our meter role read by libmodbus")
def test_libmodbus_reads_and_writes_our_meter(meter):
    served, table, way, place = meter
    library = Library()
    lib = library.lib
    link = library.tcp(served.port) if "tcp" in way else library.rtu(place[0], 1)
    assert lib.modbus_set_response_timeout(link, 10, 0) == 0 and lib.modbus_connect(link) == 0
    try:
        words, flags = (ctypes.c_uint16 * 125)(), (ctypes.c_uint8 * SIZE)()
        inputs = lib.modbus_read_input_registers, table.registers
        for read, held in ((lib.modbus_read_registers, table.holding), inputs):
            for address, count in ((0, 1), (0, 125), (SIZE - 125, 125), (77, 3)):
                assert read(link, address, count, words) == count
                assert list(words[:count]) == held[address : address + count]
        for read, held in ((lib.modbus_read_bits, table.coils), (lib.modbus_read_input_bits, table.inputs)):
            for address, count in ((0, 1), (0, SIZE), (5, 9)):
                assert read(link, address, count, flags) == count
                assert [bool(flag) for flag in flags[:count]] == held[address : address + count]
        assert lib.modbus_write_register(link, 5, 60000) == 1 and table.holding[5] == 60000
        assert lib.modbus_write_bit(link, 6, 1) == 1 and table.coils[6] is True
        assert lib.modbus_write_registers(link, 30, 3, (ctypes.c_uint16 * 3)(1, 2, 3)) == 3
        assert lib.modbus_write_bits(link, 60, 10, (ctypes.c_uint8 * 10)(*([1, 0] * 5))) == 10
        assert table.holding[30:33] == [1, 2, 3] and table.coils[60:70] == [True, False] * 5
        assert lib.modbus_read_registers(link, SIZE, 1, words) == -1 and ctypes.get_errno() == NO_SUCH_ADDRESS
    finally:
        library.end(link)


def mapping(library):
    """A table of libmodbus with the values of ours."""
    held = ctypes.cast(library.lib.modbus_mapping_new(SIZE, SIZE, SIZE, SIZE), ctypes.POINTER(Mapping))
    table = Table()
    for i in range(SIZE):
        held.contents.bits[i], held.contents.inputs[i] = table.coils[i], table.inputs[i]
        held.contents.registers[i], held.contents.input_registers[i] = table.holding[i], table.registers[i]
    return held, table


def answer(library, link, held):
    query = (ctypes.c_uint8 * 260)()
    while True:
        size = library.lib.modbus_receive(link, query)
        if size < 0:
            return
        if size:
            library.lib.modbus_reply(link, query, size, held)


def ask_all(ask, held, table):
    """Everything a master asks: ask(pdu) gives the response's Frame."""
    for function, mine in ((3, table.holding), (4, table.registers)):
        for address, count in ((0, 1), (0, 125), (SIZE - 125, 125), (77, 3)):
            message = modbus.parse_response(ask(modbus.read_request(function, address, count)).pdu)
            assert list(struct.unpack(f">{count}H", message.data)) == mine[address : address + count]
    for function, mine in ((1, table.coils), (2, table.inputs)):
        for address, count in ((0, 1), (0, SIZE), (5, 9)):
            message = modbus.parse_response(ask(modbus.read_request(function, address, count)).pdu)
            assert [bool(bit) for bit in modbus.unpack_bits(message.data, count)] == mine[address : address + count]
    for function, address, value in ((5, 6, True), (6, 5, 60000), (15, 60, [1, 0] * 5), (16, 30, b"\0\1\0\2\0\3")):
        assert ask(modbus.write_request(function, address, value)).exception is None
    there = held.contents
    assert there.bits[6] == 1 and there.registers[5] == 60000 and there.registers[30:33] == [1, 2, 3]
    assert there.bits[60:70] == [1, 0] * 5
    assert ask(modbus.read_request(3, SIZE, 1)).exception == 2


@needs_libmodbus
@pytest.mark.requirement("T-11.3-8", "P-6.2-2")
@pytest.mark.requirement("T-4-7", part="Modbus TCP, our master role against a server of libmodbus")
def test_our_master_reads_a_tcp_server_of_libmodbus():
    library = Library()
    held, table = mapping(library)
    server = library.tcp(0)
    listener = library.lib.modbus_tcp_listen(server, 1)
    port = socket.socket(fileno=os.dup(listener)).getsockname()[1]

    def serve():
        library.lib.modbus_tcp_accept(server, ctypes.byref(ctypes.c_int(listener)))
        answer(library, server, held)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    numbers = iter(range(1, 1000))
    with socket.create_connection(("127.0.0.1", port), 120) as link:

        def ask(pdu):
            exchange = modbus.Exchange(1, pdu, next(numbers))
            link.sendall(exchange.frame)
            frame = None
            while frame is None:
                frame = exchange.feed(link.recv(300))
            return frame

        ask_all(ask, held, table)
    thread.join(120)
    library.end(server)


@needs_libmodbus
@pytest.mark.requirement("T-11.3-8")
@pytest.mark.requirement("T-4-7", part="Modbus RTU, our master role against a meter of libmodbus")
def test_our_master_reads_an_rtu_meter_of_libmodbus():
    library = Library()
    held, table = mapping(library)
    master, slave = os.openpty()
    tty.setraw(slave)
    meter = library.rtu(os.ttyname(slave), 17)
    assert library.lib.modbus_connect(meter) == 0
    thread = threading.Thread(target=answer, args=(library, meter, held), daemon=True)
    thread.start()

    def ask(pdu):
        exchange = modbus.Exchange(17, pdu)
        os.write(master, exchange.frame)
        frame = None
        while frame is None:
            assert select.select([master], [], [], 120)[0], "no answer"
            frame = exchange.feed(os.read(master, 300))
        return frame

    ask_all(ask, held, table)
    os.close(slave)
    os.close(master)  # hangs the line up, which ends the meter
    thread.join(120)
    library.end(meter)
