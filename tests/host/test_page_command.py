"""`carbonterm page`: users and a certificate that a terminal takes."""

import json
import ssl
import subprocess
import sys

import pytest

from carbonterm import users
from carbonterm.gm import sm3
from carbonterm.gm.pbkdf2 import derive
from commandline import carbonterm


def page(*words, stdin=""):
    return subprocess.run([sys.executable, "-m", "carbonterm_host", "page", *map(str, words)], input=stdin, text=True,
                          capture_output=True, timeout=120)  # fmt: skip


@pytest.mark.slow
def test_users_come_change_and_go(tmp_path):
    done = page("user", "zhang", "administrator", "--to", tmp_path, "--stdin", stdin="a long password\n")
    assert done.returncode == 0, done.stderr
    said = json.loads(page("user", "program", "viewer", "--to", tmp_path, "--token", "--json").stdout)
    file = tmp_path / "page.users"
    assert file.stat().st_mode & 0o777 == 0o600
    found = users.parse(file.read_bytes())
    zhang = found["zhang"]
    assert zhang.verifier == derive(b"a long password", zhang.salt, zhang.count) and zhang.count >= 10000
    assert found["program"].digest == sm3.digest(said["token"].encode())
    assert page("user", "zhang", "viewer", "--to", tmp_path, "--stdin", stdin="another password\n").returncode == 0
    again = users.parse(file.read_bytes())["zhang"]
    assert again.role == "viewer" and again.salt != zhang.salt
    assert page("remove", "zhang", "--to", tmp_path).returncode == 0
    assert list(users.parse(file.read_bytes())) == ["program"]
    assert page("remove", "zhang", "--to", tmp_path).returncode == 1
    for words, stdin in ((("user", "a b", "viewer"), "a long password\n"), (("user", "a", "viewer"), "short\n")):
        done = page(*words, "--to", tmp_path, "--stdin", stdin=stdin)
        assert done.returncode == 2 and "Traceback" not in done.stderr
    victim = tmp_path / "another's"
    victim.write_text("mine")
    (tmp_path / "page.users.new").symlink_to(victim)  # as who has the folder may leave it for root
    assert page("user", "li", "viewer", "--to", tmp_path, "--stdin", stdin="a long password\n").returncode == 0
    assert victim.read_text() == "mine" and not file.is_symlink() and "li" in users.parse(file.read_bytes())
    file.write_text("nonsense\n")
    assert page("user", "a", "viewer", "--to", tmp_path, "--stdin", stdin="a long password\n").returncode == 2


def test_a_certificate(tmp_path):
    (tmp_path / "data").mkdir()
    code, out, err = carbonterm("page", "certificate", "--to", tmp_path / "data", "--host", "192.0.2.5", "--ca",
                                tmp_path / "ca", "--json")  # fmt: skip
    assert code == 0, err
    assert (tmp_path / "data" / "page.key").stat().st_mode & 0o777 == 0o600
    pem = ssl.DER_cert_to_PEM_cert((tmp_path / "data" / "page.crt").read_bytes())
    assert pem.startswith("-----BEGIN CERTIFICATE") and json.loads(out)["ca"].endswith("ca.pem")
    assert not (tmp_path / "ca" / "server.key").exists()
    inside = tmp_path / "data" / "ca"
    assert carbonterm("page", "certificate", "--to", tmp_path / "data", "--host", "x", "--ca", inside)[0] == 2
