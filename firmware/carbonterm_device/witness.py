"""What centres' signed words say against the log being written, and when it is enough to stop signing (docs/keys.md).

A centre that holds entries of this epoch which the log has not, or another root over those it has, has seen another
history: the log was set back, or copied. It may also lie. So its words are kept by centre, and the site document says
whether any centre stops the terminal or more than half of them; a centre that is no longer in it has no say.
"""

ANY, MAJORITY = "any", "majority"


def file_name(epoch):
    """File of the words against an epoch: a line for each centre, its name, a tab, what it says."""
    return "%05d.stopped" % epoch


def read(storage, epoch):
    """[(centre's name, reason)] of the data folder."""
    name = file_name(epoch)
    if name not in storage.names():
        return []
    rows = [line.split("\t") for line in storage.read(name, 0, 20000).decode().split("\n") if line]
    return [("\t".join(row[:-1]), row[-1]) for row in rows]


def write(storage, epoch, words):
    """Makes the words durable; OSError where the storage has no room."""
    lines = ["%s\t%s\n" % (name, " ".join(reason.split())) for name, reason in words]
    storage.replace(file_name(epoch), "".join(lines).encode())


def verdict(words, centres, rule):
    """Why nothing more may be signed, as text, or "". words: as `read` gives; centres: names; rule: ANY, MAJORITY."""
    found = [row for row in words if row[0] in centres]
    if not found or (rule == MAJORITY and 2 * len(found) <= len(centres)):
        return ""
    name, reason = found[0]
    return "%s (the word of %s; %d of %d centres speak against this log)" % (reason, name, len(found), len(centres))
