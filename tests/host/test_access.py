"""Who may see and do what on the platform: every role at every address, logins, the access log, alarms."""

import contextlib
import json
import random
import sqlite3
import stat
from pathlib import Path

import httpx
import pytest

from carbonterm.errors import AccessError
from carbonterm.gm import sm2
from carbonterm_host.platform.access import audit, guard, labels, users
from carbonterm_host.platform.access.roles import ENDPOINTS, LOCAL, OPEN, RIGHTS, ROLES, SELF, SIGNED, Person, allowed
from carbonterm_host.platform.intake import Intake
from carbonterm_host.platform.store import Store
from carbonterm_host.platform.web import application
from serving import Platform, Source, post, run

PASSWORD = "correct horse battery"
NAMES = {"viewer": "vera", "operator": "otto", "auditor": "ada", "admin": "alice"}


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    """A platform with a user of every role and two terminals, T1 open and T2 labelled."""
    with Platform(tmp_path_factory.mktemp("access")) as started:
        store = Store(started.store)
        for role, name in NAMES.items():
            users.add(store, name, role, PASSWORD)
        labels.put(store, "T2", "recipe of the paint shop")
        store.close()
        for name in ("T1", "T2"):
            source = Source(name, 3)
            started.register(source)
            post(started, name, source.batch())
        started.tokens = {role: token(started, name) for role, name in NAMES.items()}
        yield started


@pytest.fixture
def store(tmp_path):
    opened = Store(f"sqlite:///{tmp_path}/p.db")
    yield opened
    opened.close()


def token(platform, name, password=PASSWORD):
    answer = httpx.post(f"{platform.url}/v1/login", json={"name": name, "password": password})
    assert answer.status_code == 200, answer.text
    return answer.json()["token"]


def ask(platform, role, method, path, **options):
    headers = {"Authorization": "Bearer " + platform.tokens[role]} if role else {}
    return httpx.request(method, platform.url + path, headers={**headers, **options.pop("headers", {})}, **options)


# --- roles ------------------------------------------------------------------------------------------------------------


def routes(tmp_path):
    opened = Store(f"sqlite:///{tmp_path}/r.db")
    app = application(Intake(opened, "c", sm2.Signer(bytes(31) + b"\x01")))
    found = {(method, route.path) for route in app.routes for method in route.methods}
    opened.close()
    return found


def test_every_address_says_who_may_use_it(tmp_path):
    assert set(ENDPOINTS) == routes(tmp_path)
    for needs in ENDPOINTS.values():
        assert needs in (OPEN, SIGNED, SELF) or set(needs) <= set(RIGHTS)
    assert {right for _, rights in ROLES.values() for right in rights} == set(RIGHTS)
    assert not allowed(Person("alice", "admin"), "GET", "/v1/new")


def test_the_page_shows_the_matrix_as_it_is():
    page = (Path(__file__).parents[2] / "docs/access.md").read_text(encoding="utf-8")
    for right, meaning in RIGHTS.items():
        cells = [" ✓ |" if right in rights else " |" for rights in (*(rights for _, rights in ROLES.values()), LOCAL)]
        assert f"| {right} | {meaning} |" + "".join(cells) in page


@pytest.mark.slow
@pytest.mark.requirement("P-9.3-1", "P-9.3-2", "P-9.3-4")
def test_each_role_at_each_address(platform):
    """Whoever has not the right is answered 403, a stranger 401; whoever has it is not, and each is in the log."""
    before = audit_rows(platform)
    matrix = {}
    for method, path in ENDPOINTS:
        needs = ENDPOINTS[method, path]
        if needs in (OPEN, SIGNED) or path == "/logout":
            continue
        for role in (None, *ROLES):
            may = role is not None and (needs == SELF or any(right in ROLES[role][1] for right in needs))
            answer = ask(platform, role, method, path.replace("{terminal_id}", "T1"), content=b"{")
            refused = answer.status_code in (401, 403)
            assert refused is not may, (role, method, path, answer.status_code, answer.text)
            assert may or answer.status_code == (403 if role else 401)
            matrix[role, method, path] = answer.status_code
    rows = audit_rows(platform)[len(before) :]
    assert [row[6] for row in rows] == list(matrix.values())
    assert [row[2] for row in rows] == [NAMES.get(role, "") for role, _, _ in matrix]
    print(len(matrix), "combinations,", sum(code in (401, 403) for code in matrix.values()), "refused")


