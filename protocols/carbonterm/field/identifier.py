"""The unique identity of a device in the national system of identification and resolution for the industrial Internet
(国家工业互联网标识解析体系, 6.3): PREFIX/SUFFIX.

    88.118.12345678/M-0001        prefix: country code 88 (VAA) or 86 (Handle), industry, enterprise, given by a node of
                                  the system; suffix: what the enterprise names the device by
"""

from carbonterm.errors import SiteError, quoted

COUNTRIES = ("86", "88")
MAX_TEXT = 128
_HINT = "write it as the node of the system gave it, like 88.118.12345678/M-0001"


def check(text):
    """The text as it is, if it is such an identifier; SiteError otherwise."""
    if not isinstance(text, str) or not 0 < len(text) <= MAX_TEXT or [c for c in text if not "!" <= c <= "~"]:
        raise SiteError("an identifier has 1 to %d visible ASCII characters and no blank" % MAX_TEXT, _HINT)
    prefix, slash, suffix = text.partition("/")
    if not slash or not suffix:
        raise SiteError("%s has no suffix behind its prefix" % quoted(text), _HINT)
    parts = prefix.split(".")
    if len(parts) != 3:
        raise SiteError("the prefix %s is not country.industry.enterprise" % quoted(prefix), _HINT)
    country, industry, enterprise = parts
    if country not in COUNTRIES:
        raise SiteError("%s begins with no country code of the system, 88 or 86" % quoted(text), _HINT)
    if len(industry) != 3 or not _digits(industry):
        raise SiteError("the industry code %s is not three digits" % quoted(industry), _HINT)
    if not 0 < len(enterprise) <= 20 or not all([_digits(c) or "a" <= c <= "z" for c in enterprise.lower()]):
        raise SiteError("the enterprise code %s is not 1 to 20 letters and digits" % quoted(enterprise), _HINT)
    return text


def same(one, other):
    """Whether two identifiers name one device: resolvers take letters of either case for one."""
    return one.lower() == other.lower()


def _digits(text):
    return all(["0" <= c <= "9" for c in text])
