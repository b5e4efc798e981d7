"""Instruments in site.yaml (GB/T clause 11.8): serial number, asset id, place and certificate of a meter.

`read` gives what a meter's row of the canonical document holds of them, `warnings` what is amiss with certificates on a
day. The mistakes themselves are noted with the reader of carbonterm_host.site_yaml.
"""

from carbonterm import clock, units
from carbonterm.errors import CarbonError
from carbonterm.field import identifier as identifiers
from carbonterm.field import identity, models
from carbonterm.gm import sm3
from carbonterm.number import Number
from carbonterm.site_certificate import day_of

KEYS = ("serial", "asset", "place", "certificate", "identifier")
REQUIRED = ("number", "authority", "date", "due", "result")
OPTIONAL = ("uncertainty", "k", "standard", "file")
IDENTIFIER = 21  # place of the identifier in a meter's row, of those that have one
DUE_DAYS = 60  # before a certificate's end that `site check` begins to warn


def read(reader, keys, model):
    """[serial, asset, place, identity, certificate] of a meter; keys: {key: node} of it, model: its loaded model."""
    texts = [_short(reader, keys[key], limit) if key in keys else None for key, limit in _LIMITS]
    certificate = _certificate(reader, keys["certificate"]) if "certificate" in keys else None
    return [*texts, models.identity(model), certificate]


def identifier(reader, keys):
    """What stands at the end of a meter's row: [its unique identifier], [] where it has none."""
    if "identifier" not in keys:
        return []
    try:
        return [identifiers.check(reader.text(keys["identifier"]))]
    except CarbonError as error:
        raise reader.bad(keys["identifier"], error.what, error.hint) from None


_LIMITS = (("serial", 64), ("asset", 64), ("place", 128))
_CERTIFICATE_LIMITS = {"number": 64, "authority": 128, "result": 64, "standard": 200}


def same_serial_twice(reader, node):
    """Notes meters of one model with one serial number; reader.meters are rows and models, None where one is bad."""
    seen = []
    for item, meter in zip(reader.rows(node, "meters"), reader.meters, strict=True):
        if meter is None or meter[0][5] is None:
            continue
        name, model, serial = meter[0][0], meter[0][3], meter[0][5]
        for other, other_model, other_serial in seen:
            if other_model == model and identity.same(other_serial, serial):
                what = f"meters '{other}' and '{name}' have one serial number: {serial}"
                reader.note(item, what, "read both labels again; a meter stands in the list once")
        seen.append((name, model, serial))


def same_identifier_twice(reader, node):
    """Notes meters with one identifier; reader.meters as above."""
    seen = []
    for item, meter in zip(reader.rows(node, "meters"), reader.meters, strict=True):
        if meter is None or len(meter[0]) <= IDENTIFIER:
            continue
        name, text = meter[0][0], meter[0][IDENTIFIER]
        for other, known in seen:
            if identifiers.same(known, text):
                what = f"meters '{other}' and '{name}' have one identifier: {text}"
                reader.note(item, what, "each device has an identity of its own (6.3)")
        seen.append((name, text))


def warnings(plan, now_ms, days=DUE_DAYS):
    """Texts about meters whose certificate is missing, has expired, or is due within `days` of a moment."""
    found = []
    for meter in plan.meters:
        certificate = meter.certificate
        if certificate is None:
            found.append(f"meter '{meter.name}': no certificate is on record; its values are traceable to nothing")
            continue
        left = certificate.days_left(now_ms, plan.zone)
        if left <= 0:
            found.append(f"meter '{meter.name}': certificate {certificate.number} expired on {certificate.due}")
        elif left <= days:
            found.append(f"meter '{meter.name}': certificate {certificate.number} is due on {certificate.due}, "
                         f"in {left} days")  # fmt: skip
        if clock.start(clock.DAY, now_ms, plan.zone) < day_of(certificate.date) * 86400000 - plan.zone * 60000:
            found.append(f"meter '{meter.name}': certificate {certificate.number} is dated {certificate.date}, "
                         "which is still to come")  # fmt: skip
    return found


def _certificate(reader, node):
    keys = reader.table(node, "a certificate", REQUIRED, OPTIONAL)
    text = {key: _short(reader, keys[key], _CERTIFICATE_LIMITS[key]) if key in keys else None
            for key in _CERTIFICATE_LIMITS}  # fmt: skip
    dates = {key: _date(reader, keys[key]) for key in ("date", "due")}
    if day_of(dates["due"]) <= day_of(dates["date"]):
        what = f"the certificate is due on {dates['due']}, which is not after its date {dates['date']}"
        raise reader.bad(keys["due"], what, "due is the first day on which it no longer holds")
    amount, unit = _uncertainty(reader, keys["uncertainty"]) if "uncertainty" in keys else (None, None)
    factor = reader.number(keys["k"]) if "k" in keys else None
    if factor is not None and not factor > 0:
        raise reader.bad(keys["k"], "a coverage factor k is above 0")
    return [
        text["number"], text["authority"], dates["date"], dates["due"], text["result"], amount, unit,
        None if factor is None else [factor.mantissa, factor.exponent], text["standard"],
        _digest(reader, keys["file"]) if "file" in keys else None,
    ]  # fmt: skip


def _short(reader, node, limit):
    value = reader.text(node)
    if len(value) > limit:
        raise reader.bad(node, f"a text of at most {limit} characters is wanted here")
    return value


def _date(reader, node):
    try:
        value = reader.text(node)
        day_of(value)
        return value
    except CarbonError as error:
        raise reader.bad(node, error.what, "write a date like 2026-01-31") from None


def _uncertainty(reader, node):
    """([mantissa, exponent], unit) of a text like "0.2 %"."""
    amount, _, unit = reader.text(node).partition(" ")
    try:
        number = Number(amount)
        units.parse(unit)
        if unit and number > 0:
            return [number.mantissa, number.exponent], unit
    except CarbonError:
        pass
    raise reader.bad(node, f"'{node.value}' is no uncertainty", 'write it with its unit, like "0.2 %" or "0.05 m3/h"')


def _digest(reader, node):
    try:
        return sm3.digest((reader.folder / reader.text(node)).read_bytes())
    except OSError as error:
        what = f"the certificate's file cannot be read: {error.strerror}"
        raise reader.bad(node, what, "name a file beside site.yaml") from None
