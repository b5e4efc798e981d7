"""The receipts kept beside a log: what goes in comes out, and what is no receipt is refused by name."""

import pytest

from carbonterm import cbor
from carbonterm.errors import UplinkError
from carbonterm.gm import sm2
from carbonterm.uplink.kept import file_name, keep, read_kept
from carbonterm.uplink.message import Receipt
from memory_storage import MemoryStorage

CENTRE = sm2.Signer(bytes(31) + b"\x08")
OTHER = sm2.Signer(bytes(31) + b"\x09")


def receipt(next_seq=7, epoch=0, signer=CENTRE, name="centre.example"):
    return Receipt.make(name, "T1", epoch, next_seq, bytes(32), 1750000000000, "text", signer.sign)


def test_the_last_one_of_each_centre_and_epoch():
    storage = MemoryStorage()
    assert read_kept(storage) == []
    keep(storage, CENTRE.public, receipt(7))
    keep(storage, CENTRE.public, receipt(9))
    keep(storage, OTHER.public, receipt(8, signer=OTHER, name="other.example"))
    keep(storage, CENTRE.public, receipt(3, 1))
    storage.append("00000-0000000000.seg", b"x")
    rows = [(one.epoch, one.centre, one.next_seq) for _, one in read_kept(storage)]
    assert sorted(rows) == [(0, "centre.example", 9), (0, "other.example", 8), (1, "centre.example", 3)]
    assert all([one.signed_by(public) for public, one in read_kept(storage)])
    print(sorted(storage.names()), rows)


def test_refused_files():
    one = receipt()
    name = file_name(0, CENTRE.public)
    for data in (
        b"", b"\x80", cbor.encode((1, 2, 3)), cbor.encode((CENTRE.public, one.body)), bytes(20000),
        cbor.encode((CENTRE.public, one.body, b"")), cbor.encode((OTHER.public, one.body, one.signature)),
        cbor.encode((CENTRE.public, b"x", one.signature)), cbor.encode(5),
    ):  # fmt: skip
        storage = MemoryStorage()
        storage.replace(name, data)
        with pytest.raises(UplinkError) as caught:
            read_kept(storage)
        print(caught.value)
        assert name in caught.value.what
