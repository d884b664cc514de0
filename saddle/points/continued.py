r"""Real replicas at an imposed overlap below the typical one: saddles at which clusters are closer to each other.

At the replica-symmetric overlap :math:`q_\mathrm{RS}` the replicas of a cluster are like any others: :math:`q_0 = q_1`, the
slope in :math:`q_1` vanishes, and :math:`\Phi = y\,\phi_\mathrm{RS}`.  Below it :math:`q_0 > q_1` and
:math:`\hat q_0 > \hat q_1`: the averages inside of clusters are continued to negative variances
(:mod:`saddle.kernels.imaginary`).  The saddle is legitimate while the overlap matrix is positive,
:math:`1 - q_1 + y (q_1 - q_0) > 0`.  It is reached from the replica-symmetric one by lowering the imposed overlap.

For integer ``y`` the free entropy has all its digits.  Its derivative in ``y``, and the free entropy of other ``y``, are
averages of functions that branch at the zeros of ``H`` and ``cosh``, off the real axis: they converge slowly, to an
accuracy that the error tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from replica.ansatz import conjugate
from saddle.points.newton import Attempt, newton
from saddle.points.problem import Problem, State
from saddle.points.results import SaddlePoint
from saddle.points.setting import Setting

_FIRST_STEP = 1.0 / 16.0
_SMALLEST_STEP = 1e-5
_OPENING = 0.9
"""How far the outer overlap is guessed to follow the inner one at first, relative to where the matrix is singular."""


@dataclass(frozen=True)
class _Here:
    """A point on the way: the part of it, the outer overlap, and the ratio of both variances, of conjugates and overlaps."""

    part: float
    outer: float
    ratio: float

    def towards(self, other: _Here, part: float) -> _Here:
        """The line through another point, at another part of the way."""
        along = (part - self.part) / (other.part - self.part)
        return _Here(part, self.outer + along * (other.outer - self.outer), self.ratio + along * (other.ratio - self.ratio))


def continues(setting: Setting) -> bool:
    """Whether an ansatz imposes an overlap that those above it may exceed."""
    counted = bool(setting.ansatz.multiplicities) and not setting.ansatz.extremised
    return counted and setting.model.weights.unit_norm and len(setting.kernel.META["ceilings"]) == 1


def continued_attempt(
    setting: Setting, values: Mapping[str, float], symmetric: SaddlePoint, tolerance: float
) -> tuple[Problem, Attempt] | None:
    """Return the problem below the replica-symmetric overlap and what was reached, or None above that overlap.

    Parameters
    ----------
    setting : Setting
        With averages that are continued.
    values : mapping
        Parameters, with the imposed overlap.
    symmetric : SaddlePoint
        The replica-symmetric saddle at the same load and margin.
    """
    typical, goal = symmetric.observables["overlap"], setting.imposed_value(values)
    if not symmetric.converged or not isinstance(typical, float) or goal >= typical:
        return None
    path = _Path(setting, dict(values), typical, goal)
    passed, step = [_Here(0.0, typical, (1.0 - typical) ** -2)], _FIRST_STEP
    while step > _SMALLEST_STEP:
        part = min(passed[-1].part + step, 1.0)
        problem = path.problem(part)
        attempt = path.attempt(problem, path.guess(passed, part), tolerance)
        if attempt is not None and attempt.state is not None and attempt.converged and attempt.state.orientation > 0:
            if part == 1.0:
                return problem, attempt
            passed, step = [*passed[-1:], path.here(problem, attempt.state, part)], 2.0 * step
        else:
            step /= 2.0
    return path.problem(1.0), Attempt(None, (), False)


class _Path:
    """The way of an imposed overlap from the typical one to the one asked for."""

    def __init__(self, setting: Setting, values: dict[str, float], typical: float, goal: float) -> None:
        self.setting, self.values, self.typical, self.goal = setting, values, typical, goal
        ((self.outer, self.inner),) = setting.kernel.META["ceilings"].items()

    def problem(self, part: float) -> Problem:
        from saddle.points.solving import problem_of

        overlap = self.goal if part == 1.0 else self.typical + part * (self.goal - self.typical)
        return problem_of(self.setting, {**self.values, "overlap": overlap}, None)

    def here(self, problem: Problem, state: State, part: float) -> _Here:
        apart = state.overlaps[self.outer] - state.overlaps[self.inner]
        hats = state.conjugates[conjugate(self.outer)] - state.conjugates[conjugate(self.inner)]
        return _Here(part, state.overlaps[self.outer], hats / apart)

    def guess(self, passed: list[_Here], part: float) -> _Here:
        """From the last two points, or from the replica-symmetric one."""
        if len(passed) > 1:
            return passed[-2].towards(passed[-1], part)
        multiplicity = self.values[self.setting.ansatz.multiplicities[0]]
        slope = _OPENING * (1.0 - 1.0 / multiplicity)
        return replace(passed[0], part=part, outer=self.typical + slope * part * (self.goal - self.typical))

    def attempt(self, problem: Problem, guess: _Here, tolerance: float) -> Attempt | None:
        """Newton's method from a guess, whose conjugates are apart as its overlaps are."""
        overlap = problem.parameters[self.inner]
        found = {self.outer: guess.outer, self.inner: overlap} | dict.fromkeys(map(conjugate, problem.imposed), 0.0)
        probe = problem.state(problem.to_coordinates(found), self.setting.rule, jacobian=False)
        if probe is None:
            return None
        hat = probe.conjugates[conjugate(self.outer)] - guess.ratio * (guess.outer - overlap)
        x = problem.to_coordinates({**found, conjugate(self.inner): hat})
        return newton(problem, x, self.setting.rule, tolerance)
