"""What the page says of a terminal's data quality and reviews."""

import html as markup

from carbonterm_host.platform.quality import engine, reviews

_NAMES = {
    "calibration": "仪器校准", "completeness": "完整性", "rejection": "异常剔除", "outliers": "异常值",
    "repeat sampling": "重复采样", "comparison": "多源比对", "environment": "环境数据",
    "identity": "仪表标识",
}  # fmt: skip


def lines(store, terminal_id):
    """HTML lines: the last report's verdicts, and the newest reviews."""
    for report in engine.reports(store, terminal_id):
        cells = []
        for rule in report["rules"]:
            said = "合格 ok" if rule["ok"] else f"<span class=bad>{rule['found']} 项 findings</span>"
            cells.append(f"<tr><td>{_NAMES[rule['rule']]} {rule['rule']}: {said}<td class=n>{rule['checked']}")
        for row in report["rules"][0].get("due", ()):
            said = "校准已过期 overdue" if row["days_left"] <= 0 else f"校准将于 {row['days_left']} 天后到期 due"
            name, number = markup.escape(row["meter"]), markup.escape(row["certificate"])
            yield f"<p class=bad>{name} {number}: {said} ({row['due']})</p>"
        head = f"<tr><th>质量控制 Quality, {report['time']}<th class=n>检查数 Checked"
        yield f"<table>{head}" + "".join(cells) + "</table>"
    for review in reviews.listed(store, terminal_id, 5):
        people = ", ".join(f"{row['who']} ({row['state']})" for row in review["steps"])
        changed = " <span class=bad>数据已变 figures changed</span>" if review["changed"] else ""
        period = f"{review['period']} {review['start']}"
        yield f"<p>审核 Review, {period}: {review['state_zh']} {review['state']} — {markup.escape(people)}{changed}</p>"
