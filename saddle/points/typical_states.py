r"""States of typical solutions: the roots of the equation of a state's overlap at ``m = 1``.

At :math:`m = 1` the free entropy is the replica-symmetric one for any :math:`q_1`, and :math:`q_0 = q_\mathrm{RS}`
whatever :math:`q_1` is: the latter alone is left to its own equation.  Its trivial root is :math:`q_1 = q_0`.  Another one
says that typical solutions lie in states (Monasson 1995; Mézard & Montanari 2006: a solution is followed from itself, so
that the largest root counts).  Since one unknown is left, all roots are found: by the sign of the equation over
:math:`x = (q_1 - q_0) / (1 - q_0)`, on a grid in the logit of ``x`` and, where it comes near zero without a change of
sign, at its extremum.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from replica.ansatz import conjugate
from saddle.points.problem import Problem, Vector
from saddle.points.results import SaddlePoint

if TYPE_CHECKING:
    from saddle.kernels.quadrature import Rule
    from saddle.points.setting import Setting

_GRID = np.linspace(-13.5, 13.5, 55)
"""Logits of ``x``: from a state that is as good as the trivial root to one with no volume left."""
_ROOT = 1e-9
"""Accuracy of a root, from which Newton's method starts."""


def state_roots(
    setting: Setting, problem: Problem, symmetric: SaddlePoint, inner: list[str], rule: Rule
) -> list[Vector] | None:
    """Return coordinates at the roots of the equation of a state's overlap, the largest first; None if there are several.

    Parameters
    ----------
    setting, problem : Setting, Problem
        The problem at ``m = 1``.
    symmetric : SaddlePoint
        The replica-symmetric saddle at the same parameters.
    inner : list of str
        The overlaps inside of states: one, or else they are not a matter of one equation.
    rule : Rule
    """
    if not symmetric.converged or len(inner) != 1:
        return None
    at, excess = _equation(problem, split_coordinates(setting, problem, symmetric, inner[0]), inner[0], rule)
    known = [(float(s), excess(float(s))) for s in _GRID]
    known = [(s, value) for s, value in known if math.isfinite(value)]
    return [at(s) for s in sorted(_roots(excess, known), reverse=True)]


def split_coordinates(setting: Setting, problem: Problem, symmetric: SaddlePoint, inner: str) -> Vector:
    """The replica-symmetric saddle as coordinates, with a state's overlap halfway to the norm."""
    overlaps = {name: collapsed(setting, symmetric)[name] for name in problem.active}
    norm = overlaps.get(problem.shape.norm_of.get(inner, ""), 1.0)
    return problem.to_coordinates({**overlaps, inner: 0.5 * (overlaps[inner] + norm)})


def collapsed(setting: Setting, symmetric: SaddlePoint) -> dict[str, float]:
    """The replica-symmetric saddle as order parameters of the broken ansatz, without its multiplicity."""
    assert symmetric.target is not None
    broken, unbroken = setting.ansatz, symmetric.target[1]
    names, known = {**unbroken.names(), **unbroken.zero_names()}, symmetric.order_parameters
    found: dict[str, float] = {}
    for key, name in {**broken.names(), **broken.zero_names()}.items():
        there = names[key] if key in names else names[(unbroken.tree.name, *key[1:])]
        found |= {name: known[there], conjugate(name): known[conjugate(there)]}
    return found


def _equation(
    problem: Problem, x: Vector, inner: str, rule: Rule
) -> tuple[Callable[[float], Vector], Callable[[float], float]]:
    """Coordinates at a logit of ``x``, and the equation of a state's overlap over ``x``, nan outside the domain."""
    place = problem.unknown.index(inner)

    def at(s: float) -> Vector:
        moved = x.copy()
        moved[place] = s
        return moved

    def excess(s: float) -> float:
        state = problem.state(at(s), rule, jacobian=False)
        return math.nan if state is None else float(state.relative[place]) * (1.0 + math.exp(-s))

    return at, excess


def _roots(excess: Callable[[float], float], known: list[tuple[float, float]]) -> list[float]:
    """The zeros of a function that is known on a grid, also where it has two between neighbours."""
    from scipy.optimize import brentq

    points = sorted([*known, *_extrema(excess, known)])
    return [float(brentq(excess, a, b, xtol=_ROOT)) for (a, low), (b, high) in pairwise(points) if low * high < 0.0]


def _extrema(excess: Callable[[float], float], known: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Where the function comes closest to zero between points of a grid with one sign."""
    from scipy.optimize import minimize_scalar

    found = []
    for (a, low), (_, here), (b, high) in zip(known, known[1:], known[2:], strict=False):
        sign = math.copysign(1.0, here)
        if low * here > 0.0 < high * here and abs(here) <= min(abs(low), abs(high)):
            best = minimize_scalar(lambda s, sign=sign: sign * excess(s), bounds=(a, b), method="bounded")
            found.append((float(best.x), sign * float(best.fun)))
    return found