def audit_rows(platform):
    with sqlite3.connect(platform.store.removeprefix("sqlite:///")) as connection:
        return connection.execute(
            "select seq, kind, who, role, address, what, status from audit where kind='access' order by seq"
        ).fetchall()  # fmt: skip


@pytest.mark.slow
@pytest.mark.requirement("P-9.5-6")
def test_labelled_data_stay_inside(platform):
    for role in ROLES:
        sees = "sensitive" in ROLES[role][1]
        assert (ask(platform, role, "GET", "/v1/terminals/T2").status_code == 200) is sees
        assert ask(platform, role, "GET", "/v1/terminals/T1").status_code == 200
        listed = [row["terminal"] for row in ask(platform, role, "GET", "/v1/terminals").json()]
        page = ask(platform, role, "GET", "/").text
        assert ("T2" in listed) is sees and ("<h2>T2" in page) is sees and "T1" in listed and "<h2>T1" in page
    last = audit_rows(platform)
    refused = [row for row in last if row[5].startswith("GET /v1/terminals/T2") and row[6] == 403]
    assert {row[3] for row in refused} == {"viewer", "operator"}
    answer = ask(platform, "admin", "PUT", "/v1/terminals/T3/label", json={"reason": "secret"})
    assert answer.status_code == 200 and answer.json()["label"] == "secret"
    assert ask(platform, "viewer", "GET", "/v1/terminals/T3").status_code == 403
    assert ask(platform, "admin", "PUT", "/v1/terminals/T3/label", json={"reason": None}).status_code == 200
    assert ask(platform, "viewer", "GET", "/v1/terminals/T3").status_code == 404
    for body in (b"", b"[]", b'{"reason": 5}', b'{"reason": ""}', b'{"other": "x"}', b"[" * 3000, b"x" * 5000):
        assert ask(platform, "admin", "PUT", "/v1/terminals/T3/label", content=body).status_code in (200, 400), body
    assert "T3" not in json.loads(run("platform", "label", "--store", platform.store, "--json").stdout)


@pytest.mark.slow
@pytest.mark.requirement("P-9.5-6", part="export")
def test_an_export_is_a_bundle_that_verifies_and_labelled_data_are_refused(platform, tmp_path):
    given = {}
    for role in ROLES:
        for terminal in ("T1", "T2"):
            answer = ask(platform, role, "GET", f"/v1/terminals/{terminal}/bundle")
            given[role, terminal] = answer.status_code
    may = {role: "export" in rights for role, (_, rights) in ROLES.items()}
    sees = {role: "sensitive" in rights for role, (_, rights) in ROLES.items()}
    assert given == {
        (role, terminal): 200 if may[role] and (terminal == "T1" or sees[role]) else 403
        for role in ROLES for terminal in ("T1", "T2")
    }  # fmt: skip
    assert given["operator", "T1"] == 200 and given["operator", "T2"] == 403
    refused = [row for row in audit_rows(platform) if row[5] == "GET /v1/terminals/T2/bundle" and row[6] == 403]
    assert {row[2] for row in refused} == {"vera", "otto"}
    assert ask(platform, "admin", "GET", "/v1/terminals/none/bundle").status_code == 404
    file = tmp_path / "T1.bundle"
    file.write_bytes(ask(platform, "auditor", "GET", "/v1/terminals/T1/bundle").content)
    said = json.loads(run("verify", file, "--json").stdout)
    assert said["entries"] >= 3
    assert {name: verdict for name, verdict in said["verdicts"].items() if verdict is not True} == {
        "checkpoints": False  # nobody sealed this log
    }, said


@pytest.mark.slow
def test_terminals_need_no_login(platform):
    source = Source("T1", 6)
    assert post(platform, "T1", source.batch())[0] == 200
    assert httpx.get(f"{platform.url}/v1/terminals/T1/registry").status_code == 200
    assert httpx.post(f"{platform.url}/v1/registrations", content=b"x").status_code == 400


