r"""Saddles with broken replica symmetry: a multiplicity that the free entropy is extremised over unless it is given.

The saddle equations at a given Parisi parameter ``m`` have two kinds of solution.  In the *collapsed* one the overlap inside
of a state is that between states, which is replica symmetry again: it is rejected and said to be.  A genuine one is
sought from the replica-symmetric overlap, split by more and more.  Where ``m`` is not given, it is the zero of the
complexity :math:`\Sigma = -m^2\, \partial_m \phi`, found by following the genuine solution in ``m``.  Of several solutions
at a given ``m``, that along which the complexity decreases with ``m`` is taken: the other ones describe no states.  At
``m = 1`` every solution is known (:mod:`saddle.points.typical_states`); where none is found near the symmetric one, that is
followed in ``m``.

For discrete weights whose patterns are fulfilled or violated there is always the *frozen* solution as well, whose states are
single configurations (:mod:`saddle.points.frozen`); it is the answer where no other was found.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from replica.parts.hardness import is_hard
from saddle.points.clusters import cluster_point, entropies
from saddle.points.frozen import Symmetric, freezes, frozen_point, isolates
from saddle.points.newton import Attempt, FixedPoint, newton
from saddle.points.outcome import not_converged, without_value
from saddle.points.problem import Problem, State, Vector
from saddle.points.results import Iteration, SaddlePoint, Status
from saddle.points.setting import Setting
from saddle.points.thermal import temperature
from saddle.points.typical_states import state_roots

if TYPE_CHECKING:
    from saddle.kernels.quadrature import Rule

ProblemAt = Callable[[float], Problem]
Start = SaddlePoint | Mapping[str, float] | None

_MAP_STEPS = 24
_SPLITS = (0.25, 0.5, 0.1, 0.75, 0.03)
"""Fractions of what the replica-symmetric overlap has left to 1, by which a state's overlap starts above it."""
_PARAMETERS = (0.5, 0.25, 0.75, 0.1, 0.04, 0.9)
"""Values of ``m`` at which a genuine solution is sought first."""
_COLLAPSED = 1e-6
_SMALLEST = 1e-7
_MOST_STEPS = 80
_LONGEST_STEP = 0.5
"""Of the branch from the solution at ``m = 1``."""
_DOWNWARDS, _SLOWEST = 0.7, 0.999
"""Factors of ``m`` on the way to a smaller one."""
_CONCAVE = "The complexity increases with {} along this saddle: the entropies of states would have a negative variance."
_NUDGE = 1e-3
_SECANTS = 8
_NEAR = 0.3
_CONVERGED = 1e-12
"""Polishing a zero in ``ln m``: the first step, the most of them, how far they may lead, and the last one."""


@dataclass(frozen=True)
class Broken:
    """A genuine solution at one ``m``, with its complexity."""

    m: float
    problem: Problem
    state: State
    complexity: float
    iterations: tuple[Iteration, ...]


def broken_point(
    setting: Setting,
    values: Mapping[str, float],
    start: Start,
    tolerance: float,
    symmetric: Symmetric,
) -> SaddlePoint:
    """Return the saddle under an ansatz with an extremised multiplicity, or the reason why there is none.

    Parameters
    ----------
    setting, values, start, tolerance
        As for any point; ``values`` may lack the multiplicity.
    symmetric : callable
        Returns the replica-symmetric saddle at the same parameters or a changed temperature, needed at ``m = 1``, for
        frozen solutions and where no genuine solution is found.
    """
    from saddle.points.solving import problem_of

    (name,) = setting.ansatz.extremised

    def problem_at(m: float) -> Problem:
        return problem_of(setting, {**values, name: m}, None)

    m, frozen = values.get(name), None
    if m == 1.0 and (point := symmetric({}, None)).status.is_answer and not point.converged:
        message = f"At {name} = 1 the free entropy is the replica-symmetric one. {point.message}"
        return without_value(setting, values, point.status, message, point.iterations, tolerance)
    if freezes(setting, values):
        frozen = frozen_point(setting, values, symmetric, tolerance)
        # at m = 1 the largest root is the frozen one
        if frozen.converged and (m == 1.0 or (start is None and temperature(setting) and frozen["stable"])):
            return frozen
    solve_symmetric = partial(symmetric, {}, None)
    search = Search(setting, name, problem_at, tolerance, None if isolates(setting.model) else solve_symmetric)
    found, attempt = None, None
    if frozen is None or m != 1.0:
        found, attempt = search.extremum(start) if m is None else search.given(m, start)
    if found is not None:
        point = cluster_point(setting, found.problem, values, found.state, found.iterations, tolerance)
        if search.concave:
            return replace(point, warnings=(*point.warnings, _CONCAVE.format(name)))
        return replace(point, message=f"{point.message} {_at_one(point)}".rstrip()) if m == 1.0 else point
    if frozen is not None and frozen.converged:
        return frozen
    if search.beyond is not None:
        return _not_condensed(setting, values, search.beyond, tolerance)
    if search.fold is not None:
        message = (
            f"No saddle with broken symmetry at {name} = {m:g}: the states of typical solutions, followed from {name} = 1, "
            f"end in a fold at {name} = {search.fold:.8g}."
        )
        return without_value(setting, values, Status.NO_SADDLE, message, (), tolerance)
    if attempt is not None and attempt.state is not None and search.collapsed:
        return _collapsed(setting, values, attempt.state, search.roots == [], tolerance)
    return _without_volume(setting, values, solve_symmetric(), tolerance) or not_converged(
        setting, values, attempt or Attempt(None, (), False), tolerance
    )


