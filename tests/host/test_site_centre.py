"""Centres in site.yaml that are reached over a broker, and `platform serve --mqtt`: what is taken, what is refused and
why, with the way out."""

import subprocess

import pytest

import entrance
from carbonterm import cbor, site
from carbonterm.errors import SiteError
from carbonterm_host import site_yaml
from carbonterm_host.commands import platform_mqtt
from carbonterm_host.screen import USAGE, Failure
from serving import run

GOOD = """\
terminal: CT-1
name: plant
zone: "+08:00"
buses:
  - {name: lan, kind: modbus-tcp, host: 127.0.0.1, port: 1502}
meters:
  - {name: m1, bus: lan, unit: 1, model: eastron-sdm630}
points:
  - {name: E1, meter: m1, register: active_energy, every: 10s}
"""

KEY = "ab" * 64
ROW = f'  - {{name: p, url: "mqtts://mq.example", ca: ca.der, public: {KEY}}}\n'


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "ca.der").write_bytes(b"\x30\x82\x01")
    return tmp_path


def text(*rows):
    return GOOD + "centres:\n" + "".join(rows)


def mistakes(whole, folder):
    with pytest.raises(site_yaml.Mistakes) as caught:
        site_yaml.compile_text(whole, "plant.yaml", folder)
    print(caught.value)
    return [(line, what, hint) for _, line, _, what, hint in caught.value.rows]


@pytest.mark.requirement("T-7.3-2", part="a centre behind a broker is configured: address, TLS, login, prefix")
def test_what_is_left_out_has_its_usual_value(folder):
    for row, address, options in (
        (ROW, ("mq.example", 8883), ["carbonterm", None, None, None, 60]),
        (ROW.replace('mq.example"', 'mq.example:443/工厂/1/"'), ("mq.example", 443), ["工厂/1", None, None, None, 60]),
        (ROW.replace("mq.example", "[fd00::7]:8884/a"), ("fd00::7", 8884), ["a", None, None, None, 60]),
        (ROW.replace("}", ", login: mq.login, certificate: own.der, key: own.key, keep_alive: 5s}"),
         ("mq.example", 8883), ["carbonterm", "mq.login", "own.der", "own.key", 5]),
    ):  # fmt: skip
        made = site_yaml.compile_text(text(row), "x", folder)
        again = site.decode(made.canonical()).centres[0]
        assert ((again.host, again.port), list(again.mqtt)) == (address, options)
        assert (again.ca, again.public.hex()) == (b"\x30\x82\x01", KEY)
    both = text(ROW, ROW.replace("name: p", "name: q").replace("mq.example", "mq.example/other"))
    assert [one.mqtt[0] for one in site_yaml.compile_text(both, "x", folder).centres] == ["carbonterm", "other"]


# the text in ROW, what stands there instead, what the refusal says
WRONG = (
    ("mqtts://mq", "mqtt://mq", "over TLS only"), ("mqtts://mq", "tcp://mq", "mqtts://host"),
    ("mqtts://mq.example", "mqtts://", "mqtts://host"), ("mqtts://mq.example", "mq.example:8883", "mqtts://host"),
    ("mq.example", "mq.example:0x1", "mqtts://host"), ("mq.example", "mq.example:65536", "mqtts://host"),
    ("mq.example", "mq.example:-1", "mqtts://host"), ("mq.example", "u:secret@mq.example", "mqtts://host"),
    ("mq.example", "mq.example/a?b=1", "mqtts://host"), ("mq.example", "mq.example/a/#", "mqtts://host"),
    ("mq.example", "mq.example/a/+/b", "no + and #"), ("mq.example", "mq.example/$SYS", "cannot begin a topic"),
    ("mq.example", "mq.example/" + "x" * 65, "64 characters"),
    (", ca: ca.der", "", "ca"), ("ca: ca.der", "ca: none.der", "cannot be read"),
    ("ca: ca.der", "ca: x.pem", "openssl"),
    (KEY, KEY[:-2], "128 hex digits"), (KEY, "xy" * 64, "128 hex digits"),
    ("}", ", login: ../etc/passwd}", "no name of a file"), ("}", ", login: 0000.seg}", "begin with a letter"),
    ("}", ", certificate: own.der}", "go together"), ("}", ", key: own.key}", "go together"),
    ("}", ", certificate: a/b, key: c}", "no name of a file"), ("}", ", keep_alive: 4s}", "5s to 1h"),
    ("}", ", keep_alive: 61min}", "5s to 1h"), ("}", ", keep_alive: 5500ms}", "whole seconds"),
    ("}", ", keep_alive: soon}", "soon"), ("}", ", topic: a}", "topic"), ("}", ", user: u}", "user"),
    ("mqtts://mq.example", 'https://mq.example", login: "l', "no 'login'"),
    ("mqtts://mq.example", 'https://mq.example", keep_alive: "60s', "no 'keep_alive'"),
)  # fmt: skip


