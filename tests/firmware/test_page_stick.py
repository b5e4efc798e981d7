"""Export to and import from a USB stick by the terminal's page (10.2.2): a folder stands for the mounted stick."""

import pytest

import entrance
from carbonterm import site as sites
from carbonterm.ledger import entry as entries
from carbonterm_host import bundles
from carbonterm_host.boards import board
from carbonterm_host.commands import pull
from carbonterm_host.commands.replay import replay
from commandline import carbonterm
from paged import Plant, meters, port


@pytest.mark.slow
@pytest.mark.requirement("T-10.2.2-1")
def test_the_log_goes_out_and_a_document_comes_in(tmp_path):
    """The gateway declares its ports; the stick is simulated by a folder, as a mounted one is to the terminal."""
    assert board.load("linux-gateway").sheet["usb"] >= 2
    stick = tmp_path / "usb"
    with meters() as running, Plant(tmp_path, [port(bus) for bus in running.buses]) as plant:
        terminal, zhang = plant.terminal, plant.client("zhang")
        assert "nobody said where" in zhang.get("/stick")
        assert carbonterm("page", "stick", "usb", "--to", terminal.data)[0] == 2
        assert carbonterm("page", "stick", stick, "--to", terminal.data)[0] == 0
        assert "no stick at" in zhang.get("/stick")
        assert zhang.post("/stick", do="export")[0] == 400
        stick.mkdir()
        assert "可能未挂载" in zhang.get("/stick")  # as where a folder waits for its stick
        assert plant.client("wang").ask("GET", "/stick")[0] == 403
        seen = terminal.wait(lambda status: status["readings"] > 8 and status["entries"])["entries"]
        assert zhang.post("/stick", do="export")[0] == 303
        entrance.wait(lambda: "可以拔出" in zhang.get("/stick"))
        (copy,) = [path for path in stick.iterdir() if path.is_dir()]

        # what is on the stick is the log up to there, and it verifies without the terminal; no secret is beside it
        names = {path.name for path in copy.iterdir()}
        assert not [name for name in names if name.endswith(".key") or name.startswith("page.")]
        pull.to_file(copy, tmp_path / "stick.bundle")
        assert carbonterm("verify", tmp_path / "stick.bundle")[0] == 0
        found = bundles.read(tmp_path / "stick.bundle")
        assert len(found.entries) >= seen and replay(found.entries)[1] == []

        # a document that was made elsewhere, of that export
        site = sites.decode((copy / "site.bin").read_bytes())
        assert site.canonical() == plant.site.canonical()
        site.points[0].interval_ms, site.version, site._bytes = 2000, 2, None
        (stick / "new site.bin").write_bytes(site.canonical())
        site.terminal_id, site._bytes = "CT-OTHER", None
        (stick / "other.bin").write_bytes(site.canonical())
        (stick / "photo.bin").write_bytes(bytes(400000))
        for name, status in (("other.bin", 400), ("photo.bin", 400), ("../page.key", 404), ("nothing.bin", 404)):
            assert zhang.post("/stick", do="import", name=name)[0] == status, name
        assert zhang.post("/stick", do="format")[0] == 400
        assert zhang.post("/stick", do="import", name="new site.bin")[0] == 303
        assert "interval_ms 500 → 2000" in zhang.get("/draft")
        assert zhang.force("by stick")[0] == 303

        # one that has no room: it is said, and the terminal goes on
        assert carbonterm("page", "stick", "/proc", "--to", terminal.data)[0] == 0
        assert zhang.post("/stick", do="export")[0] == 303
        entrance.wait(lambda: "导出失败" in zhang.get("/stick"))
        before = terminal.status()["readings"]
        terminal.wait(lambda status: status["readings"] > before)
        terminal.stop()
        log = plant.log()
    assert [entries.decode(raw).body for raw, _ in found.entries] == [one.body for one in log[: len(found.entries)]]
    assert [sites.decode(one.body[1]).points[0].interval_ms for one in log if one.kind == entries.CONFIG] == [500, 2000]
    said = [one.body[2] for one in log if one.kind == entries.AUDIT and one.body[:2] == ["zhang", "page"]]
    assert any(text.startswith("exported ") for text in said) and "took new site.bin from the stick as a draft" in said
    assert any(text.startswith("an export to the stick failed: ") for text in said)
