"""The special functions against mpmath at 50 digits: accuracy, branch boundaries, limits, and the uncompiled source."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import cache
from itertools import pairwise

import mpmath
import numpy as np
import pytest
from numba import njit

from saddle.kernels import special

DIGITS = 50
UNIT = 2.0**-53


def neighbours(*points: float) -> list[float]:
    """Each point with the doubles next to it on either side."""
    return [float(v) for x in points for v in (np.nextafter(x, -np.inf), x, np.nextafter(x, np.inf))]


# Steps that are not binary fractions: the squares of those would be exact.
LEFT_TAIL = [-37.0 + k / 40.1 for k in range(1163)]
MIDDLE = [-8.0 + k / 200.5 for k in range(3208)]
RIGHT = [8.0 + k / 10.03 for k in range(520)]
RIGHT_TAIL = [60.0 * 10.0 ** (k / 37.0) for k in range(304)]  # to 9.8e9
BOUNDARIES = neighbours(0.0, -1.0, 1.0, 3.0, -(2.0**-20), -(2.0**-19), -8.0, -36.999, 20.0, 1e8, 1e10)
SMALL = [sign * 10.0**-k for k in (1, 2, 4, 8, 15, 16, 17, 30, 100, 160, 300, 320) for sign in (1.0, -1.0)]
H_GRID = [*LEFT_TAIL, *MIDDLE, *RIGHT, *RIGHT_TAIL, *BOUNDARIES, *SMALL]
COSH_GRID = [*(k / 200.5 for k in range(-4000, 4001)), *BOUNDARIES, *SMALL, 25.0, -300.0, 1e5, 1e15, 1e300, -1e308]


@cache
def exact_log_h_mills(x: float) -> tuple[mpmath.mpf, mpmath.mpf]:
    """``(ln H, M)`` at 50 digits, relative, from the definition."""
    with mpmath.workdps(DIGITS):
        u = mpmath.mpf(x)
        density = mpmath.exp(-u * u / 2) / mpmath.sqrt(2 * mpmath.pi)
        smaller = mpmath.erfc(abs(u) / mpmath.sqrt(2)) / 2
        if x >= 0:
            return mpmath.log(smaller), density / smaller
        return mpmath.log1p(-smaller), density / (1 - smaller)


@cache
def exact_log2cosh_tanh(x: float) -> tuple[mpmath.mpf, mpmath.mpf]:
    """``(ln 2cosh, tanh)`` at 50 digits, relative."""
    with mpmath.workdps(DIGITS):
        u = mpmath.mpf(x)
        return abs(u) + mpmath.log1p(mpmath.exp(-2 * abs(u))), mpmath.tanh(u)


def relative_error(value: float, exact: mpmath.mpf) -> float:
    with mpmath.workdps(DIGITS):
        return float(abs(mpmath.mpf(value) - exact) / abs(exact)) if exact else abs(value)


def worst(function: Callable[[float], float], exact: Callable[[float], mpmath.mpf], grid: Iterable[float]) -> float:
    """The largest relative error on a grid; NaN anywhere fails every comparison."""
    errors = [relative_error(function(x), exact(x)) for x in grid]
    return max(errors) if all(e == e for e in errors) else math.nan


def same(a: float, b: float) -> bool:
    """Equal including the sign of zero, or both NaN."""
    return (a != a and b != b) or (a == b and math.copysign(1.0, a) == math.copysign(1.0, b))


def plain(function: Callable[[float], object]) -> Callable[[float], object]:
    """The Python source of a compiled function; with the compiler disabled it is the function itself."""
    return getattr(function, "py_func", function)


@pytest.mark.parametrize(
    ("grid", "bound"),
    [(LEFT_TAIL, 6e-16), (MIDDLE, 1e-15), (RIGHT, 4e-16), (RIGHT_TAIL, 4e-16), (BOUNDARIES, 1e-15), (SMALL, 1e-15)],
    ids=["left tail", "middle", "right", "right tail", "boundaries", "small"],
)
def test_log_h_and_mills_are_accurate_to_a_few_units_in_the_last_place(grid: list[float], bound: float) -> None:
    assert worst(lambda x: special.log_h_mills(x)[0], lambda x: exact_log_h_mills(x)[0], grid) < bound
    assert worst(lambda x: special.log_h_mills(x)[1], lambda x: exact_log_h_mills(x)[1], grid) < bound


def test_excess_of_the_mills_ratio_is_accurate_relative_to_itself() -> None:
    def exact(x: float) -> mpmath.mpf:
        with mpmath.workdps(DIGITS):
            return exact_log_h_mills(x)[1] - mpmath.mpf(x)

    assert worst(special._mills_excess, exact, [x for x in (*MIDDLE, *RIGHT) if x >= 0.0]) < 1e-15
    for x in (1e4, 1e8, 1e12, 1e19):
        assert special._mills_excess(x) == pytest.approx(1.0 / x - 2.0 / x**3, rel=1e-15)


def test_halves_add_up_to_one() -> None:
    # H(x) + H(-x) = 1, and M(-x) = M(x) H(x)/(1 - H(x)): the two branches against each other
    for x in (k / 100.3 for k in range(800)):
        (log_upper, mills_upper), (log_lower, mills_lower) = special.log_h_mills(x), special.log_h_mills(-x)
        assert math.exp(log_upper) + math.exp(log_lower) == pytest.approx(1.0, abs=4 * UNIT)
        assert mills_lower == pytest.approx(mills_upper * math.exp(log_upper - log_lower), rel=1e-14)


def test_wrappers_return_the_same_numbers() -> None:
    for x in (*H_GRID[::7], math.nan, math.inf, -math.inf, -38.2):
        log_h, mills = special.log_h_mills(x)
        assert same(special.log_h(x), log_h)
        assert same(special.mills(x), mills)


def test_log_h_mills_limits() -> None:
    assert special.log_h_mills(math.inf) == (-math.inf, math.inf)
    assert special.log_h_mills(1e300) == (-math.inf, 1e300)
    assert special.log_h_mills(1e150) == pytest.approx((-5e299, 1e150), rel=4 * UNIT)
    for x in (-math.inf, -1e300, -41.0, -40.0, -39.0):
        log_h, mills = special.log_h_mills(x)
        assert same(log_h, -0.0)
        assert same(mills, 0.0)
    assert all(math.isnan(v) for v in special.log_h_mills(math.nan))
    assert special.log_h_mills(-0.0) == special.log_h_mills(0.0)


def test_log_h_mills_underflow_gradually() -> None:
    grid = [-37.0 - k / 1000.0 for k in range(2001)]
    pairs = [special.log_h_mills(x) for x in grid]
    for (log_h, mills), (next_log_h, next_mills) in pairwise(pairs):
        assert log_h <= next_log_h <= 0.0
        assert mills >= next_mills >= 0.0
    # subnormal numbers carry an absolute accuracy; G and H are each rounded to a multiple of 2**-1074
    for x, (log_h, mills) in zip(grid[::20], pairs[::20], strict=True):
        exact_log_h, exact_mills = exact_log_h_mills(x)
        with mpmath.workdps(DIGITS):
            assert abs(mills - exact_mills) <= abs(exact_mills) * 1e-15 + mpmath.mpf(2) ** -1073
            assert abs(log_h - exact_log_h) <= abs(exact_log_h) * 1e-15 + mpmath.mpf(2) ** -1073


def test_log2cosh_and_tanh_are_accurate_to_a_few_units_in_the_last_place() -> None:
    assert worst(lambda x: special.log2cosh_tanh(x)[0], lambda x: exact_log2cosh_tanh(x)[0], COSH_GRID) < 5e-16
    assert worst(lambda x: special.log2cosh_tanh(x)[1], lambda x: exact_log2cosh_tanh(x)[1], COSH_GRID) < 5e-16


def test_log2cosh_is_even_and_tanh_is_odd() -> None:
    for x in (*COSH_GRID[::11], 0.0, 5e-324, math.inf):
        (even, odd), (even_mirrored, odd_mirrored) = special.log2cosh_tanh(x), special.log2cosh_tanh(-x)
        assert same(even, even_mirrored)
        assert same(odd, -odd_mirrored)
        assert abs(odd) <= 1.0


def test_log2cosh_tanh_limits() -> None:
    assert special.log2cosh_tanh(math.inf) == (math.inf, 1.0)
    assert special.log2cosh_tanh(-math.inf) == (math.inf, -1.0)
    assert special.log2cosh_tanh(5e-324) == (math.log(2.0), 5e-324)
    assert all(math.isnan(v) for v in special.log2cosh_tanh(math.nan))


@pytest.mark.parametrize("name", ["log_h_mills", "log2cosh_tanh", "log_h", "mills"])
def test_plain_python_agrees_with_the_compiled_code(name: str) -> None:
    # One unit in the last place is left to a platform whose compiled exp or log is not the one of Python's math.
    function = getattr(special, name)
    for x in (*H_GRID[::5], *COSH_GRID[::9], -38.0, -1e300, 1e300, math.inf, -math.inf, math.nan):
        compiled, uncompiled = function(x), plain(function)(x)
        for a, b in zip(np.atleast_1d(compiled), np.atleast_1d(uncompiled), strict=True):
            assert same(a, b) or abs(a - b) <= np.spacing(abs(b)), (name, x, a, b)


def test_callable_from_a_compiled_loop() -> None:
    log_h_mills, log2cosh_tanh = special.log_h_mills, special.log2cosh_tanh

    @njit(error_model="numpy", nogil=True)
    def total(nodes: np.ndarray) -> float:
        accumulated = 0.0
        for i in range(nodes.size):
            log_h, mills = log_h_mills(nodes[i])
            log2cosh, tanh = log2cosh_tanh(nodes[i])
            accumulated += log_h + mills + log2cosh + tanh
        return accumulated

    nodes = np.linspace(-9.0, 9.0, 201)
    expected = sum(sum(log_h_mills(x)) + sum(log2cosh_tanh(x)) for x in nodes.tolist())
    assert total(nodes) == pytest.approx(expected, rel=1e-13)