class Search:
    """Looks for genuine solutions of one setting."""

    def __init__(
        self,
        setting: Setting,
        name: str,
        problem_at: ProblemAt,
        tolerance: float,
        solve_symmetric: Callable[[], SaddlePoint] | None,
    ) -> None:
        self.setting, self.name, self.problem_at, self.tolerance = setting, name, problem_at, tolerance
        self.solve_symmetric = solve_symmetric
        self.collapsed = False
        """Whether the collapsed solution was met."""
        self.beyond: Broken | None = None
        """A solution without complexity at ``m > 1``, where ``m`` is no share of a distribution."""
        self.concave = False
        """Whether the solution at the ``m`` asked for describes no states, and none was found that does."""
        self.fold: float | None = None
        """Where the solution at ``m = 1`` ends in a fold on the way to another ``m``."""

    @property
    def rule(self) -> Rule:
        """The plain rule."""
        return self.setting.rule

    @cached_property
    def roots(self) -> list[Vector] | None:
        """Coordinates of all solutions at ``m = 1`` but the collapsed one; None where one equation does not give them."""
        if self.solve_symmetric is None:
            return None
        problem = self.problem_at(1.0)
        return state_roots(self.setting, problem, self.solve_symmetric(), inner_pivots(problem), self.rule)

    @cached_property
    def typical(self) -> Broken | None:
        """The genuine solution at ``m = 1``."""
        return self.at(1.0)[0] if self.roots else None

    def given(self, m: float, start: Start) -> tuple[Broken | None, Attempt | None]:
        """A genuine solution at one ``m``, if need be followed from that at ``m = 1``; or the last attempt."""
        found, attempt = self.at(m, start)
        if found is not None and m != 1.0 and not self._is_convex(found):
            convex = self._from_larger(m)
            self.concave, found = convex is None, convex or found
        return (self._followed(m) if found is None and m != 1.0 else found), attempt

    def _is_convex(self, found: Broken) -> bool:
        r"""Whether the complexity decreases in ``m``: :math:`\Sigma' = -m\,\Phi''`, and :math:`\Phi''` is a variance.

        It is that of the entropies of states; where it is negative, the saddle describes no states.
        """
        moved = self._moved(found, found.m * (1.0 + _NUDGE))
        return moved is None or moved.complexity < found.complexity

    def _from_larger(self, m: float) -> Broken | None:
        """The genuine solution at one ``m`` with a convex free entropy, followed from one at a larger ``m``."""
        for larger in sorted(value for value in _PARAMETERS if value > m):
            here, ratio = self.at(larger)[0], _DOWNWARDS
            while here is not None and here.m > m and ratio < _SLOWEST:
                moved = self._moved(here, max(m, here.m * ratio))
                here, ratio = (here, math.sqrt(ratio)) if moved is None else (moved, ratio)
            if here is not None and here.m == m and self._is_convex(here):
                return here
        return None

    def _followed(self, m: float) -> Broken | None:
        """The genuine solution at one ``m``, along the branch from that at ``m = 1`` unless it folds before."""
        from saddle.lines.following import follow

        if (one := self.typical) is None:
            return None
        start = cluster_point(self.setting, one.problem, one.problem.parameters, one.state, one.iterations, self.tolerance)
        if not start.converged:
            return None
        branch = follow(start, self.name, m, target=(self.setting.model, self.setting.ansatz), longest=_LONGEST_STEP)
        self.fold = next((special.value for special in branch.special if special.kind == "fold"), None)
        if self.fold is not None or branch.last.parameters[self.name] != m:
            return None
        problem = self.problem_at(m)
        x = problem.to_coordinates(branch.last.order_parameters)
        return self._genuine(m, problem, newton(problem, x, self.rule, self.tolerance))

    def at(self, m: float, start: Start = None) -> tuple[Broken | None, Attempt | None]:
        """A genuine solution at one ``m``, or the last attempt that led to none."""
        problem = self.problem_at(m)
        last = None
        for x in self._starts(problem, start):
            attempt = newton(problem, x, self.rule, self.tolerance)
            last = attempt if attempt.converged or last is None else last
            if (found := self._genuine(m, problem, attempt)) is not None:
                return found, attempt
        return None, last

    def extremum(self, start: Start) -> tuple[Broken | None, Attempt | None]:
        """The genuine solution whose complexity vanishes."""
        known = dict(start.order_parameters if isinstance(start, SaddlePoint) else start or {})
        first = [known[self.name]] if known.get(self.name, 0.0) > 0.0 else []
        attempt: Attempt | None = None
        for m in (*first, *_PARAMETERS):
            found, attempt = self.at(m, start)
            if found is None:
                continue
            zero = self._polished(found) if first else None
            if (zero := zero or self._without_complexity(found)) is not None:
                return self._condensed(zero), attempt
        zero = None if self.typical is None else self._without_complexity(self.typical)
        return (None if zero is None else self._condensed(zero)), attempt

    def _condensed(self, zero: Broken) -> Broken | None:
        """The solution without complexity, if its ``m`` is one: at most 1."""
        if zero.m <= 1.0 + _SMALLEST:
            return zero
        self.beyond = zero
        return None

    def _polished(self, here: Broken) -> Broken | None:
        """The zero of the complexity near a solution, by the secant alone; None where that leads away from it."""
        origin, there = here, self._moved(here, here.m * (1.0 + _NUDGE))
        for _ in range(_SECANTS):
            if there is None or there.complexity == here.complexity:
                return None
            slope = (math.log(there.m) - math.log(here.m)) / (there.complexity - here.complexity)
            x = math.log(there.m) - there.complexity * slope
            if abs(x - math.log(there.m)) < _CONVERGED:
                return there
            if abs(x - math.log(origin.m)) > _NEAR:
                return None
            here, there = there, self._moved(there, math.exp(x))
        return None

    def _without_complexity(self, here: Broken) -> Broken | None:
        """Follow a genuine solution to where its complexity vanishes: regula falsi in ``ln m``, safeguarded."""
        there, step = here, 0.4
        while there.complexity * here.complexity > 0.0:
            here = there
            m = here.m * math.exp(math.copysign(step, here.complexity))
            moved = self._moved(here, m)
            if moved is None:
                step /= 2.0
                if step < 1e-3:
                    return None
                continue
            there = moved
            if not _SMALLEST < there.m < 4.0:
                return None
        return self._zero(here, there)

    def _zero(self, a: Broken, b: Broken) -> Broken | None:
        """The zero between two solutions, by the secant through the last two and bisection where that is slow."""
        ends = sorted((a, b), key=lambda found: found.m)
        last, here = (a, b) if abs(b.complexity) < abs(a.complexity) else (b, a)
        for _ in range(_MOST_STEPS):
            if here.complexity == 0.0 or here.m == last.m:
                return here
            slope = (math.log(here.m) - math.log(last.m)) / (here.complexity - last.complexity)
            x = math.log(here.m) - here.complexity * slope
            low, high = math.log(ends[0].m), math.log(ends[1].m)
            if not low < x < high:
                x = 0.5 * (low + high)
            if abs(x - math.log(here.m)) < 1e-13:
                return here
            moved = self._moved(here, math.exp(x))
            if moved is None:
                return None
            ends[0 if moved.complexity * ends[0].complexity > 0.0 else 1] = moved
            if abs(moved.complexity) >= abs(here.complexity) and abs(moved.m / here.m - 1.0) < 1e-9:
                return here
            last, here = here, moved
        return None

    def _moved(self, here: Broken, m: float) -> Broken | None:
        """The genuine solution at another ``m``, from one nearby."""
        problem = self.problem_at(m)
        attempt = newton(problem, here.state.coordinates, self.rule, self.tolerance)
        log = (*here.iterations, *(i._replace(step=len(here.iterations) + i.step) for i in attempt.iterations))
        return self._genuine(m, problem, attempt._replace(iterations=log))

    def _genuine(self, m: float, problem: Problem, attempt: Attempt) -> Broken | None:
        """The solution if it is converged, not past a fold and not collapsed."""
        state = attempt.state
        if not attempt.converged or state is None:
            return None
        if is_collapsed(problem, state):
            self.collapsed = True
            return None
        if state.orientation < 0:
            return None
        complexity = entropies(problem, state, self.rule).complexity
        return Broken(m, problem, state, complexity, attempt.iterations)

    def _starts(self, problem: Problem, start: Start) -> Iterator[Vector]:
        """Coordinates to start from: the given ones, then the symmetric overlap split by more and more."""
        known = dict(start.order_parameters if isinstance(start, SaddlePoint) else start or {})
        if {*problem.unknown} <= known.keys():
            yield problem.to_coordinates(known)
        if problem.parameters[self.name] == 1.0:
            yield from self.roots or ()
        origin = FixedPoint(problem, self.rule)
        if origin.advance(_MAP_STEPS):
            root = 0.0 if problem.meta["zero"] else origin.overlaps[problem.pivots[0]]
            yield from (problem.to_coordinates(_split(problem, origin, root, part)) for part in _SPLITS)


