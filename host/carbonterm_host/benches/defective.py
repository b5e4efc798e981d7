"""Meters whose ground truth is not what the terminal gets: a bench must turn red on them. MicroPython as well.

What such a meter does stands for a terminal that decodes wrongly or drops what it read: the meter notes what it should
have said, and the line carries something else.
"""


def defective(meter, defect):
    """The Meter, spoilt where `defect`, [kind, meter's name, every] or None, is about it. kind "swap": the words of all
    it says are in the other order; "mute": every `every`-th answer is noted and not sent."""
    if defect and defect[1] == meter.name:
        _SPOIL[defect[0]](meter, defect[2])
    return meter


def _swap(meter, every):
    read, spoken = meter.read, meter.spoken

    def read_swapped(function, address, count, fault):
        data, code = read(function, address, count, fault)
        if data:
            data = b"".join([data[i + 2 : i + 4] + data[i : i + 2] for i in range(0, len(data), 4)])
        return data, code

    def spoken_swapped(item, fault):
        found = spoken(item, fault)
        return found and (bytes(reversed(found[0])), found[1])

    meter.read, meter.spoken = read_swapped, spoken_swapped


def _mute(meter, every):
    fault, tell = meter.fault, meter.tell
    asked = [0]

    def muted():
        return asked[0] % every == 0

    def choose(able=None):
        asked[0] += 1
        return "silent" if muted() else fault(able)

    def noted(told, found, **what):
        tell(told, None if muted() else found, **what)

    meter.fault, meter.tell = choose, noted


_SPOIL = {"swap": _swap, "mute": _mute}
KINDS = ("swap", "mute")
