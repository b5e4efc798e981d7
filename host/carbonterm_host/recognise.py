"""Which model is this meter? The models' telling registers are read, and what they say is compared with what they may.

A model is ruled out by a register that the meter refuses or whose value cannot be; it is confirmed by one whose value
is what such a meter shows: its probe register, a grid's frequency, a voltage, a serial number. One that is confirmed by
less than another, and by nothing else, is left out: a meter that shows a voltage of phase B is none of one phase.
Several models may be left, since makers share maps: it is one of them, and a live value beside the display decides
(`carbonterm probe`).
"""

from carbonterm.field import identity, models
from carbonterm.field.registers import WIDTH, decode
from carbonterm.number import Number
from carbonterm_host.desk import Unanswered

# what a value of a quantity is where a meter is in use, in its unit
USUAL = {
    ("frequency", "Hz"): (Number(45), Number(65)),
    ("voltage", "V"): (Number(50), Number(1000)),
    ("voltage", "kV"): (Number(1, -1), Number(40)),
}
TELLING = {"frequency": 1, "voltage": 2}  # how many registers of a quantity are read


class Candidate:
    """A model that may be it; evidence: texts, serial: what the meter says it is, or None; seen: the places whose
    values confirm it, zeros: how many telling registers show 0, which says nothing."""

    def __init__(self, model):
        self.model = model
        self.evidence = []
        self.serial = None
        self.seen = set()
        self.zeros = 0

    def row(self):
        """For JSON."""
        return {"model": self.model["id"], "maker": self.model["maker"], "name": self.model["model"],
                "evidence": self.evidence, "serial": self.serial}  # fmt: skip


def candidates(desk, found):
    """Candidates for a meter that a scan found (its event), the likeliest first; [] if no model fits. Asks `desk`."""
    protocol = found["protocol"]
    if protocol == "modbus":
        return _modbus(desk, found)
    if protocol == "cjt188":
        return _cjt188(desk, found)
    return _dlt645(desk, found)


def line(found):
    """The part of a question that says how the line is set for a meter found."""
    if "baud" not in found:
        return {}
    return {"settings": [[found["baud"], found["parity"], found["stop"]]]}


class _Reader:
    """Reads registers once, and remembers."""

    def __init__(self, desk, found):
        self._ask = lambda **what: desk.ask(
            {"do": "probe", "protocol": "modbus", "unit": found["unit"], "views": False} | line(found) | what
        )
        self._known = {}

    def read(self, function, address, count):
        """Bytes, None where the meter refuses; Unanswered where it is silent."""
        key = function, address, count
        if key not in self._known:
            try:
                (answer,) = self._ask(function=function, address=address, count=count)
                self._known[key] = bytes.fromhex(answer["data"])
            except Unanswered as error:
                if error.kind != "refused":
                    raise
                self._known[key] = None
        return self._known[key]


def _modbus(desk, found):
    reader, left, silent = _Reader(desk, found), [], 0
    for id in models.ids(protocol="modbus"):
        candidate = Candidate(models.load(id))
        try:
            if _fits(candidate, reader) and candidate.evidence:
                left.append(candidate)
        except Unanswered as error:
            silent += 1
            if error.kind != "silent" or silent > 2:  # gone, or it drops what it doesn't know
                break
    left = [one for one in left if not any(one.seen < other.seen for other in left)]
    return sorted(left, key=lambda one: (-len(one.seen), one.zeros, one.model["id"]))


def _fits(candidate, reader):
    """False as soon as a register speaks against the model."""
    for register, low, high in _telling(candidate.model):
        data = reader.read(register["function"], register["address"], WIDTH[register["type"]])
        if data is None:
            return False
        value = decode(data, register["type"], register["order"])
        if value is None:
            return False
        value = (value * Number(register["scale"])).normal()
        if not (value == 0 or low <= value <= high):
            return False
        if value == 0:
            candidate.zeros += 1
        else:
            candidate.seen.add((register["function"], register["address"], register["quantity"]))
            candidate.evidence.append(f"{register['name']} {value} {register['unit']}")
    place = models.identity(candidate.model)
    if place is not None:
        data = reader.read(*place[:3])
        said = None if data is None else identity.said(data, place[3], place[4])
        if said is not None and said.strip("0"):  # firmware of another year may not say it
            candidate.serial = said
            candidate.seen.add((place[0], place[1], "serial"))
            candidate.evidence.append(f"serial number {said}")
    return True


def _telling(model):
    """(register, low, high) of what is read to tell a model."""
    probe = model.get("probe")
    if probe:
        yield models.register(model, probe["register"]), Number(probe["min"]), Number(probe["max"])
    wanted = dict(TELLING)
    for register in model["registers"]:
        usual = USUAL.get((register["quantity"], register["unit"]))
        if usual and wanted[register["quantity"]] and not (probe and probe["register"] == register["name"]):
            wanted[register["quantity"]] -= 1
            yield register, *usual


def _dlt645(desk, found):
    """One phase or three: only a meter of three has a voltage of phase B."""
    if found["protocol"] == "dlt645-1997":
        return _named("dlt645-1997", "it answers in the edition of 1997")
    question = {"do": "probe", "protocol": found["protocol"], "unit": found["unit"], "item": "02010200", "views": False}
    try:
        (answer,) = desk.ask(question | line(found))
    except Unanswered as error:
        if error.kind not in ("silent", "refused"):
            raise
        return _named("dlt645-2007-single-phase", "it has no voltage of phase B")
    if set(answer["data"]) <= {"F"}:
        return _named("dlt645-2007-single-phase", "its voltage of phase B is FF")
    return _named("dlt645-2007-three-phase", "it has a voltage of phase B")


def _named(id, why):
    candidate = Candidate(models.load(id))
    candidate.evidence.append(why)
    return [candidate]


def _cjt188(desk, found):
    kind, order, _ = found["dialect"]
    question = {"do": "probe", "protocol": "cjt188", "unit": found["unit"], "order": order}
    try:
        types = {event["type"] for event in desk.ask(question | line(found)) if event["event"] == "view"}
    except Unanswered as error:
        if error.kind not in ("silent", "refused"):
            raise
        return []
    left = []
    for id in models.ids(protocol="cjt188"):
        candidate = Candidate(models.load(id))
        own, _, first = models.dialect(candidate.model)
        if own >> 4 == kind >> 4 and ("unit first" if first else "unit behind") in types:
            candidate.evidence.append(f"type {kind:02X}, its units stand where this model has them")
            left.append(candidate)
    return left
