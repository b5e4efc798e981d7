"""An uncertainty budget on the screen."""

from rich.table import Table

from carbonterm_host.screen import say
from carbonterm_host.uncertain import GROUPS_ZH

SHAPES_ZH = {"normal": "正态", "rectangular": "均匀", "triangular": "三角", "arcsine": "反正弦", "student": "t"}


def show_budget(screen, view):
    """The budget as a table, and the result under it."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    headings = (say("input", "输入量"), say("value", "值"), "u %", say("share %", "贡献 %"), say("dof", "自由度"),
                say("shape", "分布"), say("kind", "类别"))  # fmt: skip
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if 0 < place < 5 else "left", overflow="fold")
    for row in view["rows"]:
        group, shape = say(row["group"], GROUPS_ZH.get(row["group"], "")), say(row["shape"], SHAPES_ZH[row["shape"]])
        relative = row["u_percent"] or f"({row['u']})"
        table.add_row(row["name"], row["value"], relative, row["contribution_percent"], row["dof"] or "∞", shape, group)
    screen.print(table)
    percent = f" ({view['percent']} %)" if view["percent"] else ""
    dof = f", ν_eff = {view['dof']}" if view["dof"] else ""
    cover = f", {say('coverage', '包含概率')} {view['coverage']}" if view["coverage"] else ""
    screen.print(f"[bold]{view['value']} ± {view['U']}{percent}[/], k = {view['k']}{cover}{dof}", soft_wrap=True)
    if view["ipcc_approach1_percent"]:
        screen.print(f"IPCC {say('approach 1', '方法1')}: ± {view['ipcc_approach1_percent']} % (95 %)")
    assumed = [name for name, how in view["stated"].items() if how.startswith("assumed")]
    for name in assumed:
        screen.print(f"⚠ {name}: {view['stated'][name]}", soft_wrap=True)
    if view["without"]:
        text = say("taken as exact, nothing is stated: ", "未给出不确定度，按准确值处理：")
        screen.print(text + ", ".join(view["without"]), soft_wrap=True)