@pytest.mark.parametrize("old, new, says", WRONG)
def test_each_mistake_has_its_line_and_the_way_out(folder, old, new, says):
    (folder / "x.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    assert old in ROW
    whole = text(ROW.replace(old, new, 1))
    found = mistakes(whole, folder)
    assert len(found) == 1 and says in found[0][1] + found[0][2], found
    assert found[0][0] == whole.count("\n")  # its last line


def test_two_centres_behind_one_broker_need_two_prefixes(folder):
    second = ROW.replace("name: p", "name: q")
    for other in (second, second.replace("mq.example", "mq.example:8883/carbonterm")):
        found = mistakes(text(ROW, other), folder)
        assert len(found) == 1 and "one broker with one prefix" in found[0][1] and "give each its own" in found[0][2]
    rows = site_yaml.compile_text(text(ROW, second.replace("mq.example", "mq.example:8884")), "x", folder)
    document = cbor.decode(rows.canonical())
    document[9][1][2] = 8883
    with pytest.raises(SiteError, match="one broker with one prefix"):
        site.Site(document)


@pytest.mark.slow
def test_what_serve_does_not_take(tmp_path):
    tls = entrance.certificates(tmp_path / "tls")
    empty, good = tmp_path / "empty", tmp_path / "good"
    empty.write_text("\n")
    good.write_text("platform\nsecret\n")
    broker = "mqtts://127.0.0.1:1"
    for url, options, says in (
        ("mq.example", {}, "mqtts://host:8883"), ("https://mq.example", {}, "is no broker"),
        ("mqtts://mq.example:99999", {}, "--mqtt mqtts://mq.example:99999"), ("mqtts://", {}, "mqtts://host"),
        ("mqtts://mq.example/a/#", {}, "nothing more"), ("mqtts://mq.example/a/+", {}, "no + and #"),
        ("mqtt://mq.example", {}, "without TLS a broker is on this machine only"),
        ("mqtt://127.0.0.1", {"ca": tls["ca.pem"]}, "are of TLS"), (broker, {"ca": good}, "cannot be used"),
        (broker, {"ca": tls["ca.der"]}, "give PEM files"), (broker, {"cert": tls["ca.pem"]}, "go together"),
        (broker, {"key": good}, "go together"), (broker, {"cert": good, "key": good}, "cannot be used"),
        (broker, {"login": empty}, "has no two lines"), ("", {"login": good}, "name it"),
        ("", {"ca": tls["ca.pem"]}, "name it"),
    ):  # fmt: skip
        with pytest.raises(Failure) as caught:
            platform_mqtt.broker(None, url, *[options.get(key) for key in ("ca", "login", "cert", "key")])
        assert caught.value.code == USAGE and says in f"{caught.value}", (url, options)
        print(caught.value)
    assert platform_mqtt.broker(None, "", None, None, None, None) is None
    done = run("platform", "serve", "--store", f"sqlite:///{tmp_path}/p.db", "--mqtt", "mqtt://mq.example")
    assert done.returncode == 2 and "on this machine only" in done.stderr and "write mqtts://" in done.stderr


@pytest.mark.slow
def test_site_check_says_the_line(folder):
    file = folder / "site.yaml"
    file.write_text(text(ROW.replace("mqtts", "mqtt")))
    done = run("site", "check", file)
    assert done.returncode == 1 and f"{file}:{file.read_text().count(chr(10))}:" in done.stderr
    assert "over TLS only" in done.stderr and "mqtts://" in done.stderr
    openssl = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
               "-subj", "/CN=ca", "-keyout", folder / "k", "-outform", "DER", "-out", folder / "ca.der")  # fmt: skip
    subprocess.run(openssl, check=True, capture_output=True)
    file.write_text(text(ROW))
    assert run("site", "check", file).returncode == 0
