"""For pytest: files *.scenario.toml are tests, one for each expectation; a maker tests his own board in his CI.

--bench-folder DIR keeps what each scenario leaves in DIR/NAME; without it pytest's temporary folder has it.
"""

from pathlib import Path

import pytest

SUFFIX = ".scenario.toml"


def pytest_addoption(parser):
    group = parser.getgroup("carbonterm bench")
    group.addoption("--bench-folder", default=None, help="keep the reports of scenarios there")


def pytest_collect_file(file_path, parent):
    if file_path.name.endswith(SUFFIX):
        return ScenarioFile.from_parent(parent, path=file_path)
    return None


class ScenarioFile(pytest.File):
    """A scenario; it is run once, by the first of its tests."""

    result = None

    def collect(self):
        from carbonterm_host.benches import scenario  # a pytest run without scenarios has nothing of it to load

        try:
            self.scenario = scenario.load(self.path)
        except scenario.Bad as bad:
            raise self.CollectError(f"{bad.what}\n  → {bad.hint}") from None
        for name in self.scenario.expect:
            yield Expected.from_parent(self, name=name)

    def run(self):
        from carbonterm_host.benches import bench

        if self.result is None:
            kept = self.config.getoption("--bench-folder")
            root = Path(kept) if kept else self.config._tmp_path_factory.getbasetemp()
            self.folder = root / self.scenario.name
            self.result = bench.run(self.scenario, self.folder)
        return self.result


class Expected(pytest.Item):
    """One word of [expect]."""

    def runtest(self):
        result = self.parent.run()
        row = next(row for row in result["verdicts"] if row["expect"] == self.name)
        if not row["ok"]:
            raise NotMet(f"{row['title']}: wanted {row['wanted']}, found {row['found']}\n"
                         f"report: {self.parent.folder}/report.html")  # fmt: skip

    def repr_failure(self, excinfo, style=None):
        if isinstance(excinfo.value, NotMet):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self):
        return self.path, 0, f"{self.parent.scenario.name}: {self.name}"


class NotMet(Exception):
    """An expectation that was not met."""
