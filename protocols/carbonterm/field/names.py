"""Names in the site document and on the wire: topics and filters of MQTT 3.1.1 (4.7), files of the data folder."""

from carbonterm.errors import FrameError, quoted

_FILE = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
CODE = _FILE[:62]


def check_file(name):
    """FrameError unless it can be the name of a file beside the log's, whose names begin with digits."""
    good = isinstance(name, str) and 1 <= len(name) <= 64 and all([c in _FILE for c in name])
    if not good or name[0] in "0123456789.-_" or name == "pull.note":
        raise FrameError("%s is no name of a file in the data folder" % quoted(str(name)),
                         "begin with a letter; use letters, digits, . - _")  # fmt: skip


def check_topic(text):
    """FrameError unless `text` can be the topic of a message of MQTT: 1 to 65535 bytes, no + and #, no NUL (4.7)."""
    good = isinstance(text, str) and 0 < len(text.encode()) <= 0xFFFF
    if not good or [c for c in text if c in "+#\x00"]:
        raise FrameError("%s is no topic" % quoted(str(text)), "a topic has at least one character, and no + and #")


def check_filter(text):
    """FrameError unless `text` can be subscribed to: a topic of which a level may be +, and the last one # (4.7.1)."""
    levels = text.split("/") if isinstance(text, str) else ["#", ""]
    last = len(levels) - 1
    plain = [level for i, level in enumerate(levels) if level != "+" and (level, i) != ("#", last)]
    if [level for level in plain if "+" in level or "#" in level]:
        raise FrameError("%s is no topic and no filter" % quoted(str(text)), "+ is a whole level, # the whole end")
    check_topic(text.replace("+", "x").replace("#", "x"))


def is_filter(text):
    """Whether a topic has + or #, and so stands for several."""
    return "+" in text or "#" in text


def matched(pattern, topic):
    """What + and # of a filter stand for in a topic, joined by /; None where the topic is none of its."""
    wanted, levels, found = pattern.split("/"), topic.split("/"), []
    if topic[:1] == "$" and wanted[0] in ("+", "#"):
        return None  # 4.7.2: the broker's own
    for i in range(len(wanted)):
        if wanted[i] == "#":
            return "/".join(found + levels[i:])
        if i >= len(levels) or wanted[i] not in ("+", levels[i]):
            return None
        if wanted[i] == "+":
            found.append(levels[i])
    return "/".join(found) if len(levels) == len(wanted) else None


def overlap(one, other):
    """Whether two filters have a topic in common."""
    a, b = one.split("/"), other.split("/")
    for i in range(max(len(a), len(b))):
        left, right = (a[i] if i < len(a) else None), (b[i] if i < len(b) else None)
        if left == "#" or right == "#":
            return True
        if left is None or right is None or (left != right and "+" not in (left, right)):
            return False
    return True
