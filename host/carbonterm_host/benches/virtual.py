"""A scenario in simulated time, and what the bench saw of it."""

from carbonterm_host.benches import planned
from carbonterm_host.benches.defective import KINDS

STATES = ("replaced", "reset")


def run(scenario, folder, defect):
    """As carbonterm_host.benches.real.Real.run."""
    faults = [list(row) for row in scenario.faults]
    power, unplugged, cuts = [], [], []
    start_ms = planned.START_MS - planned.BEFORE_MS
    for event in scenario.events:
        at_ms = event.at_ms + planned.BEFORE_MS
        if event.do == "power-cut":
            power.append(at_ms)
        elif event.do == "line-cut":
            device = f"/dev/{event.row['bus']}"
            unplugged.append([device, at_ms, at_ms + event.for_ms])
            index = next(i for i, bus in enumerate(scenario.site.buses) if bus.name == event.row["bus"])
            names = [meter.name for meter in scenario.site.meters if meter.bus == index]
            cuts.append([names, start_ms + at_ms, start_ms + at_ms + event.for_ms])
        elif event.do in STATES:
            faults.insert(0, [event.do, 1.0, event.row["meter"], at_ms // 1000, None, 1])
    for name, chance, meter, since, until, limit in scenario.faults:
        if name == "silent" and chance == 1 and meter is not None and until is not None and limit is None:
            cuts.append([[meter], start_ms + 1000 * since, start_ms + 1000 * until])
    flash = scenario.board.get("flash")
    spoilt = None
    if defect and defect["does"] in KINDS:
        spoilt = [defect["does"], defect["meter"], defect.get("every", 10)]
    made = planned.plan(
        scenario.seed, scenario.ms / 3600000, faults, power, unplugged, meters=scenario.meters, held=scenario.held,
        flash=flash and [flash[key] for key in ("block", "ring", "files", "program")],
        segment_size=flash and flash["segment_size"], defect=spoilt,
    )  # fmt: skip
    counts = planned.run(folder, scenario.site, made)
    (folder / "site.yaml").write_text(
        scenario.site_text({bus.name: bus.address for bus in scenario.site.buses}), encoding="utf-8")  # fmt: skip
    lines = {bus.name: {"busy_ms": counts["busy_ms"][bus.address]} for bus in scenario.site.buses}
    if len(lines) == 1:
        next(iter(lines.values())).update(counts["counters"])
    return {
        "cuts": cuts, "alarms": counts["alarms"], "lines": lines, "faults": counts["faults"], "wear": counts["wear"],
        "cycles": flash and flash["cycles"],
        "begin_ms": start_ms, "end_ms": start_ms + made["end_ms"],
    }  # fmt: skip
