"""What the core's tests use of pytest, for runtimes that have none: marks, parametrize, raises, skip."""

import re


class Skipped(Exception):
    pass


def skip(reason):
    raise Skipped(reason)


class raises:
    """`with raises(SomeError, match="text") as caught:`; match is searched in str(error)."""

    def __init__(self, expected, match=None):
        self.expected = expected
        self.match = match
        self.value = None

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            raise AssertionError("no %s was raised" % self.expected.__name__)
        if not isinstance(value, self.expected):
            return False
        self.value = value
        if self.match is not None and not re.search(self.match, str(value)):
            raise AssertionError("%r does not match %r" % (str(value), self.match))
        return True


class _Cases:
    def __init__(self, function, rows):
        self.function = function
        self.rows = rows

    def __call__(self):
        for row in self.rows:
            self.function(*row)


class _Mark:
    def requirement(self, *ids):
        return lambda function: function

    def parametrize(self, names, values, ids=None):
        single = isinstance(names, str) and "," not in names
        rows = [(v,) if single else tuple(v) for v in values]
        return lambda function: _Cases(function, rows)

    slow = staticmethod(lambda function: function)


mark = _Mark()
