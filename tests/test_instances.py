r"""Theory against exact enumeration of small instances: entropies and Franz-Parisi counts, with an argued tolerance.

The replica method predicts :math:`\phi = \lim (1/N) E \ln Z`; enumeration gives :math:`(1/N) E \ln Z` at ``N <= 24``.

*Which quantity.*  A load of 1/3 keeps ``P = N/3`` and the distances of 1/6 and 1/3 integer at the sizes used: nothing is
rounded.  At the margins chosen every instance has solutions, and every reference has neighbours at these distances: no
logarithm of 0 is left out (asserted).  Franz-Parisi counts are averaged over references of an instance, then over instances.

*Statistical error.*  Almost all of the spread of :math:`\ln Z` comes from the overlaps of patterns.  Their moments, whose
means are known exactly, are regressed out (control variates): the mean stays, its error falls three- to sixfold.

*Finite size.*  Near a stable replica-symmetric saddle the corrections to :math:`\phi` are a series in 1/N.  For
Franz-Parisi counts the one exception is known: the number of configurations at distance ``d`` is a binomial
coefficient, :math:`\ln \binom{N}{dN} = N S(d) - \ln(2 \pi N d (1-d))/2 + O(1/N)`.  Only the fraction of solutions among
them is extrapolated, and ``S(d)`` is added in the limit, so that this logarithm never enters.  The measured values are
fitted by :math:`\phi + c_1/N`.  The term left out, :math:`c_2/N^2`, shifts the result by at most ``_CURVATURE`` times the
shift that a unit ``c_2`` causes in the same fit; ``_CURVATURE`` is at least five times every ``|c_1|`` measured,
more than coefficients grow from one order to the next in a series that is useful at N = 12.  The tolerance is this shift
plus four standard errors, near 0.002.  That the ``c_1`` are small, that a line fits and that a free ``c_2`` is below
``_CURVATURE`` within its error is asserted as well.

*Power.*  Wrong theories must lie outside: patterns that count 20 % too much, the annealed entropy, a reference margin
that is ignored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
from instances import Array, neighbours, patterns_of, solutions

import saddle

MODEL = "binary-perceptron"
INVERSE_LOAD = 3
MARGINS = (-0.4, 0.0)
REFERENCE = 0.0
DISTANCES = (6, 3)
"""Inverse distances."""
SAMPLES = {12: 6000, 15: 5000, 18: 3000, 21: 800, 24: 160}
REFERENCES = 60
_CURVATURE = 0.25


@dataclass(frozen=True)
class Measured:
    """One quantity over sizes: values per weight, their standard errors, and the term of the limit taken out."""

    sizes: Array
    values: Array
    errors: Array
    added: float = 0.0

    def fit(self, degree: int) -> tuple[Array, Array]:
        """Coefficients of 1, 1/N, ... by weighted least squares, and their covariance."""
        design = np.vander(1.0 / self.sizes, degree + 1, increasing=True) / self.errors[:, None]
        covariance = np.linalg.inv(design.T @ design)
        return covariance @ design.T @ (self.values / self.errors), covariance

    def limit(self) -> tuple[float, float]:
        """The limit of large N, and the tolerance of the module's docstring."""
        coefficients, covariance = self.fit(1)
        unit = Measured(self.sizes, 1.0 / self.sizes**2, self.errors)
        shift = abs(unit.fit(1)[0][0])
        return float(coefficients[0]) + self.added, float(4 * math.sqrt(covariance[0, 0]) + _CURVATURE * shift)


def controls(patterns: Array) -> Array:
    """Functions of an instance whose mean over instances is exactly 0: moments of its pattern overlaps, and lengths."""
    count, n = patterns.shape
    lengths = np.linalg.norm(patterns, axis=1)
    overlaps = (patterns / lengths[:, None]) @ (patterns / lengths[:, None]).T - np.eye(count)
    pairs = count * (count - 1)
    return np.array(
        [
            overlaps.sum() / 2,
            ((overlaps**2).sum() - pairs / n) / 2,
            (overlaps @ overlaps).sum() - (overlaps**2).sum(),
            ((overlaps @ overlaps) * overlaps).sum() - pairs * (count - 2) / n**2,
            (lengths**2 / n - 1.0).sum(),
        ]
    )


def mean_with_controls(values: Array, known: Array) -> tuple[float, float]:
    """Mean and standard error after the regression on functions of mean 0."""
    design = np.column_stack([np.ones(len(values)), known])
    coefficients = np.linalg.lstsq(design, values, rcond=None)[0]
    spread = float(np.std(values - design @ coefficients, ddof=design.shape[1]))
    return float(coefficients[0]), spread / math.sqrt(len(values))


