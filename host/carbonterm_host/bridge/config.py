"""The configuration of a bridge: a YAML file, its mistakes with file, line and the way out.

`read(path, kind)` gives what is in it as plain objects; secrets are in files of their own that nobody else may read.
docs/bridges.md describes the file.
"""

import re
import stat
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import yaml

from carbonterm.errors import CarbonError
from carbonterm_host import yaml_reader

OPCUA, ODBC = "opcua", "odbc"
POLL, SUBSCRIBE = "poll", "subscribe"
MODES = {"sign": "Sign", "encrypt": "SignAndEncrypt"}
POLICIES = ("Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss")
FORMS = ("iso", "s", "ms")
KEEP = 100_000  # messages of a queue
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}")
_ZONE = re.compile(r"([+-])([01]\d):([0-5]\d)")


class BridgeError(CarbonError):
    """A bridge cannot work as it is set up."""


class Unreachable(BridgeError):
    """The system that a bridge reads cannot be reached now."""


def read(path, kind):
    """Options of a configuration file for a bridge of `kind` (OPCUA or ODBC); Mistakes or OSError."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BridgeError(f"{path}: this is no text in UTF-8") from None
    return _Reader(text, str(path), path.parent, "bridge's file", "docs/bridges.md has an example").options(kind)


class _Reader(yaml_reader.Reader):
    def options(self, kind):
        found = SimpleNamespace(kind=kind)
        try:
            top = self.table(self.root, "the file", ("source", "terminal", kind), ("queue", "keep"))
            named = self.text(top["queue"]) if "queue" in top else Path(self.file).stem + ".queue"
            found.queue = self.folder / named
            found.keep = self.integer(top["keep"], 1, 10**8) if "keep" in top else KEEP
            for part, of in (("source", self.word), ("terminal", self.terminal), (kind, getattr(self, kind))):
                try:
                    setattr(found, part, of(top[part]))
                except yaml_reader.Bad:
                    continue  # the other parts may have mistakes too
        except yaml_reader.Bad:
            pass
        self.refuse()
        return found

    # --- kinds of values -------------------------------------------------------------------------------------------

    def word(self, node):
        text = self.text(node)
        if not _NAME.fullmatch(text):
            raise self.bad(node, f"'{text}' is no name", "at most 64 letters, digits, dots, - and _")
        return text

    def seconds(self, node):
        """Seconds of a duration from 100 ms to a day."""
        ms = self.duration(node)
        if not 100 <= ms <= 86_400_000:
            raise self.bad(node, f"'{node.value}' is not between 100ms and 24h")
        return ms / 1000

    def path(self, node, secret=False):
        """Path of a file that is there, relative to this one; a secret one is its owner's alone."""
        path = self.folder / self.text(node)
        if not path.is_file():
            raise self.bad(node, f"{path} is no file")
        if secret and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise self.bad(node, f"{path} can be read by others", f"chmod 600 {path}")
        return path

    def secret(self, node):
        """The one line of a file that only its owner can read."""
        path = self.path(node, secret=True)
        try:
            text = path.read_text(encoding="utf-8").strip()
        except UnicodeDecodeError:
            text = ""
        if not text or not text.isprintable():
            raise self.bad(node, f"{path} must hold one line of text")
        return text

    def values(self, node, what):
        """{name: text} of what is read."""
        if not isinstance(node, yaml.MappingNode) or not node.value:
            raise self.bad(node, f"values must be a table of names and {what}s")
        found = {}
        for key, value in node.value:
            name = self.word(key)
            if name in found:
                raise self.bad(key, f"values has '{name}' twice", "leave one of them out")
            found[name] = self.text(value)
        return found

    # --- parts of the file -----------------------------------------------------------------------------------------

    def terminal(self, node):
        rows = self.table(node, "terminal", ("url", "token_file", "ca"))
        url = self.text(rows["url"])
        try:
            parts = urlsplit(url)
            usable = parts.scheme == "https" and parts.hostname and (parts.port or 443) and not parts.username
        except ValueError:
            usable = False
        if not usable:
            raise self.bad(rows["url"], f"'{url}' is no https:// address", "the token must not go over an open line")
        return SimpleNamespace(url=url, token=self.secret(rows["token_file"]), ca=self.path(rows["ca"]))

    def opcua(self, node):
        rows = self.table(
            node, "opcua", ("endpoint", "security", "values"), ("read", "every", "user", "password_file", "timeout")
        )
        endpoint = self.text(rows["endpoint"])
        if not endpoint.startswith("opc.tcp://") or "@" in endpoint:
            hint = "write opc.tcp://host:port/path, user and password apart"
            raise self.bad(rows["endpoint"], f"'{endpoint}' is no address of an OPC UA server", hint)
        if ("user" in rows) != ("password_file" in rows):
            raise self.bad(node, "user and password_file belong together")
        found = SimpleNamespace(endpoint=endpoint, security=self.security(rows["security"]))
        found.read = self.choice(rows["read"], (POLL, SUBSCRIBE)) if "read" in rows else POLL
        found.every = self.seconds(rows["every"]) if "every" in rows else 10
        found.timeout = self.seconds(rows["timeout"]) if "timeout" in rows else 4
        found.user = self.text(rows["user"]) if "user" in rows else None
        found.password = self.secret(rows["password_file"]) if "password_file" in rows else None
        if found.password and not found.security:
            raise self.bad(rows["password_file"], "a password over an open line", "give security its certificates")
        found.values = self.values(rows["values"], "node")
        return found

    def security(self, node):
        if isinstance(node, yaml.ScalarNode):
            if node.value == "none":
                return None
            raise self.bad(node, "security is a table, or none", "with none, anybody on the way can change values")
        keys = ("policy", "mode", "certificate", "key", "server_certificate")
        rows = self.table(node, "security", keys)
        return SimpleNamespace(
            policy=self.choice(rows["policy"], POLICIES),
            mode=MODES[self.choice(rows["mode"], tuple(MODES))],
            certificate=self.path(rows["certificate"]),
            key=self.path(rows["key"], secret=True),
            server_certificate=self.path(rows["server_certificate"]),
        )

    def odbc(self, node):
        rows = self.table(
            node, "odbc", ("connection", "query", "key", "start", "time"),
            ("password_file", "every", "values", "name", "value", "timeout"),
        )  # fmt: skip
        connection, query = self.text(rows["connection"]), self.text(rows["query"])
        if re.search(r"(?i)(^|;)\s*(PWD|PASSWORD)\s*=", connection):
            raise self.bad(rows["connection"], "a password in the configuration", "put it into password_file")
        if query.count("?") != 1:
            hint = "it is the key of the last row read: … WHERE id > ? ORDER BY id"
            raise self.bad(rows["query"], f"the query has '?' {query.count('?')} times, it has it once", hint)
        wide, long = "values" in rows, "name" in rows and "value" in rows
        if wide == long or ("name" in rows) != ("value" in rows):
            raise self.bad(node, "odbc needs either values (a column each) or name and value (a row each)")
        found = SimpleNamespace(connection=connection, query=query, key=self.text(rows["key"]))
        found.password = self.secret(rows["password_file"]) if "password_file" in rows else None
        found.every = self.seconds(rows["every"]) if "every" in rows else 60
        found.timeout = self.seconds(rows["timeout"]) if "timeout" in rows else 30
        start = self.text(rows["start"])
        whole = rows["start"].tag == "tag:yaml.org,2002:int" and re.fullmatch(r"-?\d{1,18}", start)
        found.start = int(start) if whole else start
        found.time = self.time(rows["time"])
        found.values = self.values(rows["values"], "column") if wide else None
        found.name, found.value = (self.text(rows["name"]), self.text(rows["value"])) if long else (None, None)
        return found

    def time(self, node):
        rows = self.table(node, "time", ("column", "form"), ("zone",))
        found = SimpleNamespace(column=self.text(rows["column"]), form=self.choice(rows["form"], FORMS), zone=None)
        if "zone" in rows:
            zone = _ZONE.fullmatch(self.text(rows["zone"]))
            if not zone:
                raise self.bad(rows["zone"], f"'{rows['zone'].value}' is no zone", 'write it like "+08:00"')
            found.zone = (1 if zone[1] == "+" else -1) * (int(zone[2]) * 60 + int(zone[3]))
        return found
