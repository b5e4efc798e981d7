"""Identifiers of devices in the industrial Internet's system: which texts are some."""

import pytest

from carbonterm.errors import SiteError
from carbonterm.field import identifier
from seeded import Random

GOOD = ("88.118.12345678/M-0001", "86.122.1/x", "88.000.AbC123/a/b?c=1", "88.100.99999999999999999999/" + "z" * 98)
WRONG = (
    ("", "1 to 128"), ("88.118.1/" + "x" * 120, "1 to 128"), (None, "1 to 128"), (88, "1 to 128"),
    ("88.118.1/表", "1 to 128"), ("88.118.1/a b", "1 to 128"), ("88.118.1", "no suffix"), ("88.118.1/", "no suffix"),
    ("/x", "country.industry"), ("88.118/x", "country.industry"), ("88.118.1.2/x", "country.industry"),
    ("1.2.156/x", "country code"), ("99.118.1/x", "country code"), ("088.118.1/x", "country code"),
    ("88.18.1/x", "three digits"), ("88.1a8.1/x", "three digits"), ("88.118./x", "enterprise"),
    ("88.118.1_2/x", "enterprise"), ("88.118.123456789012345678901/x", "enterprise"),
)  # fmt: skip


@pytest.mark.requirement("T-6.3-3", part="the prefix/suffix form")
def test_the_form():
    for text in GOOD:
        assert identifier.check(text) == text
    for text, what in WRONG:
        with pytest.raises(SiteError) as caught:
            identifier.check(text)
        print(caught.value)
        assert what in str(caught.value)
    assert identifier.same("88.118.1/Ab", "88.118.1/aB") and not identifier.same("88.118.1/a", "88.118.1/b")


def test_what_is_changed_at_random_is_taken_or_refused():
    random, taken = Random(5), 0
    for _ in range(2000):
        text = [c for c in GOOD[0]]
        for _ in range(1 + random.below(3)):
            text[random.below(len(text))] = chr(30 + random.below(100))
        try:
            assert identifier.check("".join(text)) == "".join(text)
            taken += 1
        except SiteError:
            pass
    print(taken)
    assert 0 < taken < 2000
