"""The part of a site document about the terminal's own web page (11.3; docs/page.md).

    page = [address, port, certificate, key, users]     where it listens; files in the data folder

Only a site that has such a part loads this module.
"""

from carbonterm.errors import CarbonError, SiteError
from carbonterm.field import inbound
from carbonterm.site_rows import Row, integer, text


def _file(value):
    try:
        inbound.check_file(value)
    except CarbonError as error:
        raise SiteError(error.what, error.hint)
    return value


class Page(Row):
    """address: 0.0.0.0 is all of the machine's. certificate, key: files with the DER of its TLS; users: who may log in,
    as carbonterm_device.page.users reads it."""

    NAME = "page"

    @staticmethod
    def shape():
        return (
            ("address", text(255)),
            ("port", integer(1, 65535)),
            ("certificate", _file),
            ("key", _file),
            ("users", _file),
        )
