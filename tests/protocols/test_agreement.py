"""Monitored against accounted, several sources, repeated measurements, history: by hand and refused."""

import pytest

from carbonterm.accounting.agreement import against_history, normalised_error, relative_error, several
from carbonterm.accounting.uncertainty import repeated, root
from carbonterm.errors import CarbonError
from carbonterm.number import Number, Ratio


@pytest.mark.requirement("C-3-1", part="relative error, both forms, zero accounting")
def test_the_relative_error_in_both_forms():
    assert relative_error(Number(110), Number(100)) == (Ratio(10), Ratio(200, 21))
    assert relative_error(Number(90), Number(100))[0] == -10
    assert relative_error(Number(5), Number(0)) == (None, Ratio(200))
    assert relative_error(Number(0), Number(0)) == (None, None)


def test_the_normalised_error():
    """(110 - 100)/√(6² + 8²) = 1: just so."""
    assert normalised_error(Number(110), Number(6), Number(100), Number(8)) == 1
    assert normalised_error(Number(100), Number(6), Number(110), Number(8)) == -1
    assert normalised_error(Number(1), Number(0), Number(1), Number(0)) is None


@pytest.mark.requirement("P-7.4-4", part="the three checks, computed exactly")
def test_sources_repetition_and_history():
    """10 ± 1 and 13 ± 2 (k = 1): mean 10.6 ± 0.894, χ² = 1.8, E_n = 3/(2√5); three readings; one more."""
    mean, u, birge, errors = several([("meter", Number(10), Number(1)), ("balance", Number(13), Number(2))])
    print(mean, u, birge, errors)
    assert mean == Ratio(53, 5) and u == root(Ratio(4, 5)) and birge == root(Ratio(9, 5))
    assert [name for name, _ in errors] == ["meter", "balance"] and errors[1][1] == root(Ratio(9, 20))
    assert errors[0][1] == -errors[1][1]
    mean, variance = repeated([Number("10.1"), Number("10.3"), Number("9.9")])
    assert mean == Number("10.1") and variance == Number("0.04")
    history = [Number(n) for n in (98, 102, 101, 99, 100)]  # mean 100, s² = 2.5, t(4) = 2.7764
    mean, width, inside = against_history(Number(104), history)
    print(mean, width, inside)
    assert mean == 100 and width == root(Number("2.7764") * Number("2.7764") * 3) and inside
    assert not against_history(Number(106), history)[2]


def test_what_cannot_be_compared():
    for sources in ([], [("a", Number(1), Number(1))], [("a", Number(1), Number(0)), ("b", Number(1), Number(1))]):
        with pytest.raises(CarbonError):
            several(sources)
    for history in ([], [Number(1)]):
        with pytest.raises(CarbonError):
            against_history(Number(1), history)
