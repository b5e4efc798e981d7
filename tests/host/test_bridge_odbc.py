"""`carbonterm bridge odbc`: rows of SQLite through ODBC into an endpoint, read on by key or time, over kills."""

import json
import os
import signal
import sqlite3
import subprocess
import sys

import pytest

from inbox import TOKEN, Inbox
from serving import run

pyodbc = pytest.importorskip("pyodbc", reason="no pyodbc (apt-get install unixodbc)", exc_type=ImportError)
pytestmark = pytest.mark.skipif(
    "SQLite3" not in pyodbc.drivers(), reason="no ODBC driver of SQLite here (apt-get install libsqliteodbc)"
)

CONFIG = """\
source: erp
terminal: {{url: {url}, token_file: token, ca: terminal.pem}}
keep: {keep}
odbc:
  connection: "DRIVER=SQLite3;Database={folder}/plant.db;Timeout=30000"
  query: "{query}"
  every: 100ms
  key: {key}
  start: {start}
  time: {{column: at, form: {form}, zone: "+08:00"}}
  {values}
"""
WIDE = "values: {E: kwh, T: temperature}"
LONG = "name: tag\n  value: reading"


class Plant:
    """A database beside a bridge's configuration."""

    def __init__(self, folder, inbox):
        self.folder, self.inbox = folder, inbox
        self.db = sqlite3.connect(folder / "plant.db", timeout=30)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("CREATE TABLE wide (id INTEGER PRIMARY KEY, at TEXT, kwh DECIMAL(18,3), temperature REAL)")
        self.db.execute("CREATE TABLE long (at BIGINT, tag TEXT, reading TEXT)")
        (folder / "token").touch(0o600)
        (folder / "token").write_text(TOKEN + "\n")
        self.config = folder / "erp.yaml"
        self.queue = folder / "erp.queue"

    def configure(self, query="SELECT * FROM wide WHERE id > ? ORDER BY id", values=WIDE, **given):
        options = {"key": "id", "start": 0, "form": "iso", "keep": 1000, "url": self.inbox.url, **given}
        self.config.write_text(CONFIG.format(query=query, values=values, folder=self.folder, **options))

    def add(self, *rows, table="wide"):
        self.db.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(rows[0]))})", rows)
        self.db.commit()

    def once(self):
        done = run("bridge", "odbc", "--config", self.config, "--once", "--json")
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

    def start(self):
        return subprocess.Popen(
            [sys.executable, "-m", "carbonterm_host", "bridge", "odbc", "--config", str(self.config), "--json"],
            stdout=subprocess.PIPE, text=True, env={**os.environ, "CARBONTERM_LANG": "en"},
        )  # fmt: skip


@pytest.fixture
def plant(tmp_path):
    with Inbox(tmp_path) as inbox:
        yield Plant(tmp_path, inbox)


@pytest.mark.slow
@pytest.mark.requirement("T-6.3-2", part="a database's rows reach the terminal's endpoint")
def test_rows_come_once_in_order_with_their_digits(plant):
    plant.configure()
    plant.add((1, "2026-11-21 08:00:00", "1234567890.120", 0.1), (2, "2026-11-21T08:00:00.250+00:00", None, 1e22))
    code, said = plant.once()
    assert code == 0 and said[-1] == {"waiting": 0, "sent": 2, "refused": 0, "lost": 0}
    assert [(m["time"], m["values"]) for m in plant.inbox.taken] == [
        (1795219200000, {"E": "1234567890.12", "T": "0.1"}),
        (1795248000250, {"E": None, "T": "10000000000000000000000"}),
    ]
    assert plant.once()[1][-1] == said[-1] and len(plant.inbox.taken) == 2
    plant.add((3, "2026-11-21 09:00:00", "7", -0.5), (4, "no time", "8", 1), (5, "2026-11-21 09:00:01", "abc", 2))
    code, said = plant.once()
    assert [row["why"] for row in said if row.get("state") == "bad"] == [
        "row 4: 'no time' is no time of form iso with a known zone"
    ]
    assert plant.inbox.values("E") == ["1234567890.12", None, "7", None]
    ids = [m["id"] for m in plant.inbox.taken]
    assert len({i.split("-")[0] for i in ids}) == 1 and [i.split("-")[1] for i in ids] == ["1", "2", "3", "4"]


@pytest.mark.slow
def test_rows_of_one_time_are_told_apart(plant):
    at = 1795219200005
    plant.configure("SELECT * FROM long WHERE at >= ? ORDER BY at", LONG, key="at", form="ms", start=0)
    plant.add((at, "E1", "1"), (at, "E2", "2"), (at, "E1", "1.5"), table="long")
    assert plant.once()[0] == 0
    plant.add((at, "E3", "3"), (at + 1, "E1", "4"), (at + 2, "E1", "5"), (at + 2, " ", "6"), table="long")
    code, said = plant.once()
    assert code == 0 and f"row {at + 2}: '' is no name of a value" in [row.get("why") for row in said]
    assert [(m["time"] - at, m["values"]) for m in plant.inbox.taken] == [
        (0, {"E1": "1", "E2": "2"}), (0, {"E1": "1.5"}), (0, {"E3": "3"}), (1, {"E1": "4"}), (2, {"E1": "5"}),
    ]  # fmt: skip
    assert plant.once()[0] == 0 and len(plant.inbox.taken) == 5