# --- logins -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.requirement("P-9.3-2")
def test_log_in_by_the_page(platform):
    with httpx.Client(base_url=platform.url) as browser:
        answer = browser.get("/", headers={"Accept": "text/html"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
        assert "登录" in browser.get("/login").text
        assert browser.post("/login", data={"name": "vera", "password": "wrong"}).status_code == 401
        answer = browser.post("/login", data={"name": "vera", "password": PASSWORD})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=strict" in cookie and "secure" not in cookie  # no TLS here
        page = browser.get("/")
        assert page.status_code == 200 and "vera (viewer)" in page.text and "<h2>T1" in page.text
        assert browser.get("/v1/me").json() == {"name": "vera", "role": "viewer", "rights": ["view"]}
        answer = browser.post("/logout", headers={"Origin": "https://elsewhere.example"})
        assert answer.status_code == 403  # another site's page cannot log anybody out
        answer = browser.post("/logout", headers={"Origin": platform.url})
        kept = browser.cookies.get("carbonterm")
        assert answer.status_code == 303 and kept is None
    token = cookie.split("carbonterm=")[1].split(";")[0]
    assert httpx.get(f"{platform.url}/v1/me", cookies={"carbonterm": token}).status_code == 401


@pytest.mark.slow
def test_tokens_that_are_none(platform):
    for header in ("Bearer", "Bearer x", "Bearer " + "A" * 43, "Basic dXNlcjpwYXNz", "Bearer " + "é" * 30, "B B B"):
        answer = httpx.get(f"{platform.url}/v1/me", headers={"Authorization": header.encode()})
        assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
    for body in (b"", b"[]", b"{}", b'{"name": 1, "password": 2}', b'{"name": "vera"}', b"\xff", b"x" * 9000):
        answer = httpx.post(f"{platform.url}/v1/login", content=body)
        assert answer.status_code == 400, body


@pytest.mark.slow
@pytest.mark.requirement("P-9.3-2", part="mutated tokens and paths")
def test_fuzz_headers_and_paths_open_nothing(platform):
    """Mutated tokens, cookies and paths: never 200 for data, never 5xx."""
    dice, codes = random.Random(93), {}
    good = platform.tokens["admin"]
    paths = ("/v1/users", "/v1/audit", "/v1/terminals/T2", "/v1/terminals/T2/bundle", "/")
    with httpx.Client(base_url=platform.url) as client:
        for _ in range(300):
            at = dice.randrange(len(good))
            token = dice.choice((
                good[:at] + chr(dice.randrange(33, 127)) + good[at + 1 :], good[:at], good + good[at:], good[::-1],
                good.swapcase(), "x", "." * at + "x",
            ))  # fmt: skip
            if token == good:
                continue
            path = dice.choice(paths)
            path = dice.choice((path, "/" + path, path + "/", path + "/..", path.upper(), path + "%00", path + "?x=%f"))
            headers = dice.choice((
                {"Authorization": f"Bearer {token}"}, {"Cookie": f"carbonterm={token}"}, {"Authorization": token},
                {"Cookie": f"x=1; carbonterm={token}; carbonterm={good[:-1]}"}, {},
            ))  # fmt: skip
            status = client.get(path, headers=headers).status_code
            assert status in (401, 303, 307, 404), (path, headers, status)
            codes[status] = codes.get(status, 0) + 1
    print(codes)


@pytest.mark.slow
@pytest.mark.requirement("P-9.3-2", part="a user who is disabled")
def test_a_user_who_is_disabled_is_out_at_once(platform):
    store = Store(platform.store)
    users.add(store, "dora", "viewer", PASSWORD)
    made = token(platform, "dora")
    headers = {"Authorization": f"Bearer {made}"}
    assert httpx.get(f"{platform.url}/v1/me", headers=headers).status_code == 200
    users.disable(store, "dora")
    assert httpx.get(f"{platform.url}/v1/me", headers=headers).status_code == 401
    assert not users.check(store, "dora", PASSWORD)
    with pytest.raises(AccessError, match="disabled"):
        users.open_session(store, "dora")
    users.disable(store, "dora", False)
    assert httpx.get(f"{platform.url}/v1/me", headers=headers).status_code == 401  # the old session has ended
    made = token(platform, "dora")
    users.change_password(store, "dora", "another one here")
    assert httpx.get(f"{platform.url}/v1/me", headers={"Authorization": f"Bearer {made}"}).status_code == 401
    assert users.check(store, "dora", "another one here") and not users.check(store, "dora", PASSWORD)
    store.close()


@pytest.mark.slow
@pytest.mark.requirement("P-9.5-3", part="an alarm after failed logins and after probing, on the page and by command")
def test_failed_logins_and_probes_raise_an_alarm(tmp_path):
    with Platform(tmp_path) as platform:
        store = Store(platform.store)
        users.add(store, "alice", "admin", PASSWORD)
        platform.tokens = {"admin": token(platform, "alice")}
        wrong = [
            httpx.post(f"{platform.url}/v1/login", json={"name": "root", "password": f"guess {n}"}).status_code
            for n in range(guard.FAILURES + 2)
        ]
        assert wrong == [401] * guard.FAILURES + [429, 429]
        answer = httpx.post(f"{platform.url}/v1/login", json={"name": "alice", "password": PASSWORD})
        assert answer.status_code == 429 and 0 < int(answer.headers["retry-after"]) <= 30  # the address waits
        for n in range(guard.PROBES):
            assert httpx.get(f"{platform.url}/admin{n}.php").status_code == 401
        found = ask(platform, "admin", "GET", "/v1/alarms").json()
        assert [(row["what"].split(",")[0], row["status"]) for row in found] == [
            ("probing", guard.PROBES), ("failed logins", guard.FAILURES),
        ]  # fmt: skip
        page = ask(platform, "admin", "GET", "/").text
        assert "告警 Alarms" in page and "admin19.php" in page
        done = run("platform", "alarms", "--store", platform.store, "--json")
        assert done.returncode == 1 and len(json.loads(done.stdout)) == 2
        store.close()


def test_the_counters_are_bounded_and_wait_longer_each_time():
    counter = guard.Counter(3, most=100)
    assert [counter.hit("a", 0) for _ in range(3)] == [0, 0, 3]
    assert counter.wait_ms("a", 0) == guard.FIRST_WAIT_MS and counter.wait_ms("b", 0) == 0
    assert [counter.hit("a", 1) for _ in range(9)] == [0] * 9  # said already
    later = guard.FIRST_WAIT_MS
    assert [counter.hit("a", later) for _ in range(3)] == [0, 0, 3]
    assert counter.wait_ms("a", later) == 2 * guard.FIRST_WAIT_MS
    dice = random.Random(5)
    for n in range(20000):
        counter.hit(dice.randrange(10**9), n)
        assert len(counter) <= 100
    assert counter.hit("quiet", 0) == counter.hit("quiet", 1) == counter.hit("quiet", guard.WINDOW_MS * 2) == 0
    for _ in range(40):
        now = 10**9 + counter.wait_ms("long", 10**9)
        counter.hit("long", now)
        assert counter.wait_ms("long", now) <= guard.LONGEST_WAIT_MS
    room = guard.Room(2)
    assert [room.take(0) for _ in range(4)] == [True, True, False, False]
    assert room.reported() == 2 and room.reported() == 0 and room.take(60_000)


# --- without users ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_without_users_only_the_machine_itself_is_answered(tmp_path):
    with Platform(tmp_path) as platform:
        assert httpx.get(platform.url).status_code == 200
        assert "尚无用户" in httpx.get(platform.url).text
        for headers in (
            {"X-Forwarded-For": "203.0.113.9"}, {"Forwarded": "for=203.0.113.9"}, {"Via": "1.1 proxy"},
            {"Host": "evil.example"}, {"Host": f"evil.example:{platform.port}"},
        ):  # fmt: skip
            answer = httpx.get(f"{platform.url}/v1/terminals", headers=headers)
            assert answer.status_code == 401, headers
            assert "only the machine itself" in answer.json()["error"]
        for method, path in (("PUT", "/v1/terminals/T1/label"), ("GET", "/v1/users")):
            assert httpx.request(method, platform.url + path).status_code == 403
        store = Store(platform.store)
        users.add(store, "alice", "admin", PASSWORD)  # from now on, without a restart
        store.close()
        assert httpx.get(f"{platform.url}/v1/terminals").status_code == 401


# --- the access log ---------------------------------------------------------------------------------------------------


@pytest.mark.requirement("P-9.3-3", "P-9.5-5")
@pytest.mark.requirement("P-4.5-2", part="a log of accesses that shows what was altered")
def test_the_log_shows_what_was_changed(store, tmp_path):
    signer = sm2.Signer(bytes(31) + b"\x07")
    for n in range(10):
        audit.append(store, audit.ACCESS, "vera", "viewer", "192.0.2.1", f"GET /{n}", 200)
    audit.sign_head(store, "centre", signer)
    for n in range(5):
        audit.append(store, audit.ALARM, "", "", "192.0.2.9", f"probing \x00<b>{n}" + "x" * 999, 20)
    assert audit.check(store, signer.public) == (15, [])
    head = audit.head(store)
    assert audit.check(store, signer.public, known=[head]) == (15, [])
    assert audit.check(store, sm2.Signer(bytes(31) + b"\x08").public)[1] == [
        "the head over row 9 of the access log is not signed by this centre"
    ]
    file = tmp_path / "p.db"
    for statement in ("update audit set who='x' where seq=3", "delete from audit", "delete from audit_heads"):
        with contextlib.closing(sqlite3.connect(file)) as connection, pytest.raises(sqlite3.IntegrityError):
            connection.execute(statement)
    for statement, finding in (
        ("update audit set who='otto' where seq=3", "row 3 of the access log is not the one"),
        ("update audit set status=403 where seq=12", "row 12 of the access log is not the one"),
        ("delete from audit where seq=5", "rows 5 to 5"),
        ("delete from audit where seq>7", "ends before row 9"),
        ("delete from audit where seq>12", "ends before row 14"),
        ("update audit_heads set digest=zeroblob(32)", "contradicts a head"),
    ):
        with contextlib.closing(sqlite3.connect(file)) as connection:
            for table in ("audit", "audit_heads"):
                for act in ("update", "delete"):
                    connection.execute(f"drop trigger if exists {table}_no_{act}")
            connection.commit()
            connection.execute("begin")
            saved = list(connection.iterdump())
            connection.execute(statement)
            connection.commit()
        wrong = audit.check(store, signer.public, known=[head])[1]
        assert any(finding in text for text in wrong), (statement, wrong)
        with contextlib.closing(sqlite3.connect(file)) as connection:  # as it was
            rows = [line for line in saved if line.startswith(('INSERT INTO "audit', "INSERT INTO audit"))]
            connection.execute("delete from audit")
            connection.execute("delete from audit_heads")
            for line in rows:
                connection.execute(line)
            connection.commit()
        assert audit.check(store, signer.public, known=[head]) == (15, [])


def test_two_platforms_and_commands_write_one_chain(store):
    other = Store(f"sqlite:///{store.path}")
    import threading

    def write(opened):
        for n in range(50):
            audit.append(opened, audit.ACCESS, "vera", "viewer", "::1", str(n), 200)

    threads = [threading.Thread(target=write, args=(opened,)) for opened in (store, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert audit.check(store) == (100, [])
    assert [row["seq"] for row in audit.rows(store, before=10, limit=3)] == [9, 8, 7]


@pytest.mark.slow
def test_the_audit_command(platform):
    said = json.loads(run("platform", "audit", "--store", platform.store, "--json", "--limit", "2").stdout)
    assert said["ok"] and len(said["last"]) == 2
    known = ("--known", said["head"], "--public", platform.public.hex())
    done = run("platform", "audit", "--store", platform.store, *known)
    assert done.returncode == 0 and "rows, head" in done.stdout
    wrong = said["head"].split(":")[0] + ":" + "00" * 32
    done = run("platform", "audit", "--store", platform.store, "--known", wrong, "--json")
    assert done.returncode == 1 and "contradicts" in json.loads(done.stdout)["findings"][0]
    assert run("platform", "audit", "--store", platform.store, "--known", "x").returncode == 2
    rows = ask(platform, "auditor", "GET", "/v1/audit?limit=5").json()
    assert len(rows) == 5 and rows[0]["seq"] > rows[4]["seq"]
    last = rows[4]["seq"]
    assert ask(platform, "auditor", "GET", f"/v1/audit?before={last}&limit=1").json()[0]["seq"] == last - 1
    for query in ("limit=x", "limit=1001", "before=-1", "limit=٣"):
        assert ask(platform, "auditor", "GET", "/v1/audit?" + query).status_code == 400


# --- users by command -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_user_commands(tmp_path):
    url = f"sqlite:///{tmp_path}/u.db"
    secret = tmp_path / "secret"
    secret.write_text(PASSWORD + "\n")
    for arguments, code, text in (
        (("add", "alice", "--role", "admin", "--password-file", secret), 0, "user add alice as admin"),
        (("add", "alice", "--role", "admin", "--password-file", secret), 1, "already"),
        (("add", "-x", "--role", "admin", "--password-file", secret), 2, ""),
        (("add", "a b", "--role", "admin", "--password-file", secret), 1, "names no user"),
        (("add", "local", "--role", "admin", "--password-file", secret), 1, "names no user"),
        (("add", "bob", "--role", "root", "--password-file", secret), 1, "is no role"),
        (("add", "bob", "--role", "viewer", "--password-file", tmp_path / "none"), 2, "cannot be read"),
        (("add", "bob", "--role", "viewer"), 2, "no terminal to ask"),
        (("passwd", "bob", "--password-file", secret), 1, "no user"),
        (("disable", "alice"), 0, "user disable alice"),
        (("enable", "alice"), 0, "user enable alice"),
        (("disable", "nobody"), 1, "no user"),
        (("token", "nobody"), 1, "no user"),
        (("token", "alice", "--days", "999"), 2, ""),
    ):
        done = run("platform", "user", *arguments, "--store", url)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        assert text in done.stdout + done.stderr
    made = json.loads(run("platform", "user", "token", "alice", "--store", url, "--json").stdout)
    store = Store(url)
    assert users.person(store, made["token"]).role == "admin"
    assert [(row["name"], row["sessions"]) for row in users.listed(store)] == [("alice", 1)]
    kinds = [row["what"] for row in audit.rows(store)]
    store.close()
    assert kinds == ["user token alice, 30 days", "user enable alice", "user disable alice", "user add alice as admin"]
    for arguments in (("user", "list"), ("user", "passwd", "x"), ("audit",), ("alarms",), ("label",), ("quality",),
                      ("doctor",), ("compare", "a:b", "c:d", "--within", "1")):  # fmt: skip
        done = run("platform", *arguments, "--store", f"sqlite:///{tmp_path}/none.db")
        assert done.returncode == 2 and "names no store that is there" in done.stderr, arguments
    assert not (tmp_path / "none.db").exists()
    raw = (tmp_path / "u.db").read_bytes()
    assert PASSWORD.encode() not in raw and made["token"].encode() not in raw
    assert json.loads(run("platform", "roles", "--json").stdout)["rights"]["viewer"] == ["view"]
    assert "审计" in run("platform", "roles").stdout


@pytest.mark.parametrize("password", ["", "short", "aaaaaaaaaaaa", "x" * 201, "vera123456789"])
def test_passwords_that_are_refused(store, password):
    with pytest.raises(AccessError):
        users.add(store, "vera", "viewer", password)
    assert not users.any_user(store)


@pytest.mark.slow
def test_sessions_are_bounded_and_end(store):
    users.add(store, "vera", "viewer", PASSWORD)
    tokens = [users.open_session(store, "vera")[0] for _ in range(users.MAX_SESSIONS + 5)]
    assert users.listed(store)[0]["sessions"] == users.MAX_SESSIONS
    assert users.person(store, tokens[-1]).name == "vera"
    ended, _ = users.open_session(store, "vera", 0)
    assert users.person(store, ended) is None


@pytest.mark.slow
@pytest.mark.requirement("P-4.5-2", part="files of the platform are their owner's alone")
def test_the_store_is_private(tmp_path):
    with Platform(tmp_path) as platform:
        source = Source("T1", 3)
        platform.register(source)
        post(platform, "T1", source.batch())
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("platform.db*")}
    assert set(modes) >= {"platform.db", "platform.db-wal", "platform.db.key"} and set(modes.values()) == {0o600}, modes
