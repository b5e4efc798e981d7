"""What a bridge's file may say, each refusal with its place and the way out; the queue's bounds; exact decimals."""

import datetime
import decimal
import json
import math
import random
import struct

import pytest

from carbonterm.errors import CarbonError
from carbonterm_host.bridge import config
from carbonterm_host.bridge.config import BridgeError
from carbonterm_host.bridge.push import Inbox as Endpoint
from carbonterm_host.bridge.queue import KEPT_REFUSED, Queue
from carbonterm_host.bridge.readings import (
    LONGEST_NAME,
    LONGEST_TEXT,
    MOST_VALUES,
    decimal_text,
    messages,
    milliseconds,
)
from inbox import certificate
from serving import run

OPCUA = """\
source: scada-1
terminal:
  url: https://192.168.1.20:8443/v1/readings
  token_file: token
  ca: ca.pem
opcua:
  endpoint: opc.tcp://10.0.0.5:4840
  security: none
  every: 5s
  values: {E: ns=2;s=energy}
"""
ODBC = """\
source: erp
terminal: {url: https://t/v1/readings, token_file: token, ca: ca.pem}
queue: q/erp.queue
keep: 10
odbc:
  connection: DSN=erp;UID=reader
  query: SELECT * FROM t WHERE id > ? ORDER BY id
  key: id
  start: 0
  time: {column: at, form: iso, zone: "-03:30"}
  values: {E: kwh}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "ca.pem").write_text("x")
    for name in ("token", "password"):
        (tmp_path / name).touch(0o600)
        (tmp_path / name).write_text("secret\n")
    return tmp_path


def refusal(folder, text, kind):
    (folder / "b.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(CarbonError) as caught:
        config.read(folder / "b.yaml", kind)
    return str(caught.value)


def test_a_file_says_what_it_says(folder):
    (folder / "b.yaml").write_text(OPCUA)
    found = config.read(folder / "b.yaml", "opcua")
    assert (found.source, found.queue, found.keep) == ("scada-1", folder / "b.queue", config.KEEP)
    assert (found.terminal.token, found.opcua.every, found.opcua.read) == ("secret", 5, "poll")
    (folder / "b.yaml").write_text(ODBC)
    found = config.read(folder / "b.yaml", "odbc")
    assert (found.odbc.start, found.odbc.time.zone, found.keep) == (0, -210, 10)
    (folder / "b.yaml").write_text(ODBC.replace("start: 0", 'start: "0"'))
    assert config.read(folder / "b.yaml", "odbc").odbc.start == "0"


SECURITY = "{policy: Basic256Sha256, mode: sign, certificate: ca.pem, key: token, server_certificate: ca.pem}"
CASES = [
    ("opcua", "source: scada-1", "source: 'a b'", "b.yaml:1:9: 'a b' is no name"),
    ("opcua", "https:", "http:", "b.yaml:3:8: 'http://192.168.1.20:8443/v1/readings' is no https:// address"),
    ("opcua", "192.168.1.20:8443", "u:p@h", "is no https:// address"),
    ("opcua", "20:8443", "20:99999", "is no https:// address"),
    ("opcua", "token_file: token", "token_file: nothing", "nothing is no file"),
    ("opcua", "token_file: token", "token_file: ca.pem", "can be read by others\n    → chmod 600"),
    ("opcua", "token_file: token", "token: abc", "terminal knows no key 'token'"),
    ("opcua", "opc.tcp://", "http://", "'http://10.0.0.5:4840' is no address of an OPC UA server"),
    ("opcua", "opc.tcp://", "opc.tcp://u:p@", "write opc.tcp://host:port/path, user and password apart"),
    ("opcua", "security: none", "security: yes please", "security is a table, or none"),
    ("opcua", "  security: none\n", "", "opcua lacks security"),
    ("opcua", "security: none", "security: {policy: Basic256Sha256}", "security lacks mode, certificate, key, server"),
    ("opcua", "none", SECURITY.replace("Basic256Sha256", "Basic128Rsa15"), "'Basic128Rsa15' is not one of"),
    ("opcua", "none", SECURITY.replace("key: token", "key: ca.pem"), "ca.pem can be read by others"),
    ("opcua", "every: 5s", "every: 5", "'5' is no duration"),
    ("opcua", "every: 5s", "every: 1ms", "'1ms' is not between 100ms and 24h"),
    ("opcua", "every: 5s", "user: reader", "user and password_file belong together"),
    ("opcua", "every: 5s", "{user: a}", "this is no YAML"),
    ("opcua", "every: 5s", "user: a\n  password_file: password", "a password over an open line"),
    ("opcua", "every: 5s", "read: listen", "'listen' is not one of poll, subscribe"),
    ("opcua", "{E: ns=2;s=energy}", "{}", "values must be a table of names and nodes"),
    ("opcua", "{E: ns=2;s=energy}", "{E: a, E: b}", "values has 'E' twice"),
    ("opcua", "{E: ns=2;s=energy}", "{E: [1]}", "a text is wanted here"),
    ("odbc", "UID=reader", "UID=reader;Pwd=x", "b.yaml:6:15: a password in the configuration"),
    ("odbc", "> ?", "> 0", "the query has '?' 0 times, it has it once"),
    ("odbc", "> ?", "> ? AND a < ?", "the query has '?' 2 times"),
    ("odbc", "form: iso", "form: days", "'days' is not one of iso, s, ms"),
    ("odbc", "-03:30", "CST", "'CST' is no zone"),
    ("odbc", "values: {E: kwh}", "name: tag", "odbc needs either values (a column each) or name and value"),
    ("odbc", "values: {E: kwh}", "values: {E: kwh}\n  name: a\n  value: b", "odbc needs either values"),
    ("odbc", "keep: 10", "keep: 0", "an integer from 1 to 100000000 is wanted here, not '0'"),
    ("odbc", "odbc:", "opcua:", "the file knows no key 'opcua'"),
    ("odbc", ODBC, "", "the file is empty\n    → docs/bridges.md has an example"),
    ("odbc", ODBC, "- 1", "the file must be a table of keys and values"),
    ("odbc", ODBC, "a: [", "this is no YAML"),
]


@pytest.mark.parametrize("number", range(len(CASES)))
def test_what_a_file_may_not_say(folder, number):
    kind, old, new, wanted = CASES[number]
    text = OPCUA if kind == "opcua" else ODBC
    assert old in text
    assert wanted in refusal(folder, text.replace(old, new, 1), kind)


def test_several_mistakes_are_told_at_once(folder):
    said = refusal(folder, OPCUA.replace("https:", "http:").replace("5s", "5").replace("scada-1", "'-'"), "opcua")
    assert "3 mistakes in the bridge's file" in said
    (folder / "b.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(BridgeError, match="no text in UTF-8"):
        config.read(folder / "b.yaml", "odbc")
    (folder / "token").write_text("\n")
    assert "must hold one line of text" in refusal(folder, OPCUA, "opcua")


@pytest.mark.slow
def test_a_command_tells_what_is_wrong_with_files(folder):
    done = run("bridge", "odbc", "--config", folder / "missing.yaml", "--json")
    assert done.returncode == 3 and "missing.yaml: No such file" in json.loads(done.stdout)["error"]
    (folder / "b.yaml").write_text(OPCUA)
    done = run("bridge", "opcua", "--config", folder / "b.yaml", "--json")
    assert done.returncode == 1 and "ca.pem holds no certificate" in json.loads(done.stdout)["error"]
    (folder / "b.yaml").write_text(OPCUA.replace("ns=2;s=energy", "energy!"))
    done = run("bridge", "opcua", "--config", folder / "b.yaml", "--json")
    assert done.returncode == 1 and "'energy!' is no node" in json.loads(done.stdout)["error"]
    plain, _ = certificate(folder, "plain")  # without a URI
    secured = SECURITY.replace("certificate: ca.pem,", f"certificate: {plain.name},", 1)
    (folder / "b.yaml").write_text(OPCUA.replace("security: none", f"security: {secured}"))
    done = run("bridge", "opcua", "--config", folder / "b.yaml", "--json")
    assert done.returncode == 1 and "no certificate of an OPC UA application" in json.loads(done.stdout)["error"]
    done = run("bridge", "queue", folder / "nothing.queue", "--json")
    assert done.returncode == 1 and "there is no queue" in json.loads(done.stdout)["error"]


# --- the queue -----------------------------------------------------------------------------------------------------


def test_a_queue_keeps_order_bounds_and_marks(tmp_path):
    path = tmp_path / "q"
    queue = Queue(path, keep=5)
    with pytest.raises(BridgeError, match="another bridge works with the queue"):
        Queue(path)
    came = []
    queue.on_put(lambda: came.append(1))
    assert queue.first() is None and queue.mark is None and queue.room() == 5
    queue.put([(i, {"E": str(i)}) for i in range(3)], ["int", "7"])
    assert queue.room() == 2 and came == [1]
    first = queue.first()
    assert (first.id, first.time_ms, first.values) == (f"{queue.name}-1", 0, {"E": "0"})
    queue.sent(first)
    queue.put([(i, {"E": str(i)}) for i in range(3, 8)])  # 7 in 5: the two oldest go
    assert queue.counts() == {"waiting": 5, "sent": 1, "refused": 0, "lost": 2}
    assert queue.first().time_ms == 3 and queue.mark == ["int", "7"]
    queue.refused(queue.first(), "422 no")
    queue.close()
    again = Queue(path, keep=5)
    assert again.first().id == f"{queue.name}-5" and again.mark == ["int", "7"]
    assert again.last_refused() == [(f"{queue.name}-4", 3, {"E": "3"}, "422 no")]
    seen = Queue(path, readonly=True)
    assert seen.counts() == {"waiting": 4, "sent": 1, "refused": 1, "lost": 2}
    seen.close()
    again.put([])
    again.close()


def test_a_queue_keeps_the_last_refused_only(tmp_path):
    queue = Queue(tmp_path / "q", keep=10**6)
    queue._db.execute("PRAGMA synchronous=OFF")  # nothing here is about power
    for i in range(KEPT_REFUSED + 5):
        queue.put([(i, {})])
        queue.refused(queue.first(), "no")
    assert queue.counts()["refused"] == KEPT_REFUSED + 5
    assert len(queue.last_refused(10**6)) == KEPT_REFUSED and queue.last_refused(1)[0][1] == KEPT_REFUSED + 4
    queue.close()


def test_what_is_no_queue_is_refused(tmp_path):
    (tmp_path / "q").write_bytes(b"no database at all, but long enough to be looked at" * 30)
    with pytest.raises(BridgeError, match="is no queue"):
        Queue(tmp_path / "q")
    with pytest.raises(BridgeError, match="cannot be opened"):
        Queue(tmp_path / "nowhere" / "q")


def test_a_full_disk_is_told_and_changes_nothing(tmp_path):
    queue = Queue(tmp_path / "q")
    queue.put([(1, {"E": "1"})], "before")
    pages = queue._db.execute("PRAGMA page_count").fetchone()[0]
    queue._db.execute(f"PRAGMA max_page_count={pages}")  # what SQLite says then is what it says of a full disk
    with pytest.raises(OSError, match="database or disk is full"):
        queue.put([(i, {"E": "x" * 5000}) for i in range(50)], "behind")
    assert queue.counts()["waiting"] == 1 and queue.mark == "before"
    queue._db.execute("PRAGMA max_page_count=100000")
    queue.put([(2, {"E": "2"})], "behind")
    assert queue.counts()["waiting"] == 2 and queue.mark == "behind"
    queue.close()


def test_an_endpoint_needs_a_certificate(tmp_path):
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(BridgeError, match="holds no certificate in PEM"):
        Endpoint("https://127.0.0.1/v1/readings", "t", tmp_path / "ca.pem")


# --- values and times ----------------------------------------------------------------------------------------------


def test_floats_are_the_shortest_decimals_that_come_back():
    seeded = random.Random(754)
    for _ in range(3000):
        (value,) = struct.unpack(">d", seeded.randbytes(8))
        if math.isfinite(value) and 1e-30 < abs(value) < 1e50:
            assert decimal.Decimal(decimal_text(value)) == decimal.Decimal(repr(value))
        elif abs(value) > 1e60 or 0 < abs(value) < 1e-60:
            assert decimal_text(value) is None
        (single,) = struct.unpack(">f", seeded.randbytes(4))
        if math.isfinite(single) and abs(single) > 1e-30:
            text = decimal_text(single, single=True)
            assert struct.pack(">f", float(text)) == struct.pack(">f", single)
    assert decimal_text(struct.unpack(">f", struct.pack(">f", 0.1))[0], single=True) == "0.1"
    for value, text in (
        (True, "1"), (False, "0"), (0.1, "0.1"), (-0.0, "0"), (12, "12"), (decimal.Decimal("1.50"), "1.50"),
        ("7.00 ", "7.00"), (float("nan"), None), (float("inf"), None), (None, None), ("", None), ("1,5", None),
        ("abc", None), (b"1", None), (decimal.Decimal("NaN"), None), ([1], None), (2**64, "18446744073709551616"),
        ("１２", None), ("1e9999999", None), ("1e70", None), (10**5000, None), ("1e20", "100000000000000000000"),
    ):  # fmt: skip
        assert decimal_text(value) == text, value


def test_times_need_a_zone_and_a_form():
    east = datetime.timezone(datetime.timedelta(hours=8))
    for value, form, zone, wanted in (
        ("2026-11-21 08:00:00", "iso", 480, 1795219200000), ("2026-11-21T00:00:00Z", "iso", None, 1795219200000),
        ("2026-11-21T08:00:00.9999+08:00", "iso", 0, 1795219200999), ("2026-11-21 08:00:00", "iso", None, None),
        (datetime.datetime(2026, 11, 21, 8), "iso", 480, 1795219200000), ("yesterday", "iso", 480, None),
        (datetime.datetime(2026, 11, 21, 8, tzinfo=east), "iso", None, 1795219200000), (None, "iso", 480, None),
        (datetime.datetime(2026, 11, 21, 8), "iso", None, None), (12, "iso", 480, None),
        (1795219200, "s", None, 1795219200000), ("1795219200.5", "s", None, 1795219200500), (True, "s", None, None),
        (1795219200000, "ms", None, 1795219200000), (-5, "ms", None, None), (99999999999, "ms", None, None),
        ("1601-01-01T00:00:00Z", "iso", None, None), ("x", "ms", None, None),
        (decimal.Decimal("100000000001.9"), "ms", None, 100000000001),
        (datetime.datetime(2026, 1, 1), "ms", None, None), (2**60, "ms", None, None),
    ):  # fmt: skip
        assert milliseconds(value, form, zone) == wanted, value


def test_readings_of_one_time_share_a_message():
    assert messages([]) == []
    assert messages([(1, "a", "1"), (1, "b", None), (1, "a", "2"), (2, "a", "3"), (1, "b", "4")]) == [
        (1, {"a": "1", "b": None}), (1, {"a": "2"}), (2, {"a": "3"}), (1, {"b": "4"}),
    ]  # fmt: skip
    many = messages([(5, f"n{i}", "1") for i in range(2 * MOST_VALUES + 1)])
    assert [len(values) for _, values in many] == [MOST_VALUES, MOST_VALUES, 1]
    name, text = "\u70df" * (LONGEST_NAME - 2), "-" + "9" * (LONGEST_TEXT - 1)
    (longest,) = messages([(1795219200000, f"{name}{i:02}", text) for i in range(MOST_VALUES)])
    assert len(json.dumps(longest, ensure_ascii=False).encode()) < 16384 - 300