@pytest.mark.slow
def test_a_full_queue_makes_the_database_wait(plant):
    plant.configure(keep=450)
    plant.add(*((i, "2026-11-21 08:00:00", str(i), 1.0 * i) for i in range(1, 1501)))
    code, said = plant.once()
    assert code == 0 and said[-1] == {"waiting": 0, "sent": 1500, "refused": 0, "lost": 0}
    assert plant.inbox.values("E") == [str(i) for i in range(1, 1501)]


@pytest.mark.slow
def test_a_queue_smaller_than_a_fetch_is_enough_and_a_terminal_that_is_away_ends_one_round(plant):
    plant.configure(keep=7)
    plant.add(*((i, "2026-11-21 08:00:00", str(i), 0) for i in range(1, 31)))
    plant.inbox.stop()
    code, said = plant.once()
    assert code == 3 and said[-1] == {"waiting": 7, "sent": 0, "refused": 0, "lost": 0}
    plant.inbox.start()
    code, said = plant.once()
    assert code == 0 and said[-1]["sent"] == 30 and plant.inbox.values("E") == [str(i) for i in range(1, 31)]


@pytest.mark.slow
def test_a_message_refused_for_good_stops_no_other_and_what_is_cut_comes_again(plant):
    plant.configure()
    plant.inbox.answers = ["cut", "store and cut", None, 422, 503, 401]
    plant.add(*((i, "2026-11-21 08:00:00", str(i), 0) for i in range(1, 6)))
    service = plant.start()
    try:
        plant.inbox.wait(lambda inbox: len(inbox.taken) == 4)
    finally:
        service.send_signal(signal.SIGTERM)
        said = [json.loads(line) for line in service.communicate(timeout=180)[0].splitlines()]
    assert service.returncode == 0 and said[-1] == {"waiting": 0, "sent": 4, "refused": 1, "lost": 0}
    assert plant.inbox.values("E") == ["1", "3", "4", "5"]
    reasons = [row["why"] for row in said if row.get("state") == "waiting"]
    assert any("503 told to" in why for why in reasons) and any("401 told to" in why for why in reasons), reasons
    seen = run("bridge", "queue", plant.queue, "--json")
    (refused,) = json.loads(seen.stdout)["last_refused"]
    assert seen.returncode == 1 and refused["why"] == "422 told to" and refused["values"]["E"] == "2"


@pytest.mark.slow
@pytest.mark.requirement("T-6.3-2", part="a bridge that is killed loses nothing and repeats nothing")
def test_kills_of_bridge_and_terminal_lose_and_repeat_nothing(plant):
    """The bridge is killed again and again while rows are written and answers are cut off."""
    plant.configure(keep=5000)
    total = 0
    for round_ in range(6):
        plant.inbox.answers = ["store and cut", None, "cut"]
        plant.add(*((total + i, "2026-11-21 08:00:00", str(total + i), 0) for i in range(1, 301)))
        total += 300
        service = plant.start()
        goal = total - 300 + 37 * (round_ + 1) % 290
        plant.inbox.wait(lambda inbox, goal=goal: len(inbox.taken) >= goal)
        if round_ % 3 == 2:
            plant.inbox.stop()
        service.kill()
        service.communicate()
        if round_ % 3 == 2:
            plant.inbox.start()
    plant.inbox.answers = []
    code, said = plant.once()
    assert code == 0 and said[-1]["waiting"] == 0 and said[-1]["lost"] == 0
    assert plant.inbox.values("E") == [str(i) for i in range(1, total + 1)]


@pytest.mark.slow
def test_what_cannot_work_is_told(plant):
    rows = (
        ({"query": "SELECT * FROM missing WHERE id > ?"}, "no such table: missing"),
        ({"query": "SELECT id, kwh FROM wide WHERE id > ?"}, "the query gives no column 'at'"),
        ({"query": "SELECT * FROM wide WHERE id > ? ORDER BY id DESC"}, "the query gives key 1 behind 2"),
        ({"query": "SELECT NULL AS id, at, kwh, temperature FROM wide WHERE ? < 9"}, "a row without a key"),
    )
    plant.add((1, "2026-11-21 08:00:00", "1", 1), (2, "2026-11-21 08:00:00", "2", 1))
    for given, what in rows:
        plant.configure(**given)
        code, said = plant.once()
        assert code == 1 and what in said[-1]["error"], said
    plant.configure()
    plant.config.write_text(plant.config.read_text().replace("DRIVER=SQLite3", "DRIVER=NoSuchDriver"))
    code, said = plant.once()
    assert code == 3 and "NoSuchDriver" in said[-1]["error"]
    plant.configure()
    plant.inbox.stop()
    code, said = plant.once()
    assert code == 3 and said[-1]["waiting"] == 2 and "no answer from 127.0.0.1" in str(said)
