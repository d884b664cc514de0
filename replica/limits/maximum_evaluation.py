"""The oracle's maxima: found by a scan in double precision and Newton's method in as many digits as the rest."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import mpmath
import sympy as sp

from replica.limits.maximum import AtMaximum, Maximum

Evaluator = Callable[[dict[sp.Symbol, Any]], Any]
_SCAN = 40
"""Points of the scan on each side of the origin."""


def evaluator(node: Maximum | AtMaximum, compiled: Callable[[sp.Expr], Evaluator]) -> Evaluator:
    """Return the function of the environment that evaluates a node; ``compiled`` does so for what is inside of it."""
    at = node.at_maximiser() if isinstance(node, Maximum) else node
    z, site = node.variable, node.site
    slope = sp.diff(node.body, z)
    functions = [compiled(e) for e in (node.body, slope, sp.diff(slope, z))]
    value, variance = compiled(at.value if isinstance(at, AtMaximum) else at), compiled(node.variance)
    sites: list[dict[Any, Any]] = [{}] if site is None else [{site[0]: mpmath.mpf(v.p) / v.q} for v in site[1]]

    def run(environment: dict[sp.Symbol, Any]) -> Any:
        return value({**environment, **_maximiser(environment, z, variance(environment), sites, functions)})

    return run


def _maximiser(
    environment: Mapping[sp.Symbol, Any], z: sp.Symbol, v: Any, sites: list[dict[Any, Any]], functions: list[Evaluator]
) -> dict[sp.Symbol, Any]:
    """The variables of the maximum at their best values."""
    best, place = -mpmath.inf, {z: mpmath.mpf(0), **sites[0]}
    for chosen in sites:
        local = {**environment, **chosen}

        def at(x: Any, which: int, local: dict[Any, Any] = local) -> Any:
            local[z] = mpmath.mpf(x)
            return functions[which](local)

        def objective(x: Any, at: Callable[..., Any] = at) -> Any:
            return mpmath.sign(v) * at(x, 0) - x * x / (2 * abs(v)) if v != 0 else at(x, 0)

        for start in _starts(objective, v):
            x = _refined(start, v, at)
            if (value := objective(x)) > best:
                best, place = value, {z: x, **chosen}
    return place


def _starts(objective: Callable[[Any], Any], v: Any) -> list[Any]:
    """The local maxima of a scan of an interval beyond which the objective falls."""
    if v == 0:
        return [mpmath.mpf(0)]
    with mpmath.workdps(15):
        reach, middle = mpmath.sqrt(abs(v)), objective(mpmath.mpf(0))
        while max(objective(reach), objective(-reach)) >= middle - 0.5:
            reach *= 2
        grid = [reach * mpmath.mpf(i) / _SCAN for i in range(-_SCAN - 1, _SCAN + 2)]
        heights = [objective(x) for x in grid]
        triples = itertools.pairwise(itertools.pairwise(zip(grid, heights, strict=True)))
        return [b[0] for (a, b), (_, c) in triples if a[1] <= b[1] > c[1]]


def _refined(x: Any, v: Any, at: Callable[..., Any]) -> Any:
    """Newton's method on ``z = v f'(z)``."""
    for _ in range(200):
        step = (x - v * at(x, 1)) / (1 - v * at(x, 2))
        x -= step
        if abs(step) <= mpmath.mpf(10) ** (5 - mpmath.mp.dps) * (abs(x) + mpmath.mpf(10) ** -10):
            break
    return x
