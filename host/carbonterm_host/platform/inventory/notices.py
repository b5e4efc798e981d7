"""What people see of a terminal's inventory: the totals of the year on the platform's page, and its boundary drawn."""

import html as markup

from carbonterm_host import boundary_page, inventories
from carbonterm_host.platform.inventory import figures


def drawn(store, terminal_id):
    """The graphical page of a terminal's boundary with this year's totals, or None."""
    found = figures.of(store, terminal_id)
    if found is None:
        return None
    with store.read() as connection:
        site = figures.site_of(connection, figures.logs_of(connection, terminal_id)[-1])
    return boundary_page.page(site, "", found)


def lines(store, terminal_id):
    """HTML lines of the platform's page: the year's totals by the dimensions of clause 11.7, clean energy, products."""
    found = figures.of(store, terminal_id)
    if found is None:
        return
    kind = {"key": "重点排放单位 key emission unit", "general": "非重点排放单位 general unit"}.get(found["type"])
    if kind:
        entity = found["entity"]
        yield f"<p data-type={found['type']}>{_escaped(entity['name'])} {_escaped(entity['code'] or '')}: {kind}</p>"
    rows = [(f"{zh} {en}", found["total"][name], "tCO2e") for name, zh, en in inventories.DIMENSIONS]
    clean = found["clean"]
    share = f" ({clean['percent']} %)" if clean["percent"] else ""
    rows.append(("清洁能源 clean energy" + share, clean["mwh"] if clean["points"] else "—", "MWh"))
    for row in found["products"]["rows"]:
        value = row["kgco2e_per_unit"] or "不可用 not available"
        rows.append((f"产品碳足迹 product footprint: {row['name']}", value, f"kgCO2e/{row['unit']}"))
    for row in found["intensities"]:
        value = row["tco2e_per_unit"] or "不可用 not available"
        rows.append((f"排放强度 intensity: {row['name']}", value, f"tCO2e/{row['unit']}"))
    mark = " <span class=bad>不完整 incomplete</span>" if found["incomplete"] else ""
    head = f"<tr><th>{found['period']} 年碳排放 Emissions{mark}<th class=n>数值 Value<th>单位 Unit"
    cells = "".join(f"<tr><td>{_escaped(a)}<td class=n>{_escaped(b)}<td>{_escaped(c)}" for a, b, c in rows)
    yield f"<table class=inventory data-terminal={terminal_id}>{head}{cells}</table>"
    if found["unconfirmed"]:
        names = _escaped(", ".join(found["unconfirmed"]))
        yield f"<p class=bad>⚠ 因子未与正式文本核对 factors not confirmed against the print: {names}</p>"
    where = f"/v1/terminals/{terminal_id}"
    yield (f"<p><a href='{where}/boundary'>核算边界 boundary</a> · "
           f"<a href='{where}/inventory'>清单 inventory (JSON)</a></p>")  # fmt: skip


def _escaped(text):
    return markup.escape(str(text))
