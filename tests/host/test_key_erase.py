"""A private key is overwritten where it stands before its name goes."""

import os

import pytest

from carbonterm_device import keys
from carbonterm_device.storage import Folder


@pytest.mark.requirement("T-7.4-2", part="a key that is over leaves no bytes")
def test_the_bytes_are_gone_with_the_name(tmp_path):
    folder = Folder(str(tmp_path / "data"))
    keys.store(folder, 3, b"k" * 32)
    other = tmp_path / "the same bytes on the disk"
    os.link(tmp_path / "data" / keys.name(3), other)
    assert other.read_bytes() == b"k" * 32
    keys.erase(folder, 3)
    assert other.read_bytes() == bytes(32) and keys.epochs(folder) == []
    keys.erase(folder, 3)  # once more is no error
