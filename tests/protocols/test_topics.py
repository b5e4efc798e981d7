"""Topics of delivery over a broker: written and read again, whatever a broker brings in; what a site may say of it."""

import pytest

from carbonterm.errors import CarbonError, FrameError
from carbonterm.field import mqtt
from carbonterm.field.names import is_filter, matched
from carbonterm.ledger.entry import is_terminal_id
from carbonterm.uplink import topics
from seeded import Random


def test_what_a_terminal_asks_the_centre_finds_and_answers():
    for prefix in (topics.PREFIX, "a", "plant/co2", "工厂/1", "x" * 64):
        for terminal_id in ("T1", "CT-0001.a", "0" * 32):
            for request in ("00000000", "ffffffff", "r" * topics.MAX_REQUEST):
                up, down = topics.up(prefix, terminal_id, request), topics.down(prefix, terminal_id, request)
                assert topics.asked(prefix, up) == (terminal_id, request)
                assert topics.asked(prefix, down) is None
                assert matched(topics.up(prefix, "+"), up) == terminal_id + "/" + request
                assert matched(topics.down(prefix, terminal_id), down) == request
                assert matched(topics.down(prefix, terminal_id), up) is None
                assert mqtt.parse(mqtt.publish(up, b"x", 1, 1)).topic == up
            state = topics.state(prefix, terminal_id)
            assert topics.asked(prefix, state) is None and not is_filter(state)
            print(up, down, state)
    mqtt.subscribe(1, [(topics.up("carbonterm", "+"), 1), (topics.down("carbonterm", "T1"), 1)])


@pytest.mark.parametrize(
    "topic",
    (
        "", "/", "carbonterm", "carbonterm/", "carbonterm/T1/up", "carbonterm/T1/up/", "carbonterm/T1/up/1/2",
        "carbonterm/T1/down/1", "carbonterm/T1/state", "carbonterm/T1/UP/1", "carbonterm//up/1", "carbonterm/T 1/up/1",
        "carbonterm/-T/up/1", "carbonterm/é/up/1", "carbonterm/" + "T" * 33 + "/up/1",
        "carbonterm/T1/up/" + "1" * (topics.MAX_REQUEST + 1), "/carbonterm/T1/up/1", "Carbonterm/T1/up/1",
        "carbontermT1/up/1", "other/carbonterm/T1/up/1", "carbonterm/T1//1",
    ),
)  # fmt: skip
def test_no_other_topic_is_a_request(topic):
    assert topics.asked("carbonterm", topic) is None


@pytest.mark.slow
def test_fuzz_topics_that_a_broker_brings():
    """Whatever is taken for a request names a terminal and goes back where only this terminal listens."""
    random, taken = Random(41), 0
    parts = ("carbonterm", "plant", "T1", "CT-2", "up", "down", "state", "", "0000000a", "+", "é", "$SYS", "..")
    for _ in range(4000):
        topic = "/".join([random.choice(parts) for _ in range(random.between(1, 6))])
        if random.below(3) == 0:
            topic = "carbonterm/%s/up/%s" % (random.choice(parts), random.choice(parts))
        if random.below(4) == 0:
            at = random.below(len(topic) + 1)
            topic = topic[:at] + chr(random.between(1, 0x2FF)) + topic[at:]
        found = topics.asked("carbonterm", topic)
        if found is None:
            continue
        taken += 1
        assert is_terminal_id(found[0]) and 1 <= len(found[1]) <= topics.MAX_REQUEST and "/" not in found[1]
        assert topics.up("carbonterm", found[0], found[1]) == topic
    print(taken)
    assert 50 < taken < 3000


GOOD = ["carbonterm", None, None, None, 60]


def test_what_a_site_may_say_of_the_way():
    for place, value in ((0, "plant/co2"), (0, "工厂"), (0, "a" * 64), (1, "broker.login"), (4, 5), (4, 3600)):
        fields = list(GOOD)
        fields[place] = value
        assert topics.check_options(fields) is fields
    assert topics.check_options(["c", "l", "own.der", "own.key", 5])


@pytest.mark.parametrize(
    "fields, why",
    [
        (None, "5 fields"), ("carbonterm", "5 fields"), (GOOD[:4], "5 fields"), (GOOD + [1], "5 fields"),
        ({}, "5 fields"), ([None] + GOOD[1:], "is no topic"), ([7] + GOOD[1:], "is no topic"),
        ([""] + GOOD[1:], "is no topic"),
        (["a/#"] + GOOD[1:], "is no topic"), (["+"] + GOOD[1:], "is no topic"), (["a\x00b"] + GOOD[1:], "is no topic"),
        (["/a"] + GOOD[1:], "begin a topic"), (["a/"] + GOOD[1:], "begin a topic"),
        (["$SYS"] + GOOD[1:], "begin a topic"), (["x" * 65] + GOOD[1:], "begin a topic"),
        (["a", "../login", None, None, 60], "is no name of a file"), (["a", 5, None, None, 60], "is no name of a file"),
        (["a", "", None, None, 60], "is no name of a file"), (["a", None, "own.der", None, 60], "go together"),
        (["a", None, None, "own.key", 60], "go together"),
        (["a", None, "0.der", "own.key", 60], "is no name of a file"),
        (GOOD[:4] + [4], "5 to 3600"), (GOOD[:4] + [3601], "5 to 3600"), (GOOD[:4] + [None], "5 to 3600"),
        (GOOD[:4] + ["60"], "5 to 3600"), (GOOD[:4] + [True], "5 to 3600"),
    ],
)  # fmt: skip
def test_what_it_may_not_say(fields, why):
    with pytest.raises(CarbonError, match=why) as caught:
        topics.check_options(fields)
    print(caught.value)


def test_a_head_and_the_payload_after_it_are_the_packet():
    for topic, size, qos, id in (
        ("a", 0, 0, None), ("a/b", 5, 1, 7), ("工厂/1", 300, 1, 65535), ("a", 122, 0, None), ("a", 125, 0, None),
        ("a", 16380, 0, None), ("a", 16381, 0, None), ("carbonterm/T1/up/0000000a", 70000, 1, 9),
    ):  # fmt: skip
        payload = bytes([n & 255 for n in range(size)])
        head = mqtt.publish_head(topic, size, qos, id)
        assert head + payload == mqtt.publish(topic, payload, qos, id)
        found = mqtt.Decoder(1 << 20).feed(head + payload)
        assert [(one.topic, one.payload, one.id) for one in found] == [(topic, payload, id)]
        if size:
            assert mqtt.Decoder(1 << 20).feed(head) == []
        print(len(head), head[:5].hex())
    assert mqtt.publish_head("a", mqtt.MAX_LENGTH - 3)[:5] == b"\x30\xff\xff\xff\x7f"
    for topic, size, qos, id in (
        ("a", mqtt.MAX_LENGTH - 2, 0, None), ("a", -4, 0, None), ("", 1, 0, None), ("a/+", 1, 0, None),
        ("#", 1, 0, None), ("a\x00", 1, 0, None), ("a", 1, 2, 1), ("a", 1, 1, None), ("a", 1, 0, 1), ("a", 1, 1, 0),
        ("a", 1, 1, 65536), (None, 1, 0, None), ("x" * 65536, 1, 0, None),
    ):  # fmt: skip
        with pytest.raises(FrameError) as caught:
            mqtt.publish_head(topic, size, qos, id)
        print(str(caught.value)[:60])
