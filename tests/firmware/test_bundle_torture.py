"""A seeded part of `make torture`'s sweep of bundles: real bundles, damaged and forged, never verify."""

import random

import pytest

from carbonterm_host import gm_backends
from tools.torture import _made, bundles


@pytest.mark.slow
@pytest.mark.requirement("T-7.4-2", part="a bundle that was changed, cut, spliced or re-sealed is found out")
def test_no_damaged_bundle_verifies(tmp_path):
    if gm_backends.best() != "openssl":
        pytest.skip("OpenSSL with SM2 is not on this machine")
    made = _made.bundles(tmp_path, 12000)
    rows = bundles.sweep(made, random.Random(4), 131)
    for row in rows:
        print(f"{row['what']}: {row['cases']} cases ({row['note']})")
        assert row["violations"] == 0 and row["cases"] > 0, row
    assert sum(row["cases"] for row in rows) > 2000

    # the sweep's short cut says what the whole verifier says
    book, dice = bundles.Book(made.bundle, bundles.options()), random.Random(5)
    for _ in range(60):
        bit = dice.randrange(8 * len(made.bundle))
        changed = bundles.flipped(made.bundle, bit)
        short, whole = book.raw(book.frame_at(bit // 8), changed), book.report(changed)
        assert whole["ok"] is False and (short is None or short == whole), bit
