"""States at low temperatures, followed from higher ones.

At a small inverse temperature the fixed-point map contracts and a state is found without a start; the colder the patterns,
the larger the conjugates, up to where no start leads anywhere.  The temperatures of probes and reference are lowered
together, at a constant ratio, and the distance is kept larger than the typical one, at which overlaps of both
coincide and their coordinates degenerate; the branch leads from there to the distance asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from saddle.kernels.quadrature import Rule
from saddle.points.newton import Attempt, newton
from saddle.points.problem import Problem

_WARMEST = 1e-2
"""Share of the inverse temperatures down to which a first state is sought."""
_SHORTEST = 1.01
"""Factor between temperatures at which the state counts as lost."""


def cooled(
    values: Mapping[str, float],
    temperatures: tuple[str, ...],
    problem_at: Callable[[Mapping[str, float]], Problem | None],
    cold: Callable[[Problem], Attempt],
    rule: Rule,
    tolerance: float,
) -> Attempt | None:
    """Return the solution at ``values``, followed from smaller inverse temperatures; None where it is not reached.

    Parameters
    ----------
    values : mapping
        The parameters, among them the ``temperatures``, of which infinite ones stay as they are.
    problem_at : callable
        The problem at other parameters, None where it has none.
    cold : callable
        A solver without a start.
    """
    names = [name for name in temperatures if math.isfinite(values[name])]

    def attempt(share: float, start: Attempt | None) -> Attempt:
        problem = problem_at({**values, **{name: share * values[name] for name in names}})
        if problem is None:
            return Attempt(None, (), False)
        if start is None or start.state is None:
            return cold(problem)
        return newton(problem, start.state.coordinates, rule, tolerance, most=15)

    share, here = 1.0, Attempt(None, (), False)
    while names and not _good(here) and share > _WARMEST:
        share /= 2.0
        here = attempt(share, None)
    factor = 2.0
    while _good(here) and share < 1.0 and factor > _SHORTEST:
        colder = min(1.0, share * factor)
        there = attempt(colder, here)
        if _good(there):
            share, here = colder, there
        else:
            factor = math.sqrt(factor)
    return here if _good(here) and share == 1.0 else None


def _good(attempt: Attempt) -> bool:
    return attempt.converged and attempt.state is not None and attempt.state.orientation >= 0
