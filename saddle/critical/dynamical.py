r"""Where typical solutions fall into states, and where these condense: the dynamical transition and condensation.

At ``m = 1`` the overlap of a state has an equation of its own (:mod:`saddle.points.typical_states`).  Along its
non-trivial roots the load is a function of :math:`x = (q_1 - q_0) / (1 - q_0)`, which begins at :math:`x \to 0` on the de
Almeida-Thouless line: the equation over ``x`` is the replicon there.  Where it falls at first, states appear
at a smaller load, in a fold, :math:`\alpha_d`, apart from the symmetric overlap and with a complexity, which vanishes on the
root beyond the fold at :math:`\alpha_K`, the static transition.  Where it rises, both are on that line: states part from the
symmetric overlap and have no complexity.

References: Kirkpatrick & Thirumalai, Phys. Rev. B 36, 5388 (1987); Franz, Parisi, Sevelev, Urbani & Zamponi, SciPost Phys.
2, 019 (2017); Baldassi, Malatesta, Perugini & Zecchina, Phys. Rev. E 108, 024310 (2023).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import takewhile
from typing import Any

import numpy as np

from replica.parts.hardness import is_hard
from saddle.critical.flat_minima import NotFound, NoTouch
from saddle.critical.instability import Instability, instability, largest_load, scaled_margin, unstable_limit
from saddle.critical.landmark import Axis, Landmark
from saddle.lines.event_lines import LINE_TOLERANCE, EventFamily
from saddle.points.broken import inner_pivots
from saddle.points.clusters import entropies
from saddle.points.fold import BranchPoint, Fold, LoadBranch, judged
from saddle.points.outcome import order_parameters
from saddle.points.problem import Problem
from saddle.points.results import Status
from saddle.points.setting import Setting
from saddle.points.solving import problem_of, solve_point
from saddle.points.typical_states import collapsed, split_coordinates, state_roots
from saddle.systems import solve

NAMES = ("alpha_d", "alpha_K")
_CLOSE, _WIDE, _WIDEST = -8.0, 2.0, 10.0
"""Logits of ``x``: next to the line of de Almeida-Thouless; from which a branch that rises is not followed; and its end."""
_SHARES = (0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.97, 0.99, 0.999)
"""Loads in units of the capacity at which states are looked for where replica symmetry is stable."""
_LOOSE = 1e-9
"""A residual that is left next to the capacity, where a state and its surroundings are both a matter of rounding."""
_NO_COMPLEXITY = 1e-12
"""Rounding of a complexity, whose sign then says nothing."""
_AROUND, _ROUNDING = 1e-3, 16.0
"""How far around a zero of the complexity its rate is taken, and rounding errors of the average that a load multiplies."""
_LARGE, _MOST = 1e3, 1e-5
"""Loads that do, and the largest relative error of one that is still an answer."""
_ROOM = 2e-6
"""What an overlap must leave to 1, lest rounding hides how the load depends on that of a state."""
_EPS = float(np.finfo(float).eps)


def of_states(axis: Axis, name: str) -> Landmark:
    """``alpha_d`` or ``alpha_K``.

    Raises
    ------
    NoTouch, NotFound
        If it does not exist, or was not found.
    """
    model = axis.setting.model
    if is_hard(model) and model.weights.discrete:
        raise NoTouch(_frozen(axis, name))
    states = _states(Setting.of((model, "1rsb")), axis.kappa, axis.tolerance)
    if states.fold is None:
        return _continuous(axis, name, states)
    return _dynamical(axis, states, states.fold) if name == "alpha_d" else _condensed(axis, states)


def _frozen(axis: Axis, name: str) -> str:
    """Why states that are single configurations neither appear at a load nor condense before the solutions end."""
    states = "at m = 1 typical solutions are frozen at every load, in states of one configuration (q1 = 1)"
    if name == "alpha_d":
        return f"{states}, so that there is no load at which states appear."
    end = axis.capacity()
    return f"{states}, whose complexity is the replica-symmetric entropy: it vanishes at alpha_c = {end.value:.10g} only."


@lru_cache(maxsize=64)
def _states(setting: Setting, kappa: float, tolerance: float) -> States:
    """The states at one margin, followed once for both thresholds."""
    return States(setting, kappa, tolerance)


@dataclass(frozen=True)
class States:
    """The branch of non-trivial roots at ``m = 1``, along which the load is a function of a state's overlap."""

    setting: Setting
    kappa: float
    tolerance: float

    def values(self, alpha: float) -> dict[str, float]:
        """All parameters at a load."""
        return {"alpha": alpha, "kappa": self.kappa, self.setting.ansatz.extremised[0]: 1.0}

    def problem(self, alpha: float) -> Problem:
        """The equations at a load."""
        return problem_of(self.setting, self.values(alpha), None)

    @cached_property
    def symmetric(self) -> Setting:
        """The same without states."""
        return Setting.of((self.setting.model, "rs"))

    @cached_property
    def unstable(self) -> Instability | None:
        """Where replica symmetry becomes unstable."""
        return instability(self.symmetric, self.kappa, self.tolerance)

    @cached_property
    def inner(self) -> str:
        """The overlap of a state."""
        names = inner_pivots(self.problem(1.0))
        if len(names) != 1:
            raise NoTouch("states with several overlaps are not a matter of one equation.")
        return names[0]

    @cached_property
    def branch(self) -> LoadBranch:
        """The branch, on which the overlap of a state is held."""
        return LoadBranch(self.problem, self.inner, self.setting.rule)

    def parameters(self, point: BranchPoint) -> dict[str, float]:
        """The order parameters of a point."""
        return {**order_parameters(self.problem(point.alpha), point.state), self.setting.ansatz.extremised[0]: 1.0}

    def logit(self, point: BranchPoint) -> float:
        """Where a point is on the branch."""
        return float(point.state.coordinates[self.branch.at])

    def complexity(self, point: BranchPoint, branch: LoadBranch | None = None) -> float:
        """The complexity of the states at a point of the branch, or of another one by its own rule."""
        rule = self.setting.rule if branch is None else branch.rule
        return entropies(self.problem(point.alpha), point.state, rule).complexity

    @cached_property
    def points(self) -> list[BranchPoint]:
        """The branch from the smallest to the largest overlap of a state.

        Raises
        ------
        NoTouch, NotFound
            If no non-trivial root is found at any load.
        """
        if self.unstable is not None:
            problem, alpha = self.problem(self.unstable.alpha), self.unstable.alpha
            x = split_coordinates(self.setting, problem, self.unstable.point, self.inner)
            for tolerance in (self.tolerance, _LOOSE):
                start = self.branch.solve(_CLOSE, x, alpha, tolerance)
                if start is not None:
                    return [start, *self._wider(start, tolerance)]
        start = self._anywhere()
        closer = self.branch.points(start, self.tolerance, direction=-1.0)
        return [
            *reversed(list(takewhile(lambda p: self.logit(p) > _CLOSE, closer))),
            start,
            *self._wider(start, self.tolerance),
        ]

    def _wider(self, start: BranchPoint, tolerance: float) -> Iterator[BranchPoint]:
        """The branch towards larger overlaps, to where it rises beyond all loads before and has no complexity."""
        highest = start.alpha
        for point in self.branch.points(start, tolerance):
            yield point
            s, rises = self.logit(point), point.slope > 0.0 and point.alpha > highest
            if s > _WIDEST or (s > _WIDE and rises and self.complexity(point) < -_NO_COMPLEXITY):
                return
            highest = max(highest, point.alpha)

    def _anywhere(self) -> BranchPoint:
        """A point of the branch at one of several loads up to the capacity.

        Raises
        ------
        NoTouch, NotFound
            If there is no non-trivial root at any of them.
        """
        largest = largest_load(self.symmetric, self.kappa, self.tolerance)
        for alpha in (share * largest for share in _SHARES):
            values = {"alpha": alpha, "kappa": self.kappa}
            symmetric, problem = solve_point(self.symmetric, values, None, self.tolerance), self.problem(alpha)
            for x in state_roots(self.setting, problem, symmetric, [self.inner], self.setting.rule) or ():
                point = self.branch.solve(float(x[self.branch.at]), x, alpha, self.tolerance)
                if point is not None:
                    return point
        if unstable_limit(self.symmetric, self.kappa, self.tolerance):
            raise NotFound(f"replica symmetry becomes unstable too close to the capacity {largest:.10g} to be followed.")
        raise NoTouch(
            f"replica symmetry is stable up to alpha = {largest:.10g}, and at {len(_SHARES)} loads below it the trivial "
            "root q1 = q0 is the only one at m = 1: typical solutions are not divided into states."
        )

    @cached_property
    def lowest(self) -> int:
        """Which point has the smallest load: the first, unless another one's is smaller beyond rounding."""
        first, i = self.points[0], int(np.argmin([point.alpha for point in self.points]))
        return i if self.points[i].alpha < first.alpha - 2.0 * (first.error + self.points[i].error) else 0

    @cached_property
    def alike(self) -> States | None:
        """The states at a margin where their overlap has the digits that it lacks here; None where it has them."""
        margin = scaled_margin(self.symmetric, self.kappa, self.unstable, _ROOM, self.tolerance)
        return None if margin is None else _states(self.setting, margin, self.tolerance)

    @cached_property
    def fold(self) -> Fold | None:
        """The fold in which states appear; None where they part from the replica-symmetric overlap.

        Raises
        ------
        NotFound
            If the branch is lost before its load turns.
        """
        if self.alike is not None:
            if self.alike.fold is None:
                return None
            raise NotFound(f"states appear in a fold next to the capacity, as at kappa = {self.alike.kappa:.6g}.")
        i, points = self.lowest, self.points
        if i == 0 and self.logit(points[0]) < _CLOSE + 1.0:
            return None
        neighbours = [(points[j], points[j + 1]) for j in (i - 1, i) if j + 1 < len(points)]
        for a, b in neighbours:
            if a.slope <= 0.0 < b.slope:
                turn = self.branch.turn(a, b, self.tolerance)
                found = None if turn is None else judged(self.branch, turn, self.tolerance)
                if found is not None:
                    return found
        raise NotFound(f"the branch of states was lost near alpha = {points[i].alpha:.6g}, where its load is smallest.")

    def condensation(self, fold: Fold) -> BranchPoint | None:
        """The point beyond the fold at which the complexity vanishes, to be polished; None if it is 0 to rounding before.

        Raises
        ------
        NotFound
            If the complexity does not change its sign on the branch.
        """
        from scipy.optimize import brentq

        many = fold.point
        for few in self.points[self.lowest :]:
            if self.logit(few) <= self.logit(many):
                continue
            if self.complexity(few) < -_NO_COMPLEXITY:
                break
            many = few
        else:
            raise NotFound(f"the complexity is still positive at alpha = {many.alpha:.6g}, the end of the branch.")
        if not self.complexity(many) > _NO_COMPLEXITY:
            return None

        def vanishing(s: float) -> float:
            return self.complexity(self.between(self.branch, many, s))

        return self.between(self.branch, many, brentq(vanishing, self.logit(many), self.logit(few), xtol=1e-7))

    def between(self, branch: LoadBranch, near: BranchPoint, s: float) -> BranchPoint:
        """The point of a branch at a coordinate next to another one.

        Raises
        ------
        NotFound
            If it is not reached.
        """
        point = branch.solve(s, *near.ahead(s - self.logit(near)), self.tolerance)
        if point is None:
            raise NotFound(f"the branch of states was lost near alpha = {near.alpha:.6g}.")
        return point

    def rounded(self, near: BranchPoint) -> tuple[BranchPoint, float]:
        """The zero of the complexity next to a point, and its error where a large load multiplies what rounding leaves."""
        from scipy.optimize import brentq

        here, found = self.logit(near), []
        for branch in (self.branch, self.branch.refined()):

            def vanishing(s: float, branch: LoadBranch = branch) -> float:
                return self.complexity(self.between(branch, near, s), branch)

            ends = here - _AROUND, here + _AROUND
            rate = (vanishing(ends[1]) - vanishing(ends[0])) / (2.0 * _AROUND)
            found.append(self.between(branch, near, brentq(vanishing, *ends, xtol=1e-10)))
        first, finer = found
        noise = _ROUNDING * _EPS * (1.0 + finer.alpha) / abs(rate) + 1e-10
        return finer, abs(finer.alpha - first.alpha) + first.error + finer.error + noise * abs(finer.slope)


