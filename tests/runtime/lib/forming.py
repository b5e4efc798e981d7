"""A site document of the second format with operators, manual and virtual points, for tests."""

from carbonterm.site import FORMATS, Bus, Meter
from sites import document


def second(doc, *tail):
    """A document of sites.document() in the second format, with its tail: nodes, boundary, formed, …"""
    doc[0] = FORMATS[1]
    doc[5] = [Bus(row, "bus", True).canonical() + [None] for row in doc[5]]
    doc[6] = [Meter(row, "meter", True).canonical() + [value for _, _, value in Meter.later()] for row in doc[6]]
    return doc + list(tail)


def formed(operators=(), manual=(), virtual=(), **own):
    """The document with such rows; own: of sites.document."""
    part = [[list(row) for row in rows] for rows in (operators, manual, virtual)]
    return second(document(**own), [], [], part)
