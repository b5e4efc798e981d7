"""Propagation of distributions by Monte Carlo (JCGM 101:2008, JJF 1059.2-2012; IPCC 2006 V1 Ch. 3 approach 2).

Draws are in doubles, by PCG64 with a seed that stands in the result: the same seed and number of trials give the same
figures. Blocks of 10 000 trials are added until mean, standard deviation and both ends of the 95 % interval are stable
(JCGM 101 clause 7.9), or `most` trials are made. The analytic result agrees if both ends of its interval lie within
δ of the simulated ones (clause 8). There δ is half a unit of the last of one or two significant digits of u, which is
from 0.5 % to 50 % of u, as its first digit is; here it is 5 % of u, whatever its digits are.
"""

import math

import numpy

from carbonterm import formula
from carbonterm.errors import AccountingError

BLOCK = 10_000
MOST = 2_000_000
LOW, HIGH = 0.025, 0.975


class Simulated:
    """mean, u, low and high of the 95 % interval (probabilistically symmetric), trials, seed, stable, delta."""

    def __init__(self, values, seed, stable, delta):
        self.mean, self.u = float(values.mean()), float(values.std(ddof=1))
        self.low, self.high = (float(x) for x in numpy.quantile(values, (LOW, HIGH)))
        self.trials, self.seed, self.stable, self.delta = len(values), seed, stable, delta

    def agrees(self, value, expanded):
        """Whether value ± expanded has the same ends within delta."""
        return abs(value - expanded - self.low) <= self.delta and abs(value + expanded - self.high) <= self.delta


def simulate(model, u, seed=1, most=MOST):
    """Simulated total of a carbonterm_host.uncertain.Model. u: its analytic standard uncertainty, which sets δ."""
    generator = numpy.random.Generator(numpy.random.PCG64(seed))
    delta = float(u) / 20
    correlated = _correlated(model)
    blocks, figures = [], []
    while True:
        values = _total(model, _drawn(model, generator, BLOCK, correlated))
        blocks.append(values)
        figures.append((values.mean(), values.std(ddof=1), *numpy.quantile(values, (LOW, HIGH))))
        count = len(blocks)
        stable = count > 1 and _stable(figures, delta / 5)
        if (stable and count >= 10) or (count + 1) * BLOCK > most:
            return Simulated(numpy.concatenate(blocks), seed, bool(stable), delta)


def _stable(figures, limit):
    table = numpy.array(figures)
    return bool((2 * table.std(axis=0, ddof=1) / math.sqrt(len(table)) <= limit).all())


def _correlated(model):
    """(names, lower triangle of Cholesky) of the inputs that are correlated, or None."""
    names = sorted({name for row in model.correlations for name in row[:2]})
    if not names:
        return None
    matrix = numpy.eye(len(names))
    for a, b, r in model.correlations:
        for name in (a, b):
            if model.inputs[name].shape != "normal":
                raise AccountingError(f"{name} is correlated and not normal", "only normal inputs are drawn together")
        i, j = names.index(a), names.index(b)
        matrix[i, j] = matrix[j, i] = float(str(r))
    values, vectors = numpy.linalg.eigh(matrix)
    if values.min() < -1e-9:
        raise AccountingError("the correlations contradict each other", "no quantities have all of them")
    return names, vectors * numpy.sqrt(values.clip(min=0))


def _drawn(model, generator, count, correlated):
    """{name: array of draws} of the inputs, in the order of their names: the order decides which draw is whose."""
    found = {}
    if correlated:
        names, factor = correlated
        together = factor @ generator.standard_normal((len(names), count))
        for row, name in enumerate(names):
            found[name] = _value(model.inputs[name]) + _u(model.inputs[name]) * together[row]
    for name in sorted(model.inputs):
        if name not in found:
            found[name] = _one(model.inputs[name], generator, count)
    return found


def _one(one, generator, count):
    value, u = _value(one), _u(one)
    if u == 0:
        return numpy.full(count, value)
    if one.shape == "rectangular":
        return value + u * math.sqrt(3) * generator.uniform(-1, 1, count)
    if one.shape == "triangular":
        return value + u * math.sqrt(6) * generator.triangular(-1, 0, 1, count)
    if one.shape == "arcsine":
        return value + u * math.sqrt(2) * numpy.sin(generator.uniform(-math.pi, math.pi, count))
    if one.shape == "student":  # of repeated readings: a scaled and shifted t distribution (JCGM 101 clause 6.4.9)
        return value + u * generator.standard_t(_number(one.dof), count)
    return value + u * generator.standard_normal(count)


def _number(ratio):
    return ratio.numerator / ratio.denominator


def _value(one):
    return _number(one.value)


def _u(one):
    return math.sqrt(_number(one.variance))


def _total(model, drawn):
    total = 0.0
    for _, steps, scale in model.terms:
        total = total + evaluate(steps, drawn) * _number(scale)
    return total * drawn["model"] if "model" in drawn else total


_TWO = {
    formula.ADD: numpy.add, formula.SUBTRACT: numpy.subtract, formula.MULTIPLY: numpy.multiply,
    formula.DIVIDE: numpy.divide, formula.MAX: numpy.maximum, formula.MIN: numpy.minimum,
}  # fmt: skip


def evaluate(steps, values):
    """The value of a formula's program over arrays of doubles."""
    stack = []
    for step in steps:
        if isinstance(step, str):
            stack.append(values[step])
        elif isinstance(step, list | tuple):
            if len(step) == 2:
                stack.append(float(step[1]) * 10.0 ** step[0])
            else:
                stack.append(stack.pop() ** float(step[0]))
        elif step == formula.NEGATE:
            stack.append(-stack.pop())
        else:
            right, left = stack.pop(), stack.pop()
            stack.append(_TWO[step](left, right))
    return stack[0]
