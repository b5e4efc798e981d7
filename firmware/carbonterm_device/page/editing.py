"""From the words of a form to a row of the draft: every field is checked, then the row, then the whole document.

`save` gives {} where the draft has the change, or {name of an input: what is wrong}, "" for what is no single field's;
then the draft is as it was.
"""

from carbonterm import units
from carbonterm.errors import CarbonError
from carbonterm.field import places
from carbonterm.number import Ratio
from carbonterm.series.combine import SUM
from carbonterm_device.page import draft as drafts
from carbonterm_device.page import entity, fields, formulas

_SELECTORS = ("kind", "protocol", "meter")  # fields that decide what others are
_NAMED = ("points", "manual", "virtual")  # parts whose rows sources and virtual points are made of
_REFERENCES = ("bus", "meter", "meters", "point", "parts", "inputs")
# what a row begins with where there is none to copy; all else is the class's usual value, or none
_BEGINS = {
    "buses": {"name": "", "kind": "modbus-tcp", "address": "", "port": 502, "parity": "none", "stop": 1,
              "timeout_ms": 1000, "retries": 1, "gap_ms": 0},
    "meters": {"unit": 1, "model": "custom", "most": 125},
    "points": {"quantity": "active energy", "unit": "kWh", "function": 3, "address": 0, "type": "uint32",
               "order": "ABCD", "scale": [1, 0], "kind": "register", "interval_ms": 60000},
    "manual": {"mean": False}, "series": {"history": False}, "nodes": {"meters": [], "class_": "consumption"},
    "virtual": {"op": "sum", "parts": []},
    "page": {"port": 8443, "certificate": "page.crt", "key": "page.key", "users": "page.users"},
}  # fmt: skip


def begin(part):
    """A new row, to be filled in."""
    if part == "entity":
        return entity.begin()
    kind = drafts.PARTS[part]
    row = {name: None for name in drafts.order(part)}
    for name, _, usual in kind.later():
        row[name] = usual
    row.update(_BEGINS.get(part, {}))
    return row


def inputs(draft, part, row):
    """The inputs of a row's form, as carbonterm_device.page.fields.of has them."""
    if part == "sources":
        return formulas.inputs(draft, row)
    return fields.of(part, draft, row)


def save(draft, part, index, words, before):
    """words: {name of an input: text}; index: of the row, None for a new one made like `before`."""
    if part == "sources":
        row, wrong = formulas.read(draft, before, words)
    else:
        row, wrong = _read(draft, part, before, words)
        if not wrong and part == "entity":
            wrong = entity.checked(row)
        elif not wrong and part in drafts.PARTS:
            wrong = _checked(part, row)
    if wrong:
        return wrong
    rows, told = draft.parts[part], _units(draft)
    kept = drafts._Copy(draft.parts, draft.boundary)
    if index is None:
        rows.append(row)
    else:
        old = rows[index].get("name")
        rows[index] = row
        if "name" in row and old != row["name"]:
            draft.renamed(part, old, row["name"])
            if part in _NAMED:
                told[row["name"]] = told.pop(old)
    return _settled(draft, kept, part, row, told, before if part == "virtual" and index is not None else None)


def remove(draft, part, index):
    """Takes a row away; as `save`."""
    kept, told = drafts._Copy(draft.parts, draft.boundary), _units(draft)
    draft.parts[part].pop(index)
    return _settled(draft, kept, part, {}, told)


def _settled(draft, kept, part, row, told, before=None):
    """Whether the whole document still holds; else the draft gets back what was kept. told: _units before the change;
    before: a virtual point's row before it."""
    try:
        _rescale(draft, told, row, before)
        error = drafts.whole(draft, draft.base + 1)[1]
    except CarbonError as refused:
        error = refused
    if error is None:
        draft.changed = True
        return {}
    draft.parts, draft.boundary = kept.parts, kept.boundary
    where, colon, what = error.what.partition(": ")
    field = where.rpartition(", ")[2] if colon else ""
    hint = "; " + error.hint if error.hint else ""
    if part in drafts.PARTS and field in row and where.startswith(drafts.PARTS[part].NAME):
        return {field: what + hint}
    return {"": error.what + hint}


def _units(draft):
    """{point: the unit that it is settled in}."""
    found = {row["name"]: row["unit"] for part in _NAMED for row in draft.parts[part]}
    for row in draft.parts["series"]:
        if row["unit"] is not None:
            found[row["point"]] = row["unit"]
    return found


def _rescale(draft, told, row, before):
    """The ratios by which points are taken convert from the units that they have now; UnitError where they cannot. A
    virtual point whose own unit alone was changed keeps its amount."""
    now = _units(draft)
    taken = [feed[1] for source in draft.parts["sources"] for feed in source["inputs"]]
    taken += [one["parts"] for one in draft.parts["virtual"] if one is not row]
    for point in [part for parts in taken for part in parts]:
        old, new = told.get(point[0]), now.get(point[0])
        if None not in (old, new) and old != new:
            _by(point, units.convert(1, new, old))
    if before and before["unit"] != row["unit"] and before["parts"] == row["parts"]:
        row["parts"] = [list(part) for part in row["parts"]]
        if units.fits(before["unit"], row["unit"]):
            for point in row["parts"] if row["op"] == SUM else row["parts"][:1]:
                _by(point, units.convert(1, before["unit"], row["unit"]))


def _by(point, factor):
    ratio = Ratio(point[1], point[2]) * factor
    point[1], point[2] = ratio.numerator, ratio.denominator


def _read(draft, part, before, words):
    """(row, {}) or (None, what is wrong)."""
    row, wrong = dict(before), {}
    for one in fields.of(part, draft, row):
        if one[0] in _SELECTORS and one[0] in words:
            try:
                row[one[0]] = one[3].read(words[one[0]])
            except CarbonError as error:
                wrong[one[0]] = str(error)
    composed = {}
    for name, _, _, kind, field, place in fields.of(part, draft, row):
        if name in wrong:
            continue
        try:
            value = kind.read(words[name]) if name in words else None if place is not None else row[field]
        except CarbonError as error:
            wrong[name] = str(error)
            continue
        if place is None:
            row[field] = value
        else:
            composed.setdefault(field, []).append(value)
    for field, values in composed.items():
        row[field] = None if [one for one in values if one is not None] == [] else values
    if part == "meters" and "dialect" not in [one[4] for one in fields.of(part, draft, row)]:
        row["dialect"] = None
    if part == "buses" and not drafts.is_sender(row):
        row["inbound"] = None
    return row, wrong


def _checked(part, row):
    """What the checks of the row's own fields say."""
    kind, wrong = drafts.PARTS[part], {}
    for name, check in [one[:2] for one in kind.shape() + kind.later()]:
        if name in _REFERENCES:
            continue
        try:
            check(row[name])
        except CarbonError as error:
            wrong[name] = error.what + ("; " + error.hint if error.hint else "")
    if part == "buses" and row["kind"] in ("modbus-tcp",) + places.SENDERS and not wrong and row["port"] > 65535:
        wrong["port"] = "a port is 1 to 65535 · 端口为 1 至 65535"
    return wrong


def said_of(wrong, name, field):
    """What is wrong with an input: said of it, or of its field."""
    return wrong.get(name) or (wrong.get(field) if name == field or name.endswith(".0") else None)

