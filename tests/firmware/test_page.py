"""The terminal's own page on the real firmware: who gets in, what he may change, what takes effect, what is refused."""

import json
import re

import pytest

import entrance
import runtimes
from carbonterm import site as sites
from carbonterm.accounting.source import CONSTANTS, evaluate_compiled
from carbonterm.ledger import entry as entries
from carbonterm.number import Number
from loopback import free_port
from paged import TOKEN, Plant, meters, port


@pytest.fixture(scope="module")
def simulated():
    with meters() as running:
        yield running


@pytest.fixture
def plant(tmp_path, simulated):
    with Plant(tmp_path, [port(bus) for bus in simulated.buses]) as made:
        yield made


def audits(log, what):
    """[(who, detail)] of the audit entries of a kind."""
    return [(one.body[0], one.body[2]) for one in log if one.kind == entries.AUDIT and one.body[1] == what]


def versions(log):
    """[Site] of the config entries."""
    return [sites.decode(one.body[1]) for one in log if one.kind == entries.CONFIG]


def late(log):
    """[(seq, point, ms)] of readings that a round lies between and the one before: of moments that were left out. On
    a machine that stands still some are; the terminal counts them, and no others may be missing."""
    found, every, seen = [], {}, {}
    for one in log:
        if one.kind == entries.CONFIG:
            every = {at: point.interval_ms for at, point in enumerate(sites.decode(one.body[1]).points)}
        elif one.kind == entries.READINGS:
            for point in {row[0] for row in one.body[0]}:
                moment, interval = seen.get(point, (one.time_ms, every[point]))
                if one.time_ms - moment > max(interval, every[point]):
                    found.append((one.seq, point, one.time_ms - moment))
                seen[point] = one.time_ms, every[point]
    return found


@pytest.mark.slow
def test_who_gets_in(plant):
    client = plant.client()
    for path in ("/", "/emissions", "/configuration", "/configuration/points/0", "/site.bin", "/history"):
        status, _, headers = client.ask("GET", path)
        assert (status, headers["Location"]) == (303, "/login"), path
    assert client.ask("GET", "/api/status")[0] == 401
    assert client.ask("POST", "/draft", {"do": "force"})[0] == 401
    status, _, headers = client.login("zhang")
    assert status == 303
    for word in ("__Host-", "HttpOnly", "Secure", "SameSite=Strict", "Path=/"):
        assert word in headers["Set-Cookie"]
    status, text, headers = client.ask("GET", "/")
    assert status == 200 and "default-src 'none'" in headers["Content-Security-Policy"]
    assert "no-store" in headers["Cache-Control"] and "示范工厂" in text
    before = client.inputs("/configuration/points/0")
    for words in ({}, {"token": "0" * 48}):  # another page's form
        status, _, _ = client.ask("POST", "/configuration/points/0", {**before, "interval_ms": "2000", **words})
        assert status == 403
    assert client.inputs("/configuration/points/0") == before
    cookie = client.cookie
    assert client.post("/logout")[0] == 303
    client.cookie = cookie
    assert client.ask("GET", "/")[0] == 303  # the session is over, not only the cookie gone
    viewer, operator = plant.client("li"), plant.client("wang")
    assert viewer.ask("GET", "/emissions")[0] == 200
    for one, path in ((viewer, "/configuration"), (viewer, "/manual"), (operator, "/configuration/points")):
        status, text, _ = one.ask("GET", path)
        assert status == 403 and "拒绝" in text
    assert operator.ask("GET", "/manual")[0] == 200
    assert operator.post("/draft", do="force")[0] == 403
    file = plant.terminal.data / "page.users"
    file.write_text(file.read_text().replace("wang operator", "wang viewer").replace("li viewer", "lu viewer"))
    assert operator.ask("GET", "/manual")[0] == viewer.ask("GET", "/")[0] == 303  # who was removed, or may do less
    assert viewer.ask("GET", "/api/status")[0] == 401
    plant.terminal.stop()
    said = audits(plant.log(), "page")
    assert [(who, detail.split(" from")[0]) for who, detail in said] == [
        ("zhang", "logged in as administrator"), ("zhang", "logged out"), ("li", "logged in as viewer"),
        ("wang", "logged in as operator"),
    ]  # fmt: skip


