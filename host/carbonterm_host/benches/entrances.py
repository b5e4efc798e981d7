"""Where others send to a terminal on a bench (docs/inbound.md), and its own inputs: their places and open secrets."""

import random
import socket

from carbonterm.field import places
from carbonterm.gm import sm3

HOST = "127.0.0.1"
TOKEN, PASSWORD = "carbonterm-bench-token-everybody-knows", "123456"  # of a bench, where nothing is secret
TOKEN_SM3 = sm3.digest(TOKEN.encode()).hex()
LINES = ("serial", "modbus-rtu")  # kinds of bus that are serial lines
NOT_ASKED = (*places.SENDERS, places.INPUTS)  # kinds of bus without simulated meters
OPC_UA, ODBC = VIAS = ("opc-ua", "odbc")  # what may send by the HTTPS endpoint beside a system of its own
LOOP = "4-20ma"
_MORE = {
    places.HTTPS: {"certificate": "inbox.crt", "key": "inbox.key"},
    places.HJ212: {"stations": "stations.txt"},
}


def place(kind, folder, port=None):
    """What a site document says of the place of such a bus, beside what the scenario says."""
    if kind == places.INPUTS:
        return {"folder": str(folder / "inputs")}
    return {"host": HOST, "port": port or free_port(), **_MORE.get(kind, {})}


def free_port():
    """A port that nobody has now and the system gives to nobody who does not ask for it."""
    while True:
        port = random.SystemRandom().randrange(20000, 32000)
        with socket.socket() as one:
            if one.connect_ex((HOST, port)):
                return port


def way(site, vias, point):
    """By which protocol a point's values come: a word of the expectation "protocols"."""
    meter = site.meters[point.meter]
    kind = site.buses[meter.bus].kind
    if kind == places.INPUTS:
        return LOOP
    if meter.protocol == places.MODBUS:
        return "modbus-tcp" if kind == "modbus-tcp" else "modbus-rtu"
    return vias.get(meter.name, meter.protocol)
