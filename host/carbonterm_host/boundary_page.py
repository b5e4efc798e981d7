"""The graphical page of a boundary (clause 9.3 f): one HTML file that draws the tree, lets it be changed, and gives the
`boundary` of site.yaml back. It asks the network for nothing.
"""

import json
from pathlib import Path

import yaml

from carbonterm.accounting import inventory
from carbonterm.accounting.records import Records
from carbonterm_host import checklist, inventories

PAGE = Path(__file__).parent / "page" / "boundary.html"
_DRAWN = ("divide", "units", "sources")
TYPES = {"key": "重点排放单位 key emission unit", "general": "非重点排放单位 general unit", None: ""}


def page(site, text="", figures=None):
    """The page of a Site; text: its site.yaml, whose other parts of the boundary are given back as they stand (without
    it the page only shows); figures: an inventory whose totals are shown."""
    data = json.dumps(describe(site, text, figures), ensure_ascii=False).replace("<", "\\u003c")
    html = PAGE.read_text(encoding="utf-8")
    before, empty, after = html.partition('id="data">{}')
    assert empty, PAGE
    return before + 'id="data">' + data + after


def describe(site, text="", figures=None):
    """What the page draws, as JSON."""
    boundary = site.boundary
    lines = inventory.lines(site, Records(site.zone), 0, 1)
    totals = {row["key"]: row["tco2e"] for row in figures["by"]["source"]} if figures else {}
    titles = {row[0]: row[2] for row in inventories.KINDS}
    sectors = [{"id": row[0], "name": row[1]} for row in boundary.sectors] if boundary else []
    units = [name for name, _ in boundary.units] if boundary else []
    places = {(place.source, at): place for at, place in enumerate(boundary.places)} if boundary else {}
    kinds = [place for _, place in sorted(places.items())]
    return {
        "entity": boundary.entity.name if boundary else site.name,
        "code": (boundary.entity.code or boundary.entity.equivalent) if boundary else None,
        "about": _about(site), "divide": boundary.divide if boundary else "none",
        "sectors": sectors,
        # what may be chosen: the published sectors (9.3 c), and the site's own
        "catalogue": [{"id": row["id"], "name": row["name_zh"], "methods": row["methods"]}
                      for row in checklist.sectors().values()]
        + [{"id": name, "name": title, "methods": None}
           for name, title, own in (boundary.sectors if boundary else ()) if own],
        "units": [{"name": name, "of": None if above is None else units[above], "sectors": _sectors_of(text, name)}
                  for name, above in (boundary.units if boundary else ())],
        "places": [
            {"source": line.source, "unit": None if line.unit is None else units[line.unit],
             "sector": None if line.sector is None else sectors[line.sector]["id"],
             "kind": kinds[at].kind if kinds else None, "category": kinds[at].category if kinds else None,
             "share": str(line.share), "exclude": line.reason, "custom": line.custom, "method": line.method,
             "dimension": line.dimension, "kind_zh": titles[line.kind],
             "tco2e": totals.get(line.source) if line.share == 1 else None,
             "meters": sorted({name for feed in line.inputs for name in inventory.fed_by(site, feed)})}
            for at, line in enumerate(lines)
        ],
        "unlinked": inventories.unlinked(site),
        "rest": _rest(site, text) if text else None,  # without the file there is nothing to change
    }  # fmt: skip


def _about(site):
    if site.boundary is None:
        return "尚未配置边界 no boundary is configured yet"
    one, found = site.boundary.entity, []
    found += [one.code or one.equivalent, TYPES[inventories.boundaries.type_of(site.boundary)]]
    found += [value for value in (*one.registration, *one.contact) if value]
    found += [f"{name} SM3 {digest.hex()[:16]}…" for name, digest in one.attachments]
    return " · ".join(found)


def _boundary(text):
    """The YAML node of the boundary in a site.yaml, or None."""
    root = yaml.compose(text, Loader=yaml.SafeLoader) if text else None
    return next((value for key, value in root.value if key.value == "boundary"), None) if root else None


def _sectors_of(text, unit):
    """Sectors that a unit of a site.yaml names itself."""
    node = _boundary(text)
    units = next((value for key, value in node.value if key.value == "units"), None) if node else None
    for item in units.value if units else ():
        keys = {key.value: value for key, value in item.value}
        if keys["name"].value == unit:
            one = [keys["sector"]] if "sector" in keys else keys["sectors"].value if "sectors" in keys else []
            return [node.value for node in one]
    return []


def _rest(site, text):
    """Lines of the parts of a boundary that the page does not change, as they stand in site.yaml."""
    node = _boundary(text)
    if node is None:
        return [f"  entity: {{name: {site.name}, code: }}"]
    lines, found = text.split("\n"), []
    starts = [key.start_mark.line for key, _ in node.value]
    for (key, value), following in zip(node.value, [*starts[1:], None], strict=True):
        if key.value in _DRAWN:
            continue
        first, last = key.start_mark.line, value.end_mark.line
        if not isinstance(value, yaml.ScalarNode) and not value.flow_style:  # its end is where the next one begins
            block = lines[first : last if following is None else following]
            indent = key.start_mark.column
            block = [line[indent:] if not line[:indent].strip() else line for line in block]
        else:
            block = text[key.start_mark.index : value.end_mark.index].split("\n")
        found += ["  " + line for line in block if line.strip()]
    return found