def _split(problem: Problem, origin: FixedPoint, root: float, part: float) -> dict[str, float]:
    """Overlaps that open from the symmetric one: the outermost goes down a little, the others up."""
    norm = {name: origin.overlaps.get(problem.shape.norm_of.get(name, ""), 1.0) for name in problem.pivots}
    inner = {name: root + part * (norm[name] - root) for name in inner_pivots(problem)}
    outer = {name: root * (1.0 - 0.5 * part) for name in problem.pivots if name not in inner}
    return {**origin.overlaps, **origin.conjugates, **inner, **outer}


def inner_pivots(problem: Problem) -> list[str]:
    """The overlaps inside of states: all but the outermost, which an even model does not have."""
    return problem.pivots if problem.meta["zero"] else problem.pivots[1:]


def is_collapsed(problem: Problem, state: State) -> bool:
    """Whether an overlap inside of states is that between them."""
    inner = inner_pivots(problem)
    return any(state.pivots[k] < _COLLAPSED * (state.pivots[k] + state.place.remaining[k]) for k in inner)


def _collapsed(
    setting: Setting, values: Mapping[str, float], state: State, alone: bool, tolerance: float
) -> SaddlePoint:
    """The statement that only the collapsed solution was found, and at ``m = 1`` that it is ``alone``."""
    names, (name,) = list(state.overlaps), setting.ansatz.extremised
    at = f" at {name} = {values[name]:g}" if name in values else ""
    message = (
        f"No saddle with broken symmetry{at}: the equations lead to the collapsed root {' = '.join(names)} = "
        f"{state.overlaps[names[0]]:.10g}, which is the replica-symmetric one, and is rejected."
    )
    if alone and values.get(name) == 1.0:
        message += " It is the only root there: typical solutions are not divided into states."
    return without_value(setting, values, Status.NO_SADDLE, message, (), tolerance)


