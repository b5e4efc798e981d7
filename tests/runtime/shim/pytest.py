"""What the core's tests use of pytest, for runtimes that have none: marks, parametrize, param, raises, skip, fail."""

import re


class Skipped(Exception):
    pass


def skip(reason):
    raise Skipped(reason)


def fail(reason):
    raise AssertionError(reason)


class param:
    """A row of parametrize with a name that only pytest shows."""

    def __init__(self, *values, id=None):
        self.values = values


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
            raise AssertionError("%s was not raised" % (self.expected,))
        if not isinstance(value, self.expected):
            return False
        self.value = value
        if self.match is not None and not re.search(self.match, str(value)):
            raise AssertionError("'%s' does not match '%s'" % (value, self.match))
        return True


class _Cases:
    """A test with its rows, in pytest's order: of stacked marks the lowest varies slowest."""

    def __init__(self, function, names, rows):
        if isinstance(function, _Cases):
            names = names + function.names
            rows = [row + below for below in function.rows for row in rows]
            function = function.function
        self.function = function
        self.names = names
        self.rows = rows

    def __call__(self):
        for row in self.rows:
            if len(row) != len(self.names):
                raise AssertionError("%d values for %s" % (len(row), self.names))
            self.function(**dict(zip(self.names, row)))


class _Mark:
    def requirement(self, *ids, part=None):
        return lambda function: function

    def parametrize(self, names, values, ids=None):
        single = False  # rows of one name given as a text are values, not tuples
        if isinstance(names, str):
            names = [name.strip() for name in names.split(",") if name.strip()]
            single = len(names) == 1
        rows = [v.values if isinstance(v, param) else (v,) if single else tuple(v) for v in values]
        return lambda function: _Cases(function, list(names), rows)

    slow = staticmethod(lambda function: function)


mark = _Mark()
