"""What a bench leaves for people and for a CI: one HTML page that needs nothing else, and JUnit XML."""

from html import escape
from xml.sax.saxutils import quoteattr

from carbonterm import clock
from carbonterm.ledger import entry as entries
from carbonterm_host.benches.plot import plot

MOST_PLOTS = 12

_STYLE = """
:root{color-scheme:light dark;--ink:#1b2733;--paper:#fff;--faint:#5c6b7a;--line:#d9e0e7;--good:#157347;--bad:#b3261e;
--blue:#1f6feb;--band:#f2b8b533}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--paper:#11161c;--faint:#93a1b0;--line:#2c3640;--good:#4ac26b;
--bad:#ff7b72;--blue:#6cb0ff;--band:#b3261e33}}
body{margin:0 auto;max-width:64rem;padding:1.5rem 1rem 4rem;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,"Noto Sans CJK SC","Microsoft YaHei",sans-serif}
h1{font-size:1.5rem;margin:0 0 .3rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}p{margin:.3rem 0}
.faint{color:var(--faint)}.mark{display:inline-block;padding:.1rem .6rem;border-radius:.3rem;color:#fff;font-weight:600}
.green{background:#157347}.red{background:#b3261e}.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
th{color:var(--faint);font-weight:600;white-space:nowrap}tr.bad{background:var(--band)}td.ok{color:var(--good);font-weight:600}td.no{color:var(--bad);font-weight:600}
td.found{overflow-wrap:anywhere;min-width:14rem}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(20rem,1fr));gap:1rem}
figure{margin:0;border:1px solid var(--line);border-radius:.4rem;padding:.5rem}
figcaption{font-size:.85rem;font-weight:600}svg{width:100%;height:auto;display:block}
svg text{fill:var(--faint);font:10px system-ui,sans-serif}.axis{stroke:var(--line)}
.curve{fill:none;stroke:var(--blue);stroke-width:1.6}.second{fill:none;stroke:var(--faint);stroke-dasharray:4 3}
.dot{fill:var(--blue)}.off{fill:var(--band)}code{font-size:.85em;overflow-wrap:anywhere}
"""


def html(result, evidence):
    """The page of a result (carbonterm_host.benches.bench) and the evidence behind it."""
    colour, word = ("green", "GREEN 通过") if result["green"] else ("red", "RED 未通过")
    rows = "".join(_row(row) for row in result["verdicts"])
    lasted = (evidence.end_ms - evidence.begin_ms) / 1000
    site, zone = evidence.site, evidence.site.zone
    kind = "simulated 仿真" if result["time"] == "simulated" else "real 实时"
    facts = [
        ("site 站点", f"{site.terminal_id}: {len(site.meters)} meters, {len(site.points)} points"),
        ("time 时间", f"{clock.text(evidence.begin_ms, zone)} … {clock.text(evidence.end_ms, zone)}, {_span(lasted)} "
                      f"{kind}, run in {result['took_s']} s"),
        ("seed 随机种子", str(result["seed"])),
        ("faults 故障", ", ".join(f"{name} {count}" for name, count in result["faults"].items()) or "none 无"),
        ("log 日志", ", ".join(f"{name} {count}" for name, count in result["counts"].items())),
        *((f"SM3 {name}", digest) for name, digest in result["files"].items()),
    ]  # fmt: skip
    plots = "".join(_plots(evidence))
    met, of = sum(row["ok"] for row in result["verdicts"]), len(result["verdicts"])
    if result["board"]:
        about = result["board"]
        stands = "simulated chip 仿真芯片" if about["simulated"] else "real 真实板卡"
        facts.insert(0, ("board 板卡", f"{about['name']} ({about['board']}), {stands}, {about.get('runtime', '')}"))
    if result["defect"]:
        facts.insert(0, ("injected defect 注入缺陷", result["defect"]))
    table = "".join(f"<tr><th>{escape(name)}</th><td class=found><code>{escape(text)}</code></td></tr>"
                    for name, text in facts)  # fmt: skip
    return (
        f"<!doctype html><html lang=zh><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{escape(result['title'])}</title><style>{_STYLE}</style>"
        f"<h1>{escape(result['title'])}</h1><p><span class='mark {colour}'>{word}</span> {met} / {of} met 符合 "
        f"<span class=faint>· carbonterm bench · {escape(result['scenario'])} · simulated meters 仿真仪表</span></p>"
        f"<p>{escape(evidence.scenario.about)}</p>"
        "<h2>Verdicts 判定</h2><div class=scroll><table><tr><th>expectation 期望<th>clause 条款<th>wanted 要求"
        f"<th>found 实测<th>verdict 判定</tr>{rows}</table></div>"
        f"{'<h2>Plots 曲线</h2>' if plots else ''}<div class=plots>{plots}</div>"
        f"<h2>Facts 记录</h2><div class=scroll><table>{table}</table></div></html>\n"
    )