def _without_volume(
    setting: Setting, values: Mapping[str, float], symmetric: SaddlePoint, tolerance: float
) -> SaddlePoint | None:
    """The answer beyond the load at which the volume of all states vanishes, None below it."""
    if symmetric.status is Status.NO_SADDLE:
        return without_value(setting, values, symmetric.status, symmetric.message, symmetric.iterations, tolerance)
    if setting.model.weights.discrete or not is_hard(setting.model) or not symmetric.converged:
        return None
    from saddle.critical.capacities import capacity

    limit = capacity(setting.model, values["kappa"], ansatz=setting.ansatz, tolerance=tolerance)
    if not limit.converged or values["alpha"] < limit.value:
        return None
    message = (
        f"There is no saddle at alpha = {values['alpha']:g}: with broken symmetry the volume of the last states vanishes at "
        f"the capacity {limit.value:.10g}; ask for a smaller load or margin."
    )
    return without_value(setting, values, Status.NO_SADDLE, message, (), tolerance)


def _not_condensed(setting: Setting, values: Mapping[str, float], beyond: Broken, tolerance: float) -> SaddlePoint:
    """The statement that states have a complexity up to ``m = 1``, where their free entropy is replica-symmetric."""
    (name,) = setting.ansatz.extremised
    message = (
        f"No saddle with broken symmetry at {name} <= 1: the complexity vanishes at {name} = {beyond.m:.6g} only. Up to "
        f"{name} = 1, where the free entropy is the replica-symmetric one, there are exponentially many states."
    )
    return without_value(setting, values, Status.NO_SADDLE, message, (), tolerance)


def _at_one(point: SaddlePoint) -> str:
    """What a genuine solution at ``m = 1`` says about typical solutions."""
    complexity, error = (float(point[name] or 0.0) for name in ("complexity", "complexity_error"))
    unbroken = "At m = 1 the free entropy is the replica-symmetric one"
    if complexity > error:
        return f"{unbroken}: typical solutions lie in exponentially many states."
    if complexity < -error:
        return f"{unbroken}: states have condensed, and the m without complexity is smaller."
    return f"{unbroken}, and states condense."
