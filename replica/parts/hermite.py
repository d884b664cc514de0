r"""The kernel of an activation without a closed form, as a series with a bound of what it leaves out.

.. math:: \Delta_g(q) = \sum_{k \ge 1} a_k q^k, \qquad a_k = c_k^2, \qquad c_k = E[g h_k],

with the normalised Hermite polynomials :math:`h_k = \mathrm{He}_k/\sqrt{k!}`.  All :math:`a_k` are positive and sum to the
variance of ``g``, so that what is left after ``K`` terms is known, :math:`R = \mathrm{Var}\,g - \sum_{k \le K} a_k`, and
:math:`R |q|^{K+1}` bounds the error at ``q``.  Putting the remainder into the next power makes :math:`\Delta_g(1)` exact.

The coefficients are integrals over Gauss-Legendre panels between the points where ``g`` or its derivative jumps; the
panels are halved until variance and coefficients stay the same.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import mpmath
import sympy as sp

from replica.errors import InputError
from replica.parts.correlations import Kernel

_NODES = 20
_WIDEST, _NARROWEST = 0.25, 0.25 / 32
_COMPARED = 48
_MOST_TERMS = 1536
_NOTHING = 1e-19
"""Share of the variance that is not worth another term."""
_ROUNDING = 5e-16
_TOO_MUCH = 0.05
_SAME = 3e-15
_POOR = 1e-10
_NEAREST, _FARTHEST = 14.0, 34.0

Function = Callable[[float], float]


class PowerSeries(sp.Function):
    """A power series with given coefficients, or a derivative of one; each is a class of its own."""

    nargs = 1
    coefficients: tuple[float, ...] = ()
    key: str = ""
    order: int = 0

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return power_series(self.key, self.order + 1)(self.args[0])

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        primes = "'" * self.order
        return rf"\Delta_g{primes}{f'^{{{exp}}}' if exp else ''}\left({printer._print(self.args[0])}\right)"


class SeriesGap(sp.Function):
    r""":math:`\Delta(1) - \Delta(1-e)` of a power series, as ``e`` times a sum of positive terms."""

    nargs = 1
    coefficients: tuple[float, ...] = ()
    key: str = ""

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return power_series(self.key, 1)(1 - self.args[0])


_KNOWN: dict[str, tuple[float, ...]] = {}
"""Coefficients by key, from the constant up."""


@lru_cache(maxsize=256)
def power_series(key: str, order: int) -> Any:
    """The class of the ``order``-th derivative of a series."""
    coefficients = _KNOWN[key]
    for _ in range(order):
        coefficients = tuple(k * a for k, a in enumerate(coefficients))[1:] or (0.0,)

    def value(q: Any) -> Any:
        return _horner(coefficients, q)

    members = {"coefficients": coefficients, "key": key, "order": order, "_imp_": staticmethod(value)}
    return type(f"Series_{key}_{order}", (PowerSeries,), members)


@lru_cache(maxsize=64)
def series_gap(key: str) -> Any:
    """The class of the gap of a series: the coefficients of its quotient by ``e`` are sums of the tail."""
    tails, total = [], 0.0
    for a in reversed(_KNOWN[key][1:]):
        total += a
        tails.append(total)
    coefficients = tuple(reversed(tails))

    def value(e: Any) -> Any:
        return e * _horner(coefficients, 1 - e)

    return type(f"Gap_{key}", (SeriesGap,), {"coefficients": coefficients, "key": key, "_imp_": staticmethod(value)})


def coefficients_of(name: str) -> tuple[float, ...]:
    """The coefficients of the series of this class name, ``Series_KEY_ORDER`` or ``Gap_KEY``."""
    kind, key, *order = name.split("_")
    found = series_gap(key) if kind == "Gap" else power_series(key, int(order[0]))
    return tuple(found.coefficients)


def _horner(coefficients: Sequence[float], q: Any) -> Any:
    total = mpmath.mpf(0)
    for a in reversed(coefficients):
        total = total * q + a
    return total


def series_kernel(expr: sp.Expr, x: sp.Symbol, text: str) -> Kernel:
    """Return the kernel of an activation as a series.

    Parameters
    ----------
    expr : sympy expression
        In the real symbol ``x``, with kinks and jumps written through ``Abs`` and ``sign``.
    text : str
        What the user calls it.

    Raises
    ------
    InputError
        Where it is not a finite real function with a finite variance, or the series leaves too much out.
    """
    found = _coefficients(expr, x, text)
    key = hashlib.sha256(repr(found.coefficients).encode()).hexdigest()[:10]
    _KNOWN[key] = found.coefficients
    terms, remainder, accuracy = len(found.coefficients) - 1, found.remainder, found.accuracy

    def error(q: sp.Expr) -> sp.Expr:
        return sp.Float(remainder) * sp.Abs(q) ** terms + sp.Float(accuracy)

    slope, curvature = map(sp.sympify, found.slopes_at_one)
    return Kernel(power_series(key, 0), series_gap(key), slope, curvature, error)


@dataclass(frozen=True)
class _Coefficients:
    coefficients: tuple[float, ...]
    remainder: float
    accuracy: float
    slopes_at_one: tuple[float, float]


def _coefficients(expr: sp.Expr, x: sp.Symbol, text: str) -> _Coefficients:
    g = _function(expr, x, text)
    reach = _reach(g, text)
    breaks = _breaks(expr, x, reach)
    width, rough = _WIDEST, _moments(g, _panels(breaks, reach, _WIDEST), _COMPARED)
    while True:
        fine = _moments(g, _panels(breaks, reach, width / 2), _COMPARED)
        change = max(abs(a - b) for a, b in zip(rough, fine, strict=True)) / max(abs(fine[0]), 1e-300)
        if change < _SAME or width / 2 <= _NARROWEST:
            break
        width, rough = width / 2, fine
    if not change < _POOR:
        raise InputError(f"The activation {text} varies too fast for its kernel to be integrated; write it more smoothly.")
    variance, squares = fine[0], []
    left = variance
    for square in _squares(g, _panels(breaks, reach, width)):
        squares.append(square)
        left = variance - math.fsum(squares)
        # odd or even activations have every other coefficient zero
        if (left <= _ROUNDING * variance and sum(squares[-2:]) < _NOTHING * variance) or len(squares) == _MOST_TERMS:
            break
    left = max(left, 0.0)
    if left > _TOO_MUCH * variance:
        raise InputError(
            f"The kernel of the activation {text} is not known in closed form and its series leaves out "
            f"{100 * left / variance:.0f} % of the variance; write it with sign, abs and erf of x, or more smoothly."
        )
    nodes = _panels(breaks, reach, width / 2)
    slopes = _mean_square_slopes(expr, x, text, breaks, nodes)
    return _Coefficients((0.0, *squares, left), left, (change + _ROUNDING) * variance, slopes)


def _function(expr: sp.Expr, x: sp.Symbol, text: str) -> Function:
    """The activation in double precision; a point where it is not a finite real number is refused."""
    compiled = sp.lambdify(x, expr, modules=_modules())

    def g(at: float) -> float:
        try:
            value = float(compiled(at))
        except OverflowError:
            value = math.inf
        except (ValueError, ZeroDivisionError, TypeError):
            value = math.nan
        if not math.isfinite(value):
            raise InputError(f"The activation {text} has no finite real value at x = {at:.6g}.")
        return value

    return g


def _modules() -> list[Any]:
    def sign(t: float) -> float:
        return math.copysign(1.0, t) if t else 0.0

    return [{"sign": sign, "Abs": abs}, "math"]


def _reach(g: Function, text: str) -> float:
    """How far out the activation has weight; beyond it has none for any coefficient."""
    reach = _NEAREST
    while max(abs(g(reach)), abs(g(-reach))) * math.exp(-(reach**2) / 4) > 1e-19 * (1.0 + abs(g(1.0)) + abs(g(-1.0))):
        reach += 1.0
        if reach > _FARTHEST:
            raise InputError(f"The activation {text} grows too fast: its variance over Gaussian inputs is not finite.")
    return reach


def _breaks(expr: sp.Expr, x: sp.Symbol, reach: float) -> list[float]:
    """Where an absolute value or a sign changes."""
    found: set[float] = set()
    steps = 4096
    for node in expr.atoms(sp.Abs, sp.sign):
        inner = sp.lambdify(x, node.args[0], modules=_modules())
        grid = [reach * (2 * i + 1 - steps) / steps for i in range(steps)]
        values = [inner(t) for t in grid]
        pairs = itertools.pairwise(zip(grid, values, strict=True))
        found |= {_bisected(inner, a, b) for (a, low), (b, high) in pairs if low * high < 0.0}
    return sorted(found)


def _bisected(f: Function, low: float, high: float) -> float:
    rising = f(high) > 0
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if (f(middle) > 0) == rising else (middle, high)
    middle = 0.5 * (low + high)
    return 0.0 if abs(middle) < 1e-15 else middle


def _jumps(g: Function, breaks: list[float]) -> bool:
    return any(abs(g(b + 1e-9) - g(b - 1e-9)) > 1e-6 * (1.0 + abs(g(b + 1e-9))) for b in breaks)


@lru_cache(maxsize=1)
def _legendre() -> tuple[tuple[float, float], ...]:
    nodes = []
    for i in range(1, _NODES + 1):
        t = math.cos(math.pi * (i - 0.25) / (_NODES + 0.5))
        for _ in range(8):
            p, before = 1.0, 0.0
            for k in range(1, _NODES + 1):
                p, before = ((2 * k - 1) * t * p - (k - 1) * before) / k, p
            slope = _NODES * (t * p - before) / (t * t - 1)
            t -= p / slope
        nodes.append((t, 2.0 / ((1 - t * t) * slope * slope)))
    return tuple(nodes)


def _panels(breaks: list[float], reach: float, width: float) -> list[tuple[float, float]]:
    """Nodes with Gaussian weights."""
    borders = [-reach, *breaks, reach]
    found = []
    for low, high in itertools.pairwise(borders):
        count = max(1, math.ceil((high - low) / width))
        half = 0.5 * (high - low) / count
        for i in range(count):
            middle = low + (2 * i + 1) * half
            for t, w in _legendre():
                at = middle + half * t
                found.append((at, half * w * math.exp(-0.5 * at * at) / math.sqrt(2 * math.pi)))
    return found


def _squares(g: Function, nodes: list[tuple[float, float]]) -> Iterator[float]:
    """The squared Hermite coefficients, from the first on."""
    values = [(at, w * g(at)) for at, w in nodes]
    mean = math.fsum(v for _, v in values) / math.fsum(w for _, w in nodes)
    points = [at for at, _ in nodes]
    weighted = [v - mean * w for (_, v), (_, w) in zip(values, nodes, strict=True)]
    before, now, k = [0.0] * len(points), [1.0] * len(points), 0
    while True:
        a, b = 1.0 / math.sqrt(k + 1), math.sqrt(k / (k + 1))
        before, now = now, [a * x * p - b * r for x, p, r in zip(points, now, before, strict=True)]
        k += 1
        yield math.fsum(v * p for v, p in zip(weighted, now, strict=True)) ** 2


def _moments(g: Function, nodes: list[tuple[float, float]], count: int) -> list[float]:
    """Variance and the first squared coefficients."""
    values = [g(at) for at, _ in nodes]
    weights = [w for _, w in nodes]
    mean = math.fsum(w * v for w, v in zip(weights, values, strict=True)) / math.fsum(weights)
    variance = math.fsum(w * (v - mean) ** 2 for w, v in zip(weights, values, strict=True))
    squares = _squares(g, nodes)
    return [variance, *(next(squares) for _ in range(count))]


def _mean_square_slopes(
    expr: sp.Expr, x: sp.Symbol, text: str, breaks: list[float], nodes: list[tuple[float, float]]
) -> tuple[float, float]:
    r""":math:`E[g'^2]` and :math:`E[g''^2]`, the derivatives of the kernel at overlap 1; infinite past a jump."""
    found = []
    for order in (1, 2):
        if math.inf in found or _jumps(_function(expr, x, text), breaks):
            found.append(math.inf)
            continue
        expr = sp.diff(expr, x).replace(sp.DiracDelta, lambda *_: sp.Integer(0))
        slope = _function(expr, x, f"{'first' if order == 1 else 'second'} derivative of {text}")
        found.append(math.fsum(w * slope(at) ** 2 for at, w in nodes))
    return found[0], found[1]