def _continuous(axis: Axis, name: str, states: States) -> Landmark:
    """Both thresholds where states part from the replica-symmetric overlap: where its replicon vanishes."""
    found = states.unstable
    if found is None:
        raise NotFound("states part from the replica-symmetric overlap, but where that becomes unstable is not known.")
    sentence = (
        "Continuous, on the line of de Almeida-Thouless: states part from the replica-symmetric overlap "
        f"{found.point['overlap']:.6g}, where its replicon vanishes, and have no complexity there."
    )
    if states.alike is not None:
        sentence += f" So close to the capacity this holds as at kappa = {states.alike.kappa:.6g}, but for the scale."
    known = {"residual": found.point.residual, "quadrature_error": found.point.quadrature_error}
    parameters = {**collapsed(states.setting, found.point), states.setting.ansatz.extremised[0]: 1.0}
    return _row(axis, name, states, found.alpha, found.error, sentence, parameters, **known)


def _dynamical(axis: Axis, states: States, fold: Fold) -> Landmark:
    """The fold in which states appear."""
    point = fold.point
    parameters, unstable = states.parameters(point), states.unstable
    until = "" if unstable is None else f"; replica symmetry is stable up to alpha = {unstable.alpha:.10g}"
    overlap, complexity = parameters[states.inner], states.complexity(point)
    sentence = f"In a fold: states of overlap {overlap:.6g} appear with complexity {complexity:.6g}{until}."
    known = {"residual": point.state.residual, "quadrature_error": fold.quadrature_error}
    return _row(axis, "alpha_d", states, fold.alpha, fold.error, sentence, parameters, **known)