def must_wait(client, name):
    """Whether a name that has had its wrong passwords is told to wait. The first wait is 2 s: where a busy machine has
    slept through it, wrong passwords come again."""
    for _ in range(10):
        status, text, _ = client.login(name)
        if "请稍候" in text:
            return True
        for _ in range(5 if status == 303 else 0):
            client.login(name, "wrong")
    return False


@pytest.mark.slow
def test_wrong_passwords_cost_time(plant):
    client = plant.client()
    for _ in range(5):
        status, text, headers = client.login("zhang", "wrong")
        assert status == 403 and "密码错误" in text and headers["Set-Cookie"] is None
    assert must_wait(client, "zhang")  # with the right one as well
    for name in ("nobody", "x" * 40, "", "<b>", "nobody-2"):
        assert client.login(name, "x")[0] == 403
    assert must_wait(client, "nobody-3")  # whom nobody knows waits with all of them
    assert plant.client("li")
    entrance.wait(lambda: client.login("zhang")[0] == 303)
    plant.terminal.stop()
    said = [detail for who, detail in audits(plant.log(), "page") if who == "page"]
    assert len([one for one in said if "'zhang'" in one]) >= 5 and all("127.0.0.1" in one for one in said)


@pytest.mark.slow
@pytest.mark.requirement("T-10.6.3-2", "T-11.2-1")
@pytest.mark.requirement("T-11.3-14", part="64 and 32 bits: a point's protocol parameters changed, wrong ones refused")
@pytest.mark.parametrize("runtime", ("micropython", "micropython32", "cpython"))
def test_a_change_and_the_way_back(tmp_path, simulated, runtime):
    try:
        binary = runtimes.command(runtime)[0][0]
    except runtimes.Unavailable as why:
        pytest.skip(str(why))
    with Plant(tmp_path, [port(bus) for bus in simulated.buses], binary) as plant:
        terminal, client = plant.terminal, plant.client("zhang")
        terminal.wait(lambda status: status["readings"] > 6)
        path = client.row("points", "E1")
        assert client.edit(path, interval_ms="50") == (422, {"interval_ms": "must be an integer from 100 to 86400000"})
        assert "没有修改" in client.get("/draft")
        assert client.edit(path, interval_ms="1000")[0] == 303
        assert "interval_ms 500 → 1000" in client.get("/draft")
        assert client.force("half as often")[0] == 303
        assert client.inputs(path)["interval_ms"] == "1000"
        seen = terminal.status()["readings"]
        terminal.wait(lambda status: status["readings"] > seen + 9)
        before = terminal.status()
        terminal.kill()  # what was put in force stays so
        terminal.start()
        terminal.wait(lambda status: status["entries"] > 2)
        client = plant.client("zhang")
        assert client.inputs(path)["interval_ms"] == "1000"
        name = re.findall(r'name="name" value="(site-0000000001[^"]*)"', client.get("/history"))[0]
        assert client.post("/history", name=name)[0] == 303
        assert "interval_ms 1000 → 500" in client.get("/draft")
        assert client.force("back")[0] == 303
        seen = terminal.status()["readings"]
        terminal.wait(lambda status: status["readings"] > seen + 9)
        assert terminal.stop() == 0
        log = plant.log()
    found = versions(log)
    assert [(one.version, one.points[0].interval_ms) for one in found] == [(1, 500), (2, 1000), (3, 500)]
    assert found[2].points[0].canonical() == found[0].points[0].canonical()
    assert audits(log, "configuration")[1::2] == [("zhang", "version 2: half as often"), ("zhang", "version 3: back")]
    assert ("site document", "point 'E1': interval_ms 500 → 1000") in audits(log, "instrument")
    starts = [one.seq for one in log if one.kind == entries.START]
    assert len(starts) == 2
    missing = [row for row in late(log) if row[0] < min(starts[1], before["entries"])]
    assert len(missing) <= sum([bus["late"] for bus in before["buses"]]), missing


