"""`carbonterm platform doctor` on real sockets and files, and trap ports."""

import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import time

import httpx
import pytest

from carbonterm_host.commands import platform_doctor
from carbonterm_host.platform.access import users
from carbonterm_host.platform.keys import make_certificates
from carbonterm_host.platform.store import Store
from serving import Platform, run

PEOPLE = (("otto", "operator"), ("ada", "auditor"), ("alice", "admin"))


def checks(*arguments):
    done = run("platform", "doctor", "--json", *arguments)
    said = json.loads(done.stdout)
    assert done.returncode == (0 if said["ok"] else 1), done.stderr
    return {row["check"]: (row["state"], row["what"]) for row in said["checks"]}


@pytest.mark.slow
@pytest.mark.requirement("P-9.5-1", "P-9.5-2", "P-9.5-4", part="the check of a deployment")
def test_a_platform_that_is_well_set_up_and_one_that_is_not(tmp_path):
    made = make_certificates(tmp_path / "tls")
    backups = tmp_path / "backups"
    backups.mkdir()
    with Platform(tmp_path, "--tls-cert", made["server.pem"], "--tls-key", made["server.key"]) as platform:
        base = ("--store", platform.store, "--url", platform.url, "--ca", made["ca.pem"], "--key", made["server.key"])
        found = checks(*base, "--backup-dir", backups)
        assert found["users"][0] == found["backup"][0] == "finding"  # none, and an empty folder
        store = Store(platform.store)
        for name, role in PEOPLE[:2]:
            users.add(store, name, role, "correct horse battery")
        assert checks(*base)["review by three"] == ("finding", "nobody is admin")
        users.add(store, *PEOPLE[2], "correct horse battery")
        store.close()
        (backups / "one").write_bytes(b"x")
        form = {"name": "ada", "password": "correct horse battery"}
        trusted = ssl.create_default_context(cafile=made["ca.pem"])
        cookie = httpx.post(f"{platform.url}/login", data=form, verify=trusted).headers["set-cookie"].lower()
        assert all(word in cookie for word in ("secure", "httponly", "samesite=strict"))
        found = checks(*base, "--backup-dir", backups)
        firewall = found.pop("firewall")
        assert firewall[0] in ("ok", "unknown", "finding")  # of this machine
        assert {state for state, _ in found.values()} == {"ok"}, found
        assert found["listens on"] == ("ok", "127.0.0.1") and found["TLS"][1].startswith("TLSv1.")
        assert found["access log"][1] == "1 rows, whole"  # that login
        old = time.time() - 3 * 86400
        os.utime(backups / "one", (old, old))
        made["server.key"].chmod(0o644)
        (tmp_path / "platform.db").chmod(0o640)
        found = checks(*base, "--backup-dir", backups)
        assert found["backup"] == ("finding", "the newest is 72 h old")
        assert found["file server.key"][0] == found["file platform.db"][0] == "finding"
        assert checks("--store", platform.store, "--url", platform.url)["TLS"][0] == "finding"  # no CA given
        made = make_certificates(tmp_path / "other")
        assert checks(*base[:4], "--ca", made["ca.pem"])["TLS"][0] == "finding"
        assert checks(*base, "--backup-dir", tmp_path / "none")["backup"][0] == "finding"
    found = checks(*base)
    assert found["listens on"] == ("finding", "nothing listens here")
    assert run("platform", "doctor", *base[:2], "--url", "ftp://x").returncode == 2


@pytest.mark.requirement("P-9.5-1", part="what the doctor says of rules")
def test_rules_of_a_firewall():
    shipped = (platform_doctor.Path(__file__).parents[2] / "docs" / "nftables.conf").read_text(encoding="utf-8")
    assert platform_doctor.firewall(shipped, 8443)[1] == "ok"
    assert platform_doctor.firewall(shipped, 9999)[1] == "finding"
    assert platform_doctor.firewall(shipped.replace("policy drop", "policy accept"), 8443)[1] == "finding"
    assert platform_doctor.firewall("", None)[1] == "finding"


@pytest.mark.requirement("P-9.5-1", part="the shipped rules load, in a network of their own, and the check sees them")
def test_the_shipped_rules_load():
    if not shutil.which("nft") or not shutil.which("unshare"):
        pytest.skip("nft and unshare are not installed here")
    if subprocess.run(["unshare", "-rn", "nft", "list", "ruleset"], capture_output=True).returncode:
        pytest.skip("this system lets nobody make a network of his own")
    script = f"nft -f {platform_doctor.Path(__file__).parents[2] / 'docs/nftables.conf'} && nft list ruleset"
    done = subprocess.run(["unshare", "-rn", "sh", "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert platform_doctor.firewall(done.stdout, 8443)[1] == "ok"


def test_what_listens_here():
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
        assert platform_doctor.listening(port) == ["127.0.0.1"]
        with socket.socket(socket.AF_INET6) as two:
            try:
                two.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                two.bind(("::1", port))
            except OSError:
                return  # a machine without IPv6
            two.listen()
            assert platform_doctor.listening(port) == ["127.0.0.1", "::1"]
    assert platform_doctor.listening(port) == []


@pytest.mark.slow
@pytest.mark.requirement("P-9.5-3", part="a connection to a trap port is an alarm at once")
def test_a_trap(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Platform(tmp_path, "--trap", port) as platform:
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", port)) as line:
                line.settimeout(120)
                with contextlib.suppress(ConnectionResetError):
                    assert line.recv(10) == b""
        end = time.monotonic() + 120
        while not (found := httpx.get(f"{platform.url}/v1/alarms").json()):
            assert time.monotonic() < end
            time.sleep(0.02)
        assert [(row["what"], row["address"]) for row in found] == [(f"connection to trap port {port}", "127.0.0.1")]
        assert "trap port" in httpx.get(platform.url).text
        assert run("platform", "serve", "--store", platform.store, "--trap", port).returncode == 3
