"""All sources of all methods on random inputs: the same digits on every runtime, and the compiled form gives them too.

What the digits should be is checked against fractions on CPython in tests/host/test_methods_fractions.py.
"""

import pytest

import shipped
from carbonterm import cbor, clock
from carbonterm.accounting import library
from carbonterm.errors import FormulaError
from carbonterm.number import Ratio
from drawn import shape, values
from seeded import Random

METHODS = shipped.methods()
FACTORS = shipped.factors()
AT = clock.stamp(2024, 6, 1)


@pytest.mark.requirement("T-9.1-1")
@pytest.mark.slow
def test_random_activity_gives_the_same_digits_everywhere():
    random, count = Random(31), 0
    for name in sorted(METHODS):
        for source in METHODS[name].sources:
            given = shape(random, METHODS[name], source, FACTORS, AT)
            for _ in range(2):
                found = values(random, source, given)
                try:
                    result = library.account(METHODS[name], source, found, FACTORS, AT)
                except FormulaError as error:
                    print(name, source.id, error.what)
                    continue
                count += 1
                print(name, source.id, result.ratio, result.tco2e)
                if result.compiled is None:
                    continue
                compiled = cbor.decode(library.canonical(result.compiled))
                library.check(compiled)
                total, known = Ratio(0), {row.key: row.value for row in result.rows}
                for _, _, tonnes in library.by_gas(compiled, known):
                    total = total + tonnes
                assert total == result.ratio
    print(count)
    assert count > 350