WRONG = (
    ("buses", "lan", "port", "0"), ("buses", "lan", "port", "70000"), ("buses", "lan", "port", "five"),
    ("buses", "lan", "kind", "telnet"), ("buses", "lan", "timeout_ms", "1"), ("buses", "lan", "retries", "99"),
    ("buses", "lan", "address", ""), ("buses", "lan", "name", ""), ("buses", "lan", "name", "gas"),
    ("buses", "lan", "kind", "https"),
    ("meters", "M1", "unit", "256"), ("meters", "M1", "unit", "x"), ("meters", "M1", "bus", "nowhere"),
    ("meters", "M1", "protocol", "dlt645-2007"), ("meters", "M1", "baud", "1"), ("meters", "M1", "most", "126"),
    ("points", "E1", "interval_ms", "99"), ("points", "E1", "function", "5"), ("points", "E1", "address", "65536"),
    ("points", "E1", "type", "float128"), ("points", "E1", "order", "AB"), ("points", "E1", "scale", "1,5"),
    ("points", "E1", "unit", "kWhh"), ("points", "E1", "limit", "much"), ("points", "E1", "modulus", "1e999"),
    ("points", "E1", "meter", "G2"), ("points", "E1", "name", "x" * 65), ("points", "E1", "kind", "sum"),
    ("points", "E1", "kind", "instant"),
    ("virtual", "一车间", "parts", "E9"), ("virtual", "一车间", "parts", "E1 × 0"),
    ("virtual", "一车间", "parts", "E1 × a/b"),
    ("virtual", "一车间", "parts", ""), ("virtual", "一车间", "parts", "一车间"),
    ("virtual", "一车间", "op", "quotient"),
    ("virtual", "一车间", "unit", "apples"),
    ("sources", "外购电力", "formula.0", "AD*EF*X"), ("sources", "外购电力", "formula.0", "AD**"),
    ("sources", "外购电力", "formula.0", "AD*EF*EF"), ("sources", "外购电力", "formula.0", "AD+EF"),
    ("sources", "外购电力", "formula.0", "AD*EF+1"), ("sources", "外购电力", "formula.0", "AD/0x10"),
    ("sources", "外购电力", "factor.0", "a lot"),
    ("sources", "外购电力", "origin.0", ""), ("sources", "外购电力", "feed.0", ""),
    ("sources", "外购电力", "feed.0", "V1"),
    ("sources", "外购电力", "feed.0", "一车间\n一车间"), ("sources", "外购电力", "feed.0", "一车间\nE1"),
    ("nodes", "进线", "meters", "M9"), ("nodes", "进线", "gap", "there is one"), ("nodes", "进线", "class_", "roof"),
    ("settings", None, "closings", "week"), ("settings", None, "commit_ms", "1"),
    ("page", None, "port", "99999"), ("page", None, "users", "../etc/passwd"), ("page", None, "certificate", "0.key"),
    ("head", None, "zone", "Beijing"), ("head", None, "name", ""), ("calendar", None, "holidays", "2026-02-30"),
    ("calendar", None, "holidays", "soon"),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.requirement("T-11.3-14", part="values that cannot be are refused beside their field, and nothing changes")
def test_wrong_values_are_refused_beside_their_field(plant):
    client = plant.client("zhang")
    before = client.ask("GET", "/site.bin")[1]
    paths = {}
    for part, row, field, text in WRONG:
        if (part, row) not in paths:
            paths[part, row] = client.row(part, row) if row else f"/configuration/{part}/0"
        status, wrong = client.edit(paths[part, row], **{field: text})
        assert status == 422 and wrong, (part, row, field, text)
        # of a row that would not fit the others, the field is not always one
        assert field in wrong or "" in wrong or field in ("kind", "protocol", "origin.0"), (field, text, wrong)
    for part, row in (("buses", "lan"), ("meters", "M1"), ("points", "E1"), ("virtual", "一车间")):
        path = client.row(part, row)
        status, text, _ = client.post(path, do="remove")
        assert status == 422 and "another row names it" in text, (part, row)
    assert "没有修改" in client.get("/draft") and client.ask("GET", "/site.bin")[1] == before
    for path in ("/configuration/points/99", "/configuration/points/-1", "/configuration/nothing",
                 "/configuration/a/b/c", "/configuration/sources/new", "/configuration/settings/new"):  # fmt: skip
        assert client.ask("GET", path)[0] == 404, path


@pytest.mark.slow
@pytest.mark.requirement("T-10.6.3-3")
def test_formulas_take_effect(plant):
    client, terminal = plant.client("zhang"), plant.terminal
    terminal.wait(lambda status: status["readings"] > 6)
    source = client.row("sources", "外购电力")
    assert client.inputs(source)["formula.0"] == "AD*EF"
    assert client.edit(source, **{"factor.0": "0.5366", "origin.0": "2023 年全国电网"})[0] == 303
    assert client.edit(source, **{"formula.0": "AD*EF*0.5", "feed.0": "一车间\n二车间"})[0] == 303
    assert client.edit(client.row("virtual", "二车间"), parts="E1 × 3/10")[0] == 303
    assert client.edit(client.row("virtual", "一车间"), parts="E1 × 7/10")[0] == 303
    assert client.force("a factor of another year")[0] == 303
    seen = terminal.status()["readings"]
    terminal.wait(lambda status: status["readings"] > seen + 9)
    terminal.stop()
    log = plant.log()
    before, after = versions(log)
    assert after.sources[0].compiled[1][0] == "site:" + before.sources[0].compiled[1][0]
    constant, was = after.sources[0].compiled[CONSTANTS][0], before.sources[0].compiled[CONSTANTS][0]
    assert constant[:2] == was[:2] and Number(constant[3], constant[2]) == Number("0.5366")
    assert constant[4][1] == "2023 年全国电网"
    assert evaluate_compiled(after.sources[0].compiled, {"AD": 10}) == Number("2.683").ratio()
    told = [detail for _, detail in audits(log, "method")]
    assert len(told) == 2 and "外购电力" in told[1]


@pytest.mark.slow
@pytest.mark.requirement("T-10.6.3-1")
def test_network_attributes_take_effect(plant, simulated):
    client, terminal = plant.client("zhang"), plant.terminal
    terminal.wait(lambda status: status["readings"] > 6)
    bus = client.row("buses", "lan")
    assert client.edit(bus, port=str(port(simulated.buses[2])), name="other")[0] == 303
    assert client.force("another gateway")[0] == 303
    assert client.inputs(client.row("meters", "M1"))["bus"] == "other"  # who names it names it so
    assert f"127.0.0.1:{port(simulated.buses[2])}" in client.get("/")
    asked = terminal.status()["buses"][0]["requests"]
    terminal.wait(lambda status: status["buses"][0]["replies"] > asked + 3)
    moved = free_port()
    assert client.edit("/configuration/page/0", port=str(moved))[0] == 303
    assert client.force("the page moves")[0] == 303
    client.port = plant.page = moved
    assert "CT-PAGE-1" in client.get("/")
    # where it cannot listen, it stays where it was, and says so
    assert client.edit("/configuration/page/0", address="192.0.2.7")[0] == 303
    assert client.force("nowhere")[0] == 303
    entrance.wait(lambda: "192.0.2.7" in client.get("/"))
    assert client.edit("/configuration/page/0", address="127.0.0.1")[0] == 303
    assert client.force("back here")[0] == 303
    terminal.stop()
    assert [one.version for one in versions(plant.log())] == [1, 2, 3, 4, 5]


@pytest.mark.slow
def test_rows_come_and_go(plant, simulated):
    client, terminal = plant.client("zhang"), plant.terminal
    words = {"name": "third", "kind": "modbus-tcp", "address": "127.0.0.1", "port": str(port(simulated.buses[2])),
             "parity": "none", "stop": "1", "timeout_ms": "20000", "retries": "0", "gap_ms": "0"}  # fmt: skip
    assert client.post("/configuration/buses/new", **words)[0] == 303
    meter = client.inputs(client.row("meters", "M1"))
    assert client.post("/configuration/meters/new", **{**meter, "name": "M3"})[0] == 422  # two with one address
    assert client.post("/configuration/meters/new", **{**meter, "name": "M3", "bus": "third"})[0] == 303
    point = client.inputs(client.row("points", "E1"))
    assert client.post("/configuration/points/new", **{**point, "name": "E3", "meter": "M3"})[0] == 303
    assert client.force("a third meter")[0] == 303
    terminal.wait(lambda status: len(status["buses"]) == 3 and status["buses"][2]["replies"] > 2)
    assert client.post(client.row("points", "V1"), do="remove")[0] == 303
    assert client.post(client.row("meters", "G1"), do="remove")[0] == 303
    assert client.post(client.row("buses", "gas"), do="remove")[0] == 303
    assert client.force("no gas any more")[0] == 303
    asked = terminal.status()["buses"][1]["replies"]
    terminal.wait(lambda status: len(status["buses"]) == 2 and status["buses"][1]["replies"] > asked + 2)
    terminal.stop()
    log = plant.log()
    first, second, third = versions(log)
    assert [one.name for one in third.points] == ["E1", "E3"] and third.points[1].meter == 1
    assert [one.name for one in third.all_points] == ["E1", "E3", "一车间", "二车间"]
    assert third.sources[0].inputs[0].points[0][0] == 2 == first.sources[0].inputs[0].points[0][0]
    assert second.sources[0].inputs[0].points[0][0] == 3
    missing = [row for row in late(log) if row[1] == 0]  # of a bus that nothing was changed of
    assert len(missing) <= terminal.status()["buses"][0]["late"], missing


@pytest.mark.slow
def test_a_whole_document_and_what_came_between(plant):
    client, other = plant.client("zhang"), plant.client("zhang")
    status, document, headers = client.ask("GET", "/site.bin")
    assert status == 200 and "attachment" in headers["Content-Disposition"]
    site = sites.decode(document)

    def upload(data):
        body = b'--x\r\nContent-Disposition: form-data; name="token"\r\n\r\n' + client.token().encode()
        body += b'\r\n--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        body += data + b"\r\n--x--\r\n"
        return client.ask("POST", "/upload", body, **{"Content-Type": "multipart/form-data; boundary=x"})

    site.name, site._bytes = "新厂 <b>&", None
    assert upload(site.canonical())[0] == 303
    assert "示范工厂 → 新厂 &lt;b&gt;&amp;" in client.get("/draft")
    assert other.edit("/configuration/head/0", name="别的名字")[0] == 303
    assert client.force("uploaded")[0] == 303
    status, text = other.force("too late")
    assert status == 409 and "version 2" in text
    assert other.post("/draft", do="discard")[0] == 303
    assert "新厂 &lt;b&gt;&amp;" in other.get("/")
    site.terminal_id = "CT-OTHER"
    assert upload(site.canonical())[0] == 400
    for data in (b"", b"\xff" * 100, document[:-1], document + b"\x00"):
        assert upload(data)[0] == 400
    assert upload(bytes(400000))[0] == 413
    plant.terminal.stop()
    assert [(one.version, one.name) for one in versions(plant.log())] == [(1, "示范工厂"), (2, "新厂 <b>&")]


@pytest.mark.slow
@pytest.mark.requirement("T-10.1a-4", part="status and emission pages on the terminal's own page")
@pytest.mark.requirement("T-10.1b-5", "T-10.6.1-1", part="the page shows device, links, points, faults and codes")
@pytest.mark.requirement("T-10.6.2-1", "T-10.6.2-2", "T-10.6.2-3", "T-10.6.2-4", "T-10.6.2-5",
                         part="on the page, and as JSON for a program with a token")  # fmt: skip
def test_what_it_shows(plant, simulated):
    client, terminal = plant.client("li"), plant.terminal
    terminal.wait(lambda status: status["readings"] > 8)
    text = client.get("/")
    for word in ("E1", "V1", "kWh", "lan", "gas", "好 good"):
        assert word in text
    # the readings may all have been the other meter's so far
    text = entrance.wait(lambda: re.search(r"\d\.\d{6}\*", said := client.get("/emissions")) and said)
    assert "外购电力" in text
    entrance.wait(lambda: "正在读取" not in client.get("/emissions"))
    text = client.get("/system")
    for word in ("处理器", "内存", "micropython", "lan", "running", "错误日志"):
        assert word in text, word
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic x"}):
        assert plant.client().ask("GET", "/api/health", **headers)[0] == 401
    for name in ("status", "health", "tasks", "errors", "faults"):
        status, said, _ = plant.client().ask("GET", "/api/" + name, Authorization="Bearer " + TOKEN)
        assert status == 200 and isinstance(json.loads(said), (dict, list)), name
    assert plant.client().ask("GET", "/api/nothing", Authorization="Bearer " + TOKEN)[0] == 404
    admin = plant.client("zhang")
    assert admin.edit(admin.row("buses", "gas"), port=str(free_port()))[0] == 303
    assert admin.force("nobody is there")[0] == 303
    text = entrance.wait(lambda: (said := client.get("/")) and "F105" in said and said)
    assert "gas" in text and "告警" in text
    assert "F105" in client.get("/system")
