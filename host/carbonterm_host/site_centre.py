"""A centre in site.yaml: https://host[:port], or mqtts://host[:port][/prefix] of a broker on the way to it."""

from urllib.parse import urlsplit

from carbonterm.errors import CarbonError
from carbonterm.field.names import check_file
from carbonterm.uplink import topics

_PORTS = {"https": 443, "mqtts": 8883}
_BROKER_KEYS = ("login", "certificate", "key", "keep_alive")


def centre(reader, node):
    """(name, row) of the canonical document; mistakes are noted with the reader of carbonterm_host.site_yaml."""
    keys = reader.table(node, "a centre", ("name", "url", "ca", "public"), _BROKER_KEYS)
    scheme, host, port, path = _address(reader, keys["url"])
    ca = reader.certificate(keys["ca"])
    try:
        public = bytes.fromhex(reader.text(keys["public"]))
    except ValueError:
        public = b""
    if len(public) != 64:
        hint = "'carbonterm platform serve' prints it"
        raise reader.bad(keys["public"], "a centre's public key is 128 hex digits", hint)
    row = [reader.text(keys["name"]), host, port, ca, public]
    if scheme == "mqtts":
        row.append(_broker(reader, keys, path))
    else:
        for key in _BROKER_KEYS:
            if key in keys:
                raise reader.bad(keys[key], f"a centre that is reached by HTTPS has no '{key}'",
                                 "it is of a broker's user; leave it out")  # fmt: skip
    return row[0], row


def _address(reader, node):
    parts = urlsplit(reader.text(node))
    try:
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        port = 0
    if parts.scheme == "mqtt":
        raise reader.bad(node, "a broker is reached over TLS only", "write mqtts:// and the port of its TLS listener")
    plain = parts.hostname and port and not parts.username and not parts.query and not parts.fragment
    if parts.scheme not in _PORTS or not plain or (parts.scheme == "https" and parts.path not in ("", "/")):
        raise reader.bad(node, "a centre's url is https://host[:port] or mqtts://host[:port][/prefix] and nothing more")
    return parts.scheme, parts.hostname, port, parts.path.strip("/")


def _broker(reader, keys, path):
    prefix = path or topics.PREFIX
    try:
        topics.check_prefix(prefix)
    except CarbonError as error:
        raise reader.bad(keys["url"], error.what, error.hint) from None
    files = []
    for key in _BROKER_KEYS[:3]:
        text = reader.text(keys[key]) if key in keys else None
        if text is not None:
            try:
                check_file(text)
            except CarbonError as error:
                raise reader.bad(keys[key], error.what, error.hint) from None
        files.append(text)
    if (files[1] is None) != (files[2] is None):
        raise reader.bad(keys["certificate" if "certificate" in keys else "key"], "certificate and key go together",
                         "name both files, DER, or none")  # fmt: skip
    keep_alive = 60000 if "keep_alive" not in keys else reader.duration(keys["keep_alive"])
    if not 5000 <= keep_alive <= 3600000 or keep_alive % 1000:
        raise reader.bad(keys["keep_alive"], "keep_alive is 5s to 1h, whole seconds")
    return [prefix, *files, keep_alive // 1000]