def _condensed(axis: Axis, states: States) -> Landmark:
    """The load at which the complexity of the states vanishes, solved for with their equations."""
    assert states.fold is not None
    near = states.condensation(states.fold)
    if near is None:
        return _squeezed(axis, states, states.fold)
    family = EventFamily(states.setting, states.values(near.alpha), "alpha", "", "complexity", states.setting.rule)
    start = np.append(near.state.coordinates, near.alpha / family.scale)
    z = solve(family.system, start, 0.0, LINE_TOLERANCE)
    placed = None if z is None else family.polished(z, 0.0, np.append(np.zeros(len(start)), 1.0), 1.0)
    point = None if placed is None else family.point(placed[0], 0.0)
    if near.alpha > _LARGE or placed is None or point is None or not point.converged:
        return _condensed_at_a_large_load(axis, states, *states.rounded(near))
    value = float(placed[0][-1]) * family.scale
    known = {"residual": max(point.residual, LINE_TOLERANCE), "quadrature_error": point.quadrature_error}
    sentence = _condensing(states, float(point["complexity"] or 0.0), point.order_parameters)
    return _row(axis, "alpha_K", states, value, placed[2], sentence, dict(point.order_parameters), **known)


def _condensed_at_a_large_load(axis: Axis, states: States, point: BranchPoint, error: float) -> Landmark:
    """The same where the load multiplies what rounding leaves of an average.

    Raises
    ------
    NotFound
        If that is too much.
    """
    if not error < _MOST * point.alpha:
        raise NotFound(f"rounding leaves the complexity uncertain near alpha = {point.alpha:.6g}, where it vanishes.")
    parameters = states.parameters(point)
    known = {"residual": point.state.residual, "quadrature_error": error}
    sentence = _condensing(states, states.complexity(point), parameters)
    return _row(axis, "alpha_K", states, point.alpha, error, sentence, parameters, **known)


