"""What the page reads of a form: files with their names, the first of each field, and nothing that is no form."""

import asyncio

import pytest

from carbonterm.errors import CarbonError
from carbonterm.gm import sm3
from carbonterm_device.page import evidence
from carbonterm_device.page.server import Refused, form
from memory_storage import MemoryStorage
from seeded import Random

LINE = b"--a line\r\nContent-Disposition: form-data; name="
BODY = (
    LINE + b'"value"\r\n\r\n12.5\r\n' + LINE + b'"value"\r\n\r\n13\r\n'
    + LINE + '"evidence"; filename="磅单.pdf"\r\nContent-Type: application/pdf\r\n\r\n'.encode()
    + b"%PDF\r\n\r\n\xff\r\n"
    + LINE + b'"evidence"; filename="C:\\a\\b.jpg"\r\n\r\n\r\n' + LINE + b'"other"; filename=""\r\n\r\n\r\n'
    + b"--a line--\r\n"
)  # fmt: skip


class Given:
    form = None

    def __init__(self, body, content_type='multipart/form-data; boundary="a line"'):
        self.body, self.content_type = body, content_type


def test_files_come_with_their_names():
    assert form(Given(BODY)) == {
        "value": "12.5", "evidence": b"%PDF\r\n\r\n\xff", "other": b"",
        "evidence.all": [("磅单.pdf", b"%PDF\r\n\r\n\xff"), ("b.jpg", b"")],
    }  # fmt: skip
    for kind in ("multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "x" * 71):
        with pytest.raises(Refused):
            form(Given(BODY, kind))


def test_bodies_at_random_are_forms_or_refused():
    random, refused = Random(7), 0
    for _ in range(1000):
        body = bytearray(BODY)
        for _ in range(1 + random.below(6)):
            at = random.below(len(body))
            if random.below(3):
                body[at] = random.below(256)
            else:
                del body[at : at + random.below(30)]
        try:
            found = form(Given(bytes(body)))
        except Refused:
            refused += 1
            continue
        for name, value in found.items():
            if name.endswith(".all"):
                assert all(title and len(title) <= 64 and not set("/\\") & set(title) for title, _ in value)
            else:
                assert isinstance(value, (str, bytes))
    assert 0 < refused < 1000


class Digest:
    def __init__(self, digest):
        self.digest = digest


class Storage(MemoryStorage):
    room = 1 << 40
    full = False  # from the second file on

    def free(self):
        return self.room, 1 << 41

    def replace(self, name, data):
        if self.full and self.files:
            raise OSError(28)
        super().replace(name, data)


def test_evidence_is_given_back_as_it_was_or_not_at_all():
    storage, record, data = Storage(), Digest(bytes(range(32))), b"a photograph" * 20
    row = ("照片.jpg", sm3.digest(data), data)
    assert asyncio.run(evidence.digest(data)) == row[1]
    evidence.keep(storage, record, [row])
    ((name, digest),) = evidence.listed(storage, "0001020304050607")
    assert digest == row[1].hex() and asyncio.run(evidence.read(storage, name)) == ("照片.jpg", data)
    random, whole = Random(3), storage.read(name, 0, storage.size(name))
    for _ in range(60):
        broken = bytearray(whole)
        broken[random.below(len(broken))] ^= 1 + random.below(255)
        storage.replace(name, bytes(broken))
        try:
            assert asyncio.run(evidence.read(storage, name))[1] == data  # its name is the record's to tell
        except CarbonError as error:
            assert "is not what was given" in error.what
    with pytest.raises(CarbonError, match="no evidence"):
        asyncio.run(evidence.read(storage, "page.key"))
    evidence.drop(storage, record)
    assert evidence.listed(storage, "0001020304050607") == []
    storage.full = True
    with pytest.raises(CarbonError, match="cannot be stored"):
        evidence.keep(storage, record, [row, ("b", sm3.digest(b"b"), b"b")])
    assert storage.names() == []  # nor the first of them
    storage.room = evidence.SPARE
    with pytest.raises(CarbonError, match="no room"):
        evidence.keep(storage, record, [row])
    evidence.keep(storage, record, [])