def junit(result):
    """JUnit XML: a test case for each verdict."""
    bad = sum(not row["ok"] for row in result["verdicts"])
    cases = []
    for row in result["verdicts"]:
        told = ", ".join(filter(None, (row["clause"], row["id"])))
        name = quoteattr(row["expect"] + (f" ({told})" if told else ""))
        head = f'  <testcase classname={quoteattr("bench." + result["scenario"])} name={name}'
        if row["ok"]:
            cases.append(head + "/>")
        else:
            said = quoteattr(f"wanted {row['wanted']}, found {row['found']}")
            cases.append(f"{head}>\n    <failure message={said}/>\n  </testcase>")
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuite name={quoteattr(result["scenario"])} '
        f'tests="{len(cases)}" failures="{bad}" errors="0" time="{result["took_s"]}">\n' + "\n".join(cases)
        + "\n</testsuite>\n"
    )  # fmt: skip


def _row(row):
    wanted = "yes 是" if row["wanted"] is True else str(row["wanted"])
    verdict = "<td class=ok>✓ ok" if row["ok"] else "<td class=no>✗ no"
    number = f"<br><span class=faint>{row['id']}</span>" if row["id"] else ""
    bad = "" if row["ok"] else " class=bad"
    return (f"<tr{bad}><td>{escape(row['title'])}<br><code class=faint>{escape(row['expect'])}</code><td>"
            f"{row['clause'] or ''}{number}<td>{escape(wanted)}<td class=found>{escape(row['found'])}{verdict}</tr>")


def _span(seconds):
    return f"{seconds / 3600:.1f} h" if seconds > 7200 else f"{seconds:.1f} s"


def _plots(evidence):
    bands = [(off, on or evidence.end_ms) for off, on in evidence.power]
    span = evidence.begin_ms, evidence.end_ms
    if evidence.samples:
        curves = [[(row["time_ms"], row["entries"]) for row in evidence.samples]]
        curves += [[(row["time_ms"], row["cursors"][i]) for row in evidence.samples if i < len(row["cursors"])]
                   for i in range(len(evidence.centres))]  # fmt: skip
        yield plot("entries in the log, and acknowledged (dashed) 日志条数与已确认", curves, span, bands)
    for index, point in enumerate(evidence.site.points[:MOST_PLOTS]):
        rows = [(time_ms, float(value)) for time_ms, value, _ in evidence.rows(index) if value is not None]
        meter = evidence.site.meters[point.meter].name
        gone = [cut[1:] for cut in evidence.cuts if meter in cut[0]]
        if rows:
            yield plot(f"{point.name}, {point.unit}", [rows], span, bands + gone)
    rows = [(entry.time_ms, entry.seq) for entry in evidence.of_kind(entries.START)]
    if len(rows) > 1:
        yield plot("starts of the terminal 启动", [rows], span, bands, dots=True)
