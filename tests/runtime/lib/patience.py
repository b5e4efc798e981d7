"""Tests of who listens for a fixed time: on a busy machine an answer can come later, and is then not heard.

    @patience.unhurried
    def test_…(): … scan(line, timeout_ms=patience.of(80)) …

is run with the times as they stand; where it fails it is run again with longer ones, and what fails with the longest
has failed. A test of this kind says what is found, never how fast.
"""

import functools

FACTORS = 1, 5, 20
_times = [1]


def of(ms):
    """So long is listened in the present run."""
    return ms * _times[-1]


def unhurried(test):
    @functools.wraps(test)
    def run(*args, **words):
        for factor in FACTORS:
            _times.append(factor)
            try:
                return test(*args, **words)
            except Exception:
                if factor == FACTORS[-1]:
                    raise
            finally:
                _times.pop()

    return run
