"""A small HTTPS endpoint that behaves as docs/inbound.md says, for tests of what pushes into a terminal; and
certificates of its like (CPython only).

`Inbox(folder)` as a context manager: `url`, `token`, `ca`; `taken`, the messages stored, in order; `seen`, how many
came in all. `answers` is a list of what to do with the next posts: a status, "cut" (end the connection unanswered),
"store and cut" (take it, then end the connection) or None (take it); empty: take what comes.
"""

import datetime
import http.server
import ipaddress
import json
import ssl
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

TOKEN = "a-token-for-tests"


def certificate(folder, name, uri=None, key=None):
    """(certificate, key): files in PEM of a new self-signed certificate for 127.0.0.1 and a URI, of an RSA key if
    there is one. The key's file is its owner's alone."""
    key = key or (rsa.generate_private_key(65537, 2048) if uri else ec.generate_private_key(ec.SECP256R1()))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    others = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    others += [x509.UniformResourceIdentifier(uri)] if uri else []
    now = datetime.datetime.now(datetime.UTC)
    usage = x509.KeyUsage(True, True, True, True, False, True, False, False, False)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName(others), False)
        .add_extension(x509.BasicConstraints(True, 0), True)
        .add_extension(usage, True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    paths = folder / f"{name}.pem", folder / f"{name}.key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].touch(0o600)
    form = serialization.PrivateFormat.PKCS8
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return paths


class Inbox:
    def __init__(self, folder):
        self.token = TOKEN
        self.taken, self.seen, self.answers = [], 0, []
        self._known = {}
        self._some = threading.Condition()
        self.ca, self._key = certificate(folder, "terminal")
        self._port = 0
        self._server = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self._server:
            self.stop()

    def start(self):
        """Listens; on the same port as before, if there was one."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca, self._key)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self._port), _handler(self))
        self._server.daemon_threads = True
        self._server.socket = context.wrap_socket(self._server.socket, True, do_handshake_on_connect=False)
        self._port = self._server.server_port
        self.url = f"https://127.0.0.1:{self._port}/v1/readings"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        self._server = None

    def wait(self, ready, seconds=60):
        """Waits until ready(self)."""
        with self._some:
            assert self._some.wait_for(lambda: ready(self), seconds), (self.seen, self.taken[-3:])

    def values(self, name):
        """The texts of one value, in their order."""
        return [message["values"][name] for message in self.taken if name in message["values"]]

    def post(self, raw, token):
        """(status, object) of a post, or None: no answer."""
        with self._some:
            self.seen += 1
            what = self.answers.pop(0) if self.answers else None
            found = self._post(raw, token) if what in (None, "store and cut") else (what, {"error": "told to"})
            self._some.notify_all()
            return None if what in ("cut", "store and cut") else found

    def _post(self, raw, token):
        if token != self.token:
            return 401, {"error": "wrong token", "hint": "give the right one"}
        message = json.loads(raw)
        assert set(message) == {"source", "id", "time", "values"}, message
        key = message["source"], message["id"]
        if key in self._known:
            return (200, {"result": "known"}) if self._known[key] == raw else (409, {"error": "another content"})
        self._known[key] = raw
        self.taken.append(message)
        return 200, {"result": "stored"}


def _handler(inbox):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body of an answer in one piece

        def do_POST(self):
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            found = inbox.post(raw, self.headers["Authorization"].removeprefix("Bearer "))
            if found is None:
                self.close_connection = True
                return
            body = json.dumps(found[1]).encode()
            self.send_response(found[0])
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler
