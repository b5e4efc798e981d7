"""The enterprise's basic information in a form (6.2, 9.3 a): who reports, as the boundary of the site document has it.

A site without a boundary gets one with it, undivided, in which all its sources are the enterprise's own.
"""

from carbonterm.accounting.boundary import CONTACT, REGISTRATION, Entity
from carbonterm.errors import CarbonError

NAMES = ("name", "code", "equivalent", "type", "registration", "contact", "attachments", "annual")
_ADDRESS = "registration.%d" % REGISTRATION.index("address")
_NEEDED = ("name", _ADDRESS, "contact.%d" % CONTACT.index("name"), "contact.%d" % CONTACT.index("phone"))
_EMPTY = "required · 必填"


def begin():
    """A row to be filled in."""
    row = {name: None for name in NAMES}
    row["attachments"] = []
    return row


def rows(boundary):
    """[row] of a boundary's canonical list, [] of none."""
    return [dict(zip(NAMES, boundary[0]))] if boundary else []


def checked(row):
    """{input: what is wrong} of a row: what has to be there, and what the site document would refuse."""
    values = {"name": row["name"]}
    for field in ("registration", "contact"):
        for at, value in enumerate(row[field] or ()):
            values["%s.%d" % (field, at)] = value
    wrong = {name: _EMPTY for name in _NEEDED if not values.get(name)}
    if row["code"] is None and row["equivalent"] is None:
        wrong["code"] = _EMPTY + ", or the reason why there is none · 或填写视同法人的理由"
    if not wrong:
        try:
            Entity(_canonical(row))
        except CarbonError as error:
            wrong["code" if "credit code" in error.what else ""] = str(error)
    return wrong


def bounded(boundary, row, sources):
    """The boundary's canonical list with this row; sources: how many the site has."""
    if not boundary:
        places = [[source, None, None, None, None, False, [1, 0], None] for source in range(sources)]
        boundary = [None, "none", [], [], places, [], [], [], [], [], [], []]
    return [_canonical(row)] + list(boundary[1:])


def _canonical(row):
    values = [row[name] for name in NAMES]
    for name, parts in (("registration", REGISTRATION), ("contact", CONTACT)):
        if row[name] is None:
            values[NAMES.index(name)] = [None] * len(parts)
    return values
