"""What the page says on top: who is logged in, and alarms to those who may read them."""

import html as markup
import time

from carbonterm import clock
from carbonterm_host.platform.access import audit

SHOWN_MS = 7 * 86_400_000
MOST = 20
# how an alarm begins, behind the terminal that it is about, and what that is
_CHINESE = (
    ("failed logins", "登录失败"), ("probing", "探测"), ("connection to trap port", "连接诱捕端口"),
    ("calibration overdue", "校准到期"),
)  # fmt: skip


def lines(store, person):
    """HTML lines for a Person."""
    if person.role == "local":
        yield "<p>尚无用户，仅本机可见。No user is made yet, so only this machine sees the page: "
        yield "<code>carbonterm platform user add</code></p>"
    else:
        yield (
            f"<form method=post action=/logout>{markup.escape(person.name)} ({person.role}) "
            "<button>退出 Log out</button></form>"
        )
    if not person.may("audit"):
        return
    since = time.time_ns() // 1_000_000 - SHOWN_MS
    alarms = [row for row in audit.rows(store, audit.ALARM, limit=MOST) if row["time_ms"] >= since]
    if alarms:
        yield "<h2>告警 Alarms</h2><table><tr><th>时间 Time<th>来源 From<th>事件 What<th class=n>次数 Count"
        for row in alarms:
            said = row["what"] if row["address"] else row["what"].split(": ", 1)[-1]
            what = next((f"{word} " for begin, word in _CHINESE if said.startswith(begin)), "") + row["what"]
            cells = (clock.text(row["time_ms"], 0), row["address"], what)
            yield "<tr>" + "".join(f"<td>{markup.escape(cell)}" for cell in cells) + f"<td class=n>{row['status']}"
        yield "</table>"
