"""`settings: {profile: collector}` of a site.yaml: what a collector has not is refused with its line."""

from carbonterm.field.places import INPUTS, SENDERS
from carbonterm.site import COLLECTOR

TERMINAL_ONLY = {
    "sources": "accounts no emissions", "virtual": "combines no points", "boundary": "has no boundary",
    "operators": "takes no data by hand", "manual": "takes no data by hand", "page": "has no web page",
}  # fmt: skip
WAY = "put that into the site document of its terminal"


def settings(reader, node, row):
    """The settings' row of a collector: it logs no closings. node: of `closings`, None where it is left out."""
    if node is not None and row[0]:
        reader.note(node, "a collector settles nothing", "leave closings out, or write closings: []")
    return [[], *row[1:], COLLECTOR]


def check(reader, top, series):
    """Notes what only a terminal works with."""
    for key, what in TERMINAL_ONLY.items():
        if key in top and getattr(top[key], "value", None):
            reader.note(top[key], f"a collector {what}", WAY)
    for node in reader.rows(top["buses"], "buses"):
        try:
            kind = next((value.value for key, value in node.value if key.value == "kind"), None)
        except (AttributeError, TypeError, ValueError):
            continue  # noted where buses are read
        if kind in (*SENDERS, INPUTS):
            reader.note(node, f"a bus of kind {kind} is a terminal's, a collector has none", "use a terminal")
    for index, node in enumerate(reader.rows(top["points"], "points")):
        if index in series:
            reader.note(node, "a collector settles no rates, fills no gaps and judges no months", WAY)
