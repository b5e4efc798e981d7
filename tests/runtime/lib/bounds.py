"""A boundary for tests, made by hand: one factory with two shops, over the sources of sites.document()."""

CODE = "91350100M000100Y43"


def entity(**own):
    """[name, code, equivalent, type, registration, contact, attachments, annual], parts replaced by name."""
    row = {"name": "示范钢铁有限公司", "code": CODE, "equivalent": None, "type": None, "registration": [None] * 5,
           "contact": [None] * 3, "attachments": [], "annual": None}  # fmt: skip
    row.update(own)
    return [row[key] for key in ("name", "code", "equivalent", "type", "registration", "contact", "attachments",
                                 "annual")]  # fmt: skip


def place(source, unit=None, sector=None, kind="combustion", category=1, custom=False, share=(1, 0), reason=None):
    return [source, unit, sector, kind, category, custom, list(share), reason]


PLACES = (place(0, 2, 0, "electricity", 2), place(1, 1, 0))


def boundary(places=PLACES, divide="site", units=(("factory", None), ("iron shop", 0), ("steel shop", 0)), sectors=None,
             **own):  # fmt: skip
    """The canonical list; own: entity, submeters, apart, clean, absent, extra, measures, products."""
    sectors = [["steel", "钢铁", False]] if sectors is None else sectors
    rows = [own.get("entity") or entity(), divide, [list(unit) for unit in units], sectors, [list(p) for p in places]]
    return rows + [own.get(name) or [] for name in ("submeters", "apart", "clean", "absent", "extra", "measures",
                                                    "products")]  # fmt: skip
