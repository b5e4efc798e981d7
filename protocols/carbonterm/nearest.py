"""Which known names a mistyped one may have meant: for the way out in error messages."""


def nearest(word, known, count=3):
    """At most `count` of the `known` texts that look like `word`, best first, then in the order of the alphabet."""
    small = word.lower()
    found = []
    for name in known:
        other = name.lower()
        far = distance(small, other)
        longest = max(len(small), len(other))
        if min(len(small), len(other)) > 1 and (small in other or other in small):
            far = min(far, 1)
        if far == 0 or (longest > 1 and far <= max(1, longest // 3)):
            found.append((far, name))
    return [name for _, name in sorted(found)[:count]]


def distance(a, b):
    """Edits (insert, delete, replace, swap of neighbours) that make `a` into `b`."""
    before, row = [], list(range(len(b) + 1))
    for i in range(1, len(a) + 1):
        above, before, row = before, row, [i]
        for j in range(1, len(b) + 1):
            step = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a[i - 1] != b[j - 1]))
            if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                step = min(step, above[j - 2] + 1)
            row.append(step)
    return row[len(b)]


def hint(word, known, what="known"):
    """ "did you mean …" where something is near, else the first few of what there is; "" for nothing known."""
    near = nearest(word, known)
    if near:
        return "did you mean " + " or ".join(near) + "?"
    names = sorted(known)
    if not names:
        return ""
    more = ", … (%d)" % len(names) if len(names) > 12 else ""
    return what + ": " + ", ".join(names[:12]) + more