def _condensing(states: States, complexity: float, parameters: Mapping[str, float]) -> str:
    assert states.fold is not None
    return (
        f"The complexity vanishes ({complexity:.1e}) at overlap {parameters[states.inner]:.6g}: states "
        f"that appear at alpha = {states.fold.alpha:.10g} condense."
    )


def _squeezed(axis: Axis, states: States, fold: Fold) -> Landmark:
    """The load of condensation where the complexity is 0 to rounding: between the fold and the instability.

    The branch begins without complexity at the instability, has some down to the fold, and none where it is back there.

    Raises
    ------
    NotFound
        If the instability is not known, or not above the fold.
    """
    unstable = states.unstable
    if unstable is None or not unstable.alpha > fold.alpha:
        raise NotFound(f"the complexity where states appear, at alpha = {fold.alpha:.10g}, is 0 to rounding.")
    middle, half = 0.5 * (unstable.alpha + fold.alpha), 0.5 * (unstable.alpha - fold.alpha)
    parameters = states.parameters(fold.point)
    sentence = (
        f"Between the fold at alpha = {fold.alpha:.10g} and the instability of replica symmetry at {unstable.alpha:.10g}, "
        "where the complexity is 0 to rounding."
    )
    known = {"residual": fold.point.state.residual, "quadrature_error": fold.quadrature_error}
    return _row(axis, "alpha_K", states, middle, half + fold.error + unstable.error, sentence, parameters, **known)


def _row(
    axis: Axis,
    name: str,
    states: States,
    value: float,
    error: float,
    sentence: str,
    parameters: dict[str, float],
    **known: Any,
) -> Landmark:
    """A threshold of states as a row of the axis."""
    where = {"overlap": parameters[states.inner]}
    known |= {"where": where, "order_parameters": parameters, "setting": states.setting}
    return axis.landmark(name, value, error, Status.CONVERGED, sentence, **known)