def observables(n: int, seed: int) -> tuple[list[float], Array]:
    """Of one instance: ln Z at every margin, mean ln of the fraction of neighbours that solve it; and its controls."""
    patterns = patterns_of(seed, n, n // INVERSE_LOAD)
    words, margins = solutions(patterns, MARGINS[0])
    references = words[margins >= REFERENCE]
    assert len(references) > 0, "an instance without a reference"
    chosen = np.random.default_rng(seed).choice(references, min(REFERENCES, len(references)), replace=False)
    row = [math.log(np.count_nonzero(margins >= kappa)) for kappa in MARGINS]
    for inverse in DISTANCES:
        if n % inverse:
            row.append(math.nan)
            continue
        counts = neighbours(chosen, words, n // inverse)
        assert np.all(counts > 0), "a reference without neighbours"
        row.append(float(np.mean(np.log(counts))) - math.log(math.comb(n, n // inverse)))
    return row, controls(patterns)


@pytest.fixture(scope="module")
def samples() -> dict[int, tuple[Array, Array]]:
    """Observables and controls of all instances, by size."""
    table = {}
    for n, number in SAMPLES.items():
        rows = [observables(n, 1_000_000 * n + index) for index in range(number)]
        table[n] = np.array([row for row, _ in rows]), np.array([known for _, known in rows])
    return table


def measured(samples: dict[int, tuple[Array, Array]], column: int, added: float = 0.0) -> Measured:
    points = []
    for n, (rows, known) in samples.items():
        if not np.isnan(rows[0, column]):
            mean, error = mean_with_controls(rows[:, column], known)
            points.append((n, mean / n, error / n))
    sizes, values, errors = np.array(points).T
    return Measured(sizes, values, errors, added)


def assert_straight(quantity: Measured) -> None:
    """The points lie on a line in 1/N, and a free curvature agrees with none."""
    line = quantity.fit(1)[0]
    chi_squared = float(np.sum(((quantity.values - line[0] - line[1] / quantity.sizes) / quantity.errors) ** 2))
    freedom = len(quantity.sizes) - 2
    assert chi_squared < freedom + 4 * math.sqrt(2 * freedom)
    assert 5 * abs(line[1]) < _CURVATURE
    curved, covariance = quantity.fit(2)
    assert abs(curved[2]) < 3 * math.sqrt(covariance[2, 2]) + _CURVATURE


def test_enumeration_finds_every_solution() -> None:
    patterns = patterns_of(1, 10, 4)
    signs = np.array(list(product((-1.0, 1.0), repeat=10)))[:, ::-1]
    expected = (signs @ patterns.T / math.sqrt(10)).min(axis=1)
    words, margins = solutions(patterns, -0.2)
    order = np.argsort(words)
    assert np.array_equal(words[order], np.flatnonzero(expected >= -0.2))
    assert np.max(np.abs(margins[order] - expected[words[order]])) < 1e-13
    chosen = words[:5]
    for distance in (0, 3, 10):
        counted = [sum((int(a) ^ int(b)).bit_count() == distance for b in words) for a in chosen]
        assert neighbours(chosen, words, distance).tolist() == counted


@pytest.mark.parametrize("column", [0, 1])
def test_mean_number_of_solutions_is_the_annealed_one(samples: dict, column: int) -> None:
    """``E Z = 2^N H(kappa)^P`` holds at every size, within the statistical error."""
    tail = 0.5 * math.erfc(MARGINS[column] / math.sqrt(2.0))
    for n, (rows, known) in samples.items():
        ratio = np.exp(rows[:, column] - n * math.log(2.0) - n // INVERSE_LOAD * math.log(tail))
        mean, error = mean_with_controls(ratio, known)
        assert abs(mean - 1.0) < 4 * error < 0.2


@pytest.mark.parametrize("column", [0, 1])
def test_entropy(samples: dict, column: int) -> None:
    kappa, alpha = MARGINS[column], 1 / INVERSE_LOAD
    quantity = measured(samples, column)
    assert_straight(quantity)
    limit, tolerance = quantity.limit()
    theory = saddle.entropy_curve(MODEL, alpha, kappa).points[0].free_entropy
    assert abs(limit - theory) < tolerance
    # Wrong theories: patterns that cost 20 % more, and the annealed entropy.
    steeper = math.log(2.0) + 1.2 * (theory - math.log(2.0))
    assert abs(limit - steeper) > 3 * tolerance
    if kappa == 0.0:
        annealed = math.log(2.0) * (1.0 - alpha)
        assert abs(limit - annealed) > 3 * tolerance


@pytest.mark.parametrize("index", [0, 1])
def test_franz_parisi_entropy(samples: dict, index: int) -> None:
    alpha, distance = 1 / INVERSE_LOAD, 1 / DISTANCES[index]
    bound = -distance * math.log(distance) - (1 - distance) * math.log(1 - distance)
    quantity = measured(samples, len(MARGINS) + index, bound)
    assert_straight(quantity)
    limit, tolerance = quantity.limit()
    theory, ignored = (
        saddle.franz_parisi(MODEL, alpha, reference, MARGINS[0], distance).points[0].free_entropy
        for reference in (REFERENCE, MARGINS[0])
    )
    assert abs(limit - theory) < tolerance
    # Wrong theories: patterns that cost 20 % more, and a reference that is any solution of the probe's margin.
    assert abs(limit - bound - 1.2 * (theory - bound)) > 3 * tolerance
    assert abs(limit - ignored) > 3 * tolerance
