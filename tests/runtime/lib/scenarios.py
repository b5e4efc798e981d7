"""A shipped scenario under test: green as it is, red with each defect that it knows."""

from carbonterm_host.benches import scenario
from carbonterm_host.benches.trial import reds, right, trial


def check(name, tmp_path):
    """Runs its short form once; the long one, and defects that need a run, are `carbonterm bench trial`'s."""
    found = dict(trial(scenario.load(name, True), tmp_path / name, live=False))
    wrong = [f"{row['expect']}: found {row['found']}" for row in found[None]["verdicts"] if not row["ok"]]
    assert not wrong, wrong
    assert len(found) > 1 and all(right(*one) for one in found.items()), {one: reds(found[one]) for one in found}
    print(name, len(found[None]["verdicts"]), "expectations met;", ", ".join(filter(None, found)), "turn it red")
