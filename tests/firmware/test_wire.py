"""What somebody on the line between the firmware and the platform sees: TLS records, and nothing of the enterprise."""

import socket
import ssl
import stat

import pytest

from carbonterm.ledger import entry as entries
from carbonterm_host import bundles, site_yaml
from carbonterm_host.commands import pull
from carbonterm_host.firmware import Terminal
from carbonterm_host.platform.keys import make_certificates
from carbonterm_host.platform.store import Store
from carbonterm_host.simulate.site import six_meters
from relay import Relay, records, server_hello
from serving import Platform

ID, SITE, POINT, METER, SOURCE = "CT-WIRE-4711", "保密工厂 Secret works", "Kiln-3-gas", "gas-1", "kiln gas burner"
# what counts as strong today: AEAD with an ephemeral key exchange (RFC 8446, RFC 5289, RFC 7905)
STRONG = {
    0x1301: "TLS_AES_128_GCM_SHA256", 0x1302: "TLS_AES_256_GCM_SHA384", 0x1303: "TLS_CHACHA20_POLY1305_SHA256",
    0xC02B: "ECDHE_ECDSA_AES_128_GCM_SHA256", 0xC02C: "ECDHE_ECDSA_AES_256_GCM_SHA384",
    0xC0AC: "ECDHE_ECDSA_AES_128_CCM", 0xC0AD: "ECDHE_ECDSA_AES_256_CCM",
    0xCCA9: "ECDHE_ECDSA_CHACHA20_POLY1305",
}  # fmt: skip
WINDOW = 12  # bytes of an entry that would give it away


def document(plant, centre, port, certificates):
    bus = next(bus for bus in plant.buses if any(meter.name == METER for meter in bus.meters.values()))
    row, meter = bus.describe(), next(meter for meter in bus.meters.values() if meter.name == METER)
    place = f"host: {row['address']}, port: {row['port']}" if row["kind"] == "modbus-tcp" else (
        f"device: {row['address']}, baud: {row['port']}")  # fmt: skip
    return site_yaml.compile_text(f"""
terminal: {ID}
name: {SITE}
zone: "+08:00"
buses:
  - {{name: line, kind: {row['kind']}, {place}}}
meters:
  - {{name: {METER}, bus: line, unit: {meter.unit}, model: {meter.model['id']}}}
points:
  - {{name: {POINT}, meter: {METER}, register: volume, every: 200ms}}
sources:
  - {{name: {SOURCE}, method: cn-2015-other-industry, source: fuel_combustion,
     parameters: {{FC: [{POINT}], fuel: natural_gas}}}}
centres:
  - {{name: {centre['name']}, url: "https://127.0.0.1:{port}", ca: {certificates['ca.der']},
     public: {centre['public_key']}}}
settings: {{closings: [minute], commit: 50ms}}
""").canonical()


def secrets(log, terminal_public):
    """{what: bytes} that nobody on the line may read."""
    found = {
        "terminal id": ID.encode(), "site": SITE.encode(), "site in Chinese": "保密工厂".encode(),
        "point": POINT.encode(), "source": SOURCE.encode(), "meter": METER.encode(), "key": terminal_public,
        "method": b"cn-2015-other-industry", "address": b"/v1/terminals", "batch": b"carbonterm-batch-1",
        "receipt": b"carbonterm-receipt-1", "checkpoint": b"carbonterm/CT-WIRE",
    }  # fmt: skip
    return {**found, **{f"entry {seq}": raw for seq, (raw, _) in enumerate(log)},
            **{f"fingerprint {seq}": fingerprint for seq, (_, fingerprint) in enumerate(log)}}  # fmt: skip


def windows(data):
    return {data[at : at + WINDOW] for at in range(len(data) - WINDOW + 1)}


def readable(line, hidden, known=b""):
    """Names of what stands in the bytes on the line, whole or (entries) any WINDOW bytes of it that are not `known`."""
    found = [name for name, data in hidden.items() if data in line]
    seen = windows(line) - windows(known)
    for name, data in hidden.items():
        if name.startswith(("entry", "fingerprint")) and windows(data) & seen:
            found.append("part of " + name)
    return found


