"""A centre in site.yaml: https://host[:port], or mqtts://host[:port][/prefix] of a broker on the way to it."""

from urllib.parse import urlsplit

from carbonterm.errors import CarbonError, UplinkError
from carbonterm.field.names import check_file
from carbonterm.uplink import topics

_PORTS = {"https": 443, "mqtts": 8883, "mqtt": 1883}
_BROKER_KEYS = ("login", "certificate", "key", "keep_alive")


def centre(reader, node):
    """(name, row) of the canonical document; mistakes are noted with the reader of carbonterm_host.site_yaml."""
    keys = reader.table(node, "a centre", ("name", "url", "ca", "public"), _BROKER_KEYS)
    try:
        scheme, host, port, prefix = address(reader.text(keys["url"]))
        if scheme == "mqtt":
            raise UplinkError("a broker is reached over TLS only", "write mqtts:// and the port of its TLS listener")
    except CarbonError as error:
        raise reader.bad(keys["url"], error.what, error.hint) from None
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
        row.append(_broker(reader, keys, prefix))
    else:
        for key in _BROKER_KEYS:
            if key in keys:
                raise reader.bad(keys[key], f"a centre that is reached by HTTPS has no '{key}'",
                                 "it is of a broker's user; leave it out")  # fmt: skip
    return row[0], row


def same_way_twice(reader, node, centres):
    """Notes centres behind one broker with one prefix; centres are rows, None where one is bad."""
    seen = {}
    for item, row in zip(reader.rows(node, "centres"), centres, strict=True):
        if row is not None and len(row) > 5:
            other = seen.setdefault((row[1], row[2], row[5][0]), row[0])
            if other != row[0]:
                what = f"centres '{other}' and '{row[0]}' are behind one broker with one prefix, {row[5][0]}"
                reader.note(item, what, "an answer of one might be taken for the other's; give each its own")


def address(text):
    """(scheme, host, port, what stands behind it) of a centre's url, mqtt:// included; UplinkError where it is none."""
    parts = urlsplit(text)
    try:
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        port = 0
    plain = parts.hostname and port and not parts.username and not [sign for sign in "?#" if sign in text]
    if not plain or (parts.scheme == "https" and parts.path not in ("", "/")):
        raise UplinkError("a centre's url is https://host[:port] or mqtts://host[:port][/prefix] and nothing more")
    prefix = parts.path.strip("/") or topics.PREFIX
    topics.check_prefix(prefix)
    return parts.scheme, parts.hostname, port, prefix


def _broker(reader, keys, prefix):
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
