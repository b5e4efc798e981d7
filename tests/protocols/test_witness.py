"""The centres' words against a log: kept by centre, and how many of them end the signing."""

from carbonterm_device import witness
from memory_storage import MemoryStorage

WORDS = [("a", "holds more"), ("b\tb", "two\nhistories")]


def test_words_are_kept_by_centre():
    storage = MemoryStorage()
    assert witness.read(storage, 3) == []
    witness.write(storage, 3, WORDS)
    assert storage.names() == ["00003.stopped"]
    assert witness.read(storage, 3) == [("a", "holds more"), ("b\tb", "two histories")]
    assert witness.read(storage, 4) == []
    print(bytes(storage.files["00003.stopped"]))


def test_any_centre_or_more_than_half():
    for rule, against, centres, stops in (
        ("any", [], ["a"], False), ("any", ["a"], ["a"], True), ("any", ["a"], ["a", "b", "c"], True),
        ("any", ["x"], ["a", "b"], False), ("majority", ["a"], ["a"], True), ("majority", ["a"], ["a", "b"], False),
        ("majority", ["a", "b"], ["a", "b"], True), ("majority", ["a", "b"], ["a", "b", "c"], True),
        ("majority", ["a", "x"], ["a", "b", "c"], False), ("majority", [], [], False), ("any", ["a"], [], False),
    ):  # fmt: skip
        why = witness.verdict([(name, "two histories") for name in against], centres, rule)
        assert bool(why) == stops, (rule, against, centres)
        print(rule, why)