@pytest.mark.slow
@pytest.mark.requirement("T-7.4-3", part="a capture of the real uplink shows no enterprise data")
@pytest.mark.requirement("P-4.5-2", part="TLS in transit, files of keys and data closed to others")
@pytest.mark.requirement("P-9.5-2")
def test_nothing_of_the_enterprise_can_be_read_on_the_line(tmp_path):
    made = make_certificates(tmp_path / "tls")
    options = ("--tls-cert", made["server.pem"], "--tls-key", made["server.key"])
    with Platform(tmp_path, *options) as platform, six_meters(7, 60, path=str(tmp_path / "line.tty")) as plant:
        with Relay(platform.port) as relay:
            terminal = Terminal(tmp_path / "terminal", heap="4M")
            epoch, public = terminal.key()
            store = Store(platform.store)
            store.register(ID, epoch, public)
            store.close()
            terminal.configure(document(plant, platform.ready, relay.port, made))
            terminal.start()
            try:
                terminal.wait(lambda status: (status["centres"][0]["cursor"] or 0) >= 15)
                assert terminal.stop() == 0
            finally:
                if terminal.process.poll() is None:
                    terminal.kill()
        line = b"".join(map(bytes, relay.sent + relay.answered))
        pull.to_file(terminal.data, tmp_path / "log.bundle")
        log = bundles.read(tmp_path / "log.bundle").entries
        hidden = secrets(log, public)
        plain = b"".join(raw + fingerprint for raw, fingerprint in log)
        assert len(log) >= 15 and {entries.decode(raw).kind for raw, _ in log} >= {entries.CONFIG, entries.READINGS}
        control = readable(plain, hidden)  # the same search finds it all where it does stand in clear
        assert {"terminal id", "site", "point", "source", "entry 3", "part of entry 3"} <= set(control)
        certificate = made["ca.der"].read_bytes()  # in the site document, and its issuer's name in TLS 1.2's handshake
        assert len(line) > len(plain) and readable(line, hidden, certificate) == []
        for sent, answered in zip(relay.sent, relay.answered, strict=True):
            kinds = [kind for kind, _, _ in records(sent) + records(answered)]
            assert set(kinds) <= {20, 21, 22, 23} and 23 in kinds
            version, cipher = server_hello(answered)
            assert version in (0x0303, 0x0304) and cipher in STRONG, hex(cipher)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in terminal.data.iterdir()}
        assert stat.S_IMODE(terminal.data.stat().st_mode) == 0o700 and set(modes.values()) == {0o600}, modes
        print(len(log), "entries,", len(line), "bytes on the line,", hex(version), STRONG[cipher], len(modes), "files")


@pytest.mark.slow
@pytest.mark.requirement("P-9.5-2", part="no TLS before 1.2")
def test_the_platform_speaks_no_old_tls(tmp_path):
    made = make_certificates(tmp_path / "tls")
    with Platform(tmp_path, "--tls-cert", made["server.pem"], "--tls-key", made["server.key"]) as platform:
        context = ssl.create_default_context(cafile=made["ca.pem"])
        with socket.create_connection(("127.0.0.1", platform.port)) as line, context.wrap_socket(
            line, server_hostname="127.0.0.1"
        ) as secure:
            assert secure.version() in ("TLSv1.2", "TLSv1.3")
        for version in (0x0301, 0x0302):  # a hello of TLS 1.0 and 1.1: no version 1.2 in it, and no extension
            hello = version.to_bytes(2, "big") + bytes(32) + b"\x00" + b"\x00\x04\xc0\x0a\xc0\x09" + b"\x01\x00"
            body = b"\x01" + len(hello).to_bytes(3, "big") + hello
            with socket.create_connection(("127.0.0.1", platform.port)) as line:
                line.settimeout(30)
                line.sendall(b"\x16\x03\x01" + len(body).to_bytes(2, "big") + body)
                answer = b""
                while data := line.recv(4096):
                    answer += data
            assert not [kind for kind, _, _ in records(answer) if kind != 21], answer  # an alert or the end, no hello
