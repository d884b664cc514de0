r"""Losses under noise on a grid: an evaluation that shares nothing with that of the kernels but the formula of the loss.

The noise is integrated between the kinks of a loss by Gauss-Legendre rules.  The result is a function of the mean alone at
given variance and temperature, so that it is evaluated on a fine lattice and read off a spline of ninth degree.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import sympy as sp

_NODES, _REACH = 120, 13.0
_LATTICE, _BEYOND = 0.06, 12
"""Spacing of the lattice in deviations of the noise, and how many of its points lie beyond the means in use."""


def named(expr: sp.Expr) -> tuple[sp.Expr, dict[str, Callable[..., Any]]]:
    """Return the expression with every function of a loss as one of (mean, variance, temperature), and their values."""
    import sympy as sp

    from replica.parts.noisy_losses import NOISY, LogNoisy, Noisy

    functions: dict[str, Callable[..., Any]] = {}

    def replaced(node: sp.Expr) -> sp.Expr:
        kind = "factor" if isinstance(node, Noisy) else "log" if isinstance(node, LogNoisy) else node.orders
        name = f"loss_{abs(hash((node.args[3], kind)))}"
        functions[name] = _function(node.args[3], kind)
        return sp.Function(name)(*node.args[:3])

    return expr.replace(lambda e: isinstance(e, NOISY), replaced), functions


def _function(name: Any, kind: Any) -> Callable[..., Any]:
    from scipy.interpolate import make_interp_spline

    def values(mean: Any, variance: Any, beta: Any) -> Any:
        v, b = float(np.ravel(variance)[0]), float(np.ravel(beta)[0])
        at, spacing = np.asarray(mean, dtype=float), _LATTICE * math.sqrt(v)
        first = math.floor(float(np.min(at)) / spacing) - _BEYOND
        last = math.ceil(float(np.max(at)) / spacing) + _BEYOND
        lattice = spacing * np.arange(first, last + 1)
        found = make_interp_spline(lattice, _tilted(name, lattice, v, b, kind), k=9)(at)
        return np.exp(found) if kind == "factor" else found

    return values


def _tilted(name: Any, mean: np.ndarray, v: float, b: float, kind: Any) -> np.ndarray:
    """The logarithm of the average of the factor, or a joint cumulant of the noise and minus the loss."""
    loss, kinks = written(name)
    parts = [(z, w, loss(mean[:, None] + math.sqrt(v) * z)) for z, w in panels(mean, math.sqrt(v), kinks)]
    z, w, cost = (np.concatenate(rows, axis=1) for rows in zip(*parts, strict=True))
    exponent = -b * cost - 0.5 * z * z
    top = np.max(exponent, axis=1, keepdims=True)
    weight = w * np.exp(exponent - top)
    total = np.sum(weight, axis=1, keepdims=True)
    if isinstance(kind, str):
        return np.asarray(top[:, 0] + np.log(total[:, 0] / math.sqrt(2.0 * math.pi)))
    k, j = kind
    weight = weight / total
    if k + j == 1:
        return np.sum(weight * (z / math.sqrt(v) if k else -cost), axis=1)
    z, cost = (x - np.sum(weight * x, axis=1, keepdims=True) for x in (z, cost))
    joint = np.sum(weight * z**k * (-cost) ** j, axis=1)
    if (k, j) == (4, 0):
        joint -= 3.0 * np.sum(weight * z * z, axis=1) ** 2
    return np.asarray((joint - ((k, j) == (2, 0))) / v ** (0.5 * k))


def written(name: Any) -> tuple[Callable[[Any], Any], list[float]]:
    """Return a loss by name as a function of arrays, and its kinks."""
    import sympy as sp

    from replica.parts.losses import written_out
    from replica.parts.noisy_losses import loss_of

    x, loss = sp.Symbol("x"), loss_of(name)
    formula = written_out(loss(x))
    function = sp.lambdify(x, formula, modules=[{"Softplus": lambda y: np.logaddexp(0.0, y)}, "numpy"])
    return lambda y: function(y) + 0.0 * y, sorted(float(place) for place, _ in loss.kinks)


def panels(mean: np.ndarray, sd: float, kinks: list[float]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield nodes in deviations, along a new last axis, and their weights: between the kinks, as seen from every mean."""
    x, w = np.polynomial.legendre.leggauss(_NODES)
    inner = [np.clip((kink - mean) / sd, -_REACH, _REACH) for kink in kinks]
    for low, high in pairwise([np.full_like(mean, -_REACH), *inner, np.full_like(mean, _REACH)]):
        half = 0.5 * (high - low)[..., None]
        yield low[..., None] + half + half * x, half * w
