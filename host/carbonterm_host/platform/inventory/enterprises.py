"""The enterprises behind the terminals of a platform: key emission units and others, to sort and to choose (5.1)."""

from carbonterm.errors import CarbonError, StoreError
from carbonterm_host.platform.inventory import figures

SORTS = ("name", "type", "tco2e", "terminal")
TYPES = ("key", "general")


def listed(store, terminals, kind="", sort="name"):
    """[{"terminal", "name", "code", "type", "sectors", "period", "tco2e", "incomplete"}] of the terminals (ids) whose
    site has a boundary; kind: only those of one type; sort: one of SORTS, the largest emission first. StoreError for
    other ones."""
    if kind and kind not in TYPES:
        raise StoreError(f"type is one of {', '.join(TYPES)}", "leave it out to see all")
    if sort not in SORTS:
        raise StoreError(f"sort is one of {', '.join(SORTS)}", "leave it out to sort by name")
    rows = []
    for terminal in terminals:
        try:
            found = figures.of(store, terminal)
        except CarbonError:
            continue
        if found and found["entity"] and kind in ("", found["type"]):
            entity = found["entity"]
            rows.append({
                "terminal": terminal, "name": entity["name"], "code": entity["code"], "type": found["type"],
                "sectors": [one["id"] for one in entity["sectors"]], "period": found["period"],
                "tco2e": found["total"]["total"], "incomplete": found["incomplete"],
            })  # fmt: skip
    if sort == "tco2e":
        return sorted(rows, key=lambda row: (-_grams(row["tco2e"]), row["terminal"]))
    order = {"key": 0, "general": 1}
    return sorted(rows, key=lambda row: (order[row["type"]] if sort == "type" else row[sort], row["terminal"]))


def _grams(text):
    return int(text.replace(".", ""))
