"""The part of a site document about what no meter says: operators, manual points and virtual points.

    [operators, manual, virtual]                                   the document's part "formed"
    operators = [[name, public key or null], …]                    who may enter, review and order to compute again;
                                                                   null: who does so on the terminal's page
    manual    = [[name, quantity, unit, minimum, maximum, mean], …]    what a person enters; the range of an entry;
                                                                   mean: it is a value that holds, no amount
    virtual   = [[name, quantity, unit, op, parts, note], …]       as carbonterm.series.combine has them; where the
                                                                   numbers are from, or null

In log entries and in what feeds sources, the index of a manual point comes after the points of meters, and that of a
virtual point after the manual ones. Only a site that has such a part loads this module.
"""

from carbonterm.errors import SiteError, quoted
from carbonterm.series import combine
from carbonterm.site_rows import MANUAL, VIRTUAL, Row, as_it_is, choice, name, number_or_none, octets, optional, text


class Operator(Row):
    """Who may give manual data: the name in the record, the key that signs it; None: the page's user of that name."""

    NAME = "operator"

    @staticmethod
    def shape():
        return (("name", name), ("public", optional(octets(64, 64))))


class Manual(Row):
    """An amount that a person enters by period (人工采集, 6.2) in `unit`, or a value that holds for the period (mean: a
    calorific value); minimum, maximum: of an entry, both valid."""

    NAME = "manual point"
    kind = MANUAL
    meter = minimum = maximum = None

    @staticmethod
    def shape():
        return (
            ("name", name),
            ("quantity", name),
            ("unit", text(32)),
            ("minimum", number_or_none),
            ("maximum", number_or_none),
            ("mean", choice(False, True)),
        )


class Virtual(Row):
    """A datum made of others (8.3.2): op and parts as carbonterm.series.combine has them, in `unit`; note: where a
    coefficient or share is from."""

    NAME = "virtual point"
    kind = VIRTUAL
    meter = None

    @staticmethod
    def shape():
        return (
            ("name", name),
            ("quantity", name),
            ("unit", text(32)),
            ("op", as_it_is),
            ("parts", as_it_is),
            ("note", optional(text(200))),
        )

    def __init__(self, values, where, first=False):
        Row.__init__(self, values, where, first)
        try:
            combine.check(self.op, self.parts)
        except combine.SeriesError as error:
            raise SiteError("%s %s: %s" % (where, quoted(self.name), error.what), error.hint)


def take(site, part):
    """Gives a Site the rows of its part; SiteError for what is none."""
    if not isinstance(part, list) or len(part) != 3 or not all([isinstance(rows, list) for rows in part]):
        raise SiteError("the part of operators, manual and virtual points is [operators, manual, virtual]")
    kinds = (("operators", Operator), ("manual", Manual), ("virtual", Virtual))
    for (attribute, row), rows in zip(kinds, part):
        setattr(site, attribute, [row(values, "%s %d" % (row.NAME, i)) for i, values in enumerate(rows)])
    site.all_points = site.points + site.manual + site.virtual


def check(site):
    """SiteError unless the rows fit the rest of the site."""
    if site.manual and not site.operators:
        raise SiteError("there are manual points and nobody may enter them", "operators: [{name: …, public: …}]")
    keys = [row.public for row in site.operators]
    for row in site.operators:
        if row.public is None and site.page is None:
            raise SiteError("operator %s has no key, and there is no page to enter anything on" % quoted(row.name),
                            "page: {listen: …}, or public: as 'carbonterm key operator' prints it")  # fmt: skip
        if row.public is not None and keys.count(row.public) > 1:
            raise SiteError("two operators have the key of %s" % quoted(row.name), "each person has a key of their own")
    first = len(site.points) + len(site.manual)
    for row in site.virtual:
        for part in row.parts:
            if part[0] >= len(site.all_points):
                raise SiteError("virtual point %s is made of a point that is not there" % quoted(row.name))
            if not site.is_amount(part[0]):
                named = quoted(row.name), quoted(site.all_points[part[0]].name)
                hint = "amounts can be combined: registers, integrated rates, manual and virtual points"
                raise SiteError("virtual point %s: %s is a value of the moment" % named, hint)
    try:
        combine.in_order(site.virtual, first)
    except combine.SeriesError as error:
        raise SiteError(error.what, error.hint)
