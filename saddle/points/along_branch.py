r"""A saddle at an imposed distance that no single trial reaches: along the branches that lead there, or where they end.

First the branch of the typical distance is followed towards it, where that is known (:mod:`saddle.points.typical`); then
branches of solvable distances on both sides.  What is said of an end is said only where a branch has been followed to one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from saddle.points.branch import ColdStart, ProblemAt, Side, approach, follow
from saddle.points.branch_ends import is_frozen, reference_is_inside, where_branches_end
from saddle.points.newton import Attempt
from saddle.points.outcome import finished, not_converged, without_value
from saddle.points.problem import State
from saddle.points.results import Iteration, SaddlePoint, Status
from saddle.points.setting import Setting
from saddle.points.typical import TypicalBranch
from saddle.points.valley import End

FAR_AWAY = 0.3
"""A distance beyond the typical one from a cold reference, at which overlaps degenerate."""
_SINGULAR = 1e-4
"""Singularity below which a branch ends: it is at most 2e-6 at ends found in steps of 1e-7, at least 8e-4 elsewhere."""
_NO_VOLUME = 1e-3
"""What an overlap has left to 1 where its replicas freeze; followed to the end of a branch it is below 1e-4."""


@dataclass(frozen=True)
class Approach:
    """A point that was not reached from scratch, and what leads there.

    ``problem_at`` is the problem at a distance, ``cold`` a solver without a start, ``typical`` the branch of the typical
    distance (None where it is not known), ``alone`` the saddle of the probes' constraint without a reference.
    """

    setting: Setting
    values: Mapping[str, float]
    reference: SaddlePoint | None
    tolerance: float
    problem_at: ProblemAt
    cold: ColdStart
    typical: Callable[[], TypicalBranch | None]
    alone: Callable[[], SaddlePoint | None]

    @property
    def distance(self) -> float:
        """The distance asked for."""
        return self.values["distance"]

    def solved(self, state: State, failed: Attempt) -> SaddlePoint:
        """The result at a state that a branch led to."""
        steps = (*failed.iterations, Iteration(len(failed.iterations), state.residual, 1.0, "branch"))
        problem = self.problem_at(self.distance)
        return finished(self.setting, problem, self.values, self.reference, state, steps, self.tolerance)

    def ended(self, below: Side | None, above: Side | None, failed: Attempt) -> SaddlePoint:
        """The answer between the ends of the branches below and above."""
        status, message = where_branches_end(self.setting, self.values, below, above)
        point = without_value(self.setting, self.values, status, message, failed.iterations, self.tolerance)
        window = (below.distance if below is not None else 0.0, above.distance if above is not None else 0.5)
        return replace(point, window=window)

    def lost(self, message: str, failed: Attempt) -> SaddlePoint:
        """The result where a branch was lost."""
        return without_value(
            self.setting, self.values, Status.NOT_CONVERGED, f"Not converged: {message}", failed.iterations, self.tolerance
        )


def along_branch(
    point: Approach, from_higher_temperatures: Callable[[], Side | None], failed: Attempt
) -> SaddlePoint:
    """Reach an imposed distance along the branches from both sides, or say where they end.

    Parameters
    ----------
    point : Approach
    from_higher_temperatures : callable
        A saddle far from the reference, found by cooling; None where that leads nowhere.
    failed : Attempt
        The trial without a start.
    """
    branch = point.typical()
    end = branch.towards(point.distance) if branch is not None else None
    if branch is not None and end is not None and (answer := _from_typical(point, branch, end, failed)) is not None:
        return answer
    setting, tolerance = point.setting, point.tolerance
    state, below, above = approach(point.problem_at, point.cold, point.distance, setting.rule, tolerance)
    if state is None and below is None and above is None and (start := from_higher_temperatures()) is not None:
        above = follow(point.problem_at, start, point.distance, setting.rule, tolerance)
        state, above = (above.state, None) if above.distance == point.distance else (None, above)
    if state is not None:
        return point.solved(state, failed)
    if below is None and above is None:
        return _without_branch(point, failed)
    # An iteration that stops on a regular branch is a failure of ours, not the end of the branch; where the probes of
    # continuous weights have no volume left, the branch ends although it is regular in its coordinates.
    sides = [side for side in (below, above) if side is not None]
    if stuck := [side for side in sides if side.state.singularity > _SINGULAR and not _without_volume(side.state)]:
        return point.lost(f"the branch stopped at distance {stuck[0].distance:.4g}, where it is regular.", failed)
    far = math.sqrt(2.0 * point.problem_at(point.distance).exponent)
    lost = [side for side in sides if not is_frozen(side.state)]
    if lost and point.problem_at(point.distance).rounding > tolerance:
        return point.lost(
            f"the branch was lost at distance {lost[0].distance:.4g}; the fields of the reference are "
            f"{far:.0f} standard deviations out, which leaves too few digits to say how it goes on.",
            failed,
        )
    return point.ended(below, above, failed)


def _from_typical(point: Approach, branch: TypicalBranch, end: End, failed: Attempt) -> SaddlePoint | None:
    """The answer on the branch of the typical distance or beyond its end; None where it was lost."""
    if end.how == "goal":
        return point.solved(end.side.state, failed) if end.side.state.orientation >= 0 else None
    assert branch.start is not None
    if end.how == "lost":
        return None
    if point.distance > branch.start.distance:
        return point.ended(end.side, None, failed)
    nearest = branch.smallest
    if nearest is not None and nearest.distance > point.distance:
        return None
    return point.ended(nearest, end.side, failed)


def _without_branch(point: Approach, failed: Attempt) -> SaddlePoint:
    """The answer where no distance was solvable: there is none where the probes' constraint alone has no saddle.

    The sum over all distances is replica-symmetric; a reference outside the constraint adds no solutions to it.
    """
    setting, values = point.setting, point.values
    alone = None if reference_is_inside(setting, values) else point.alone()
    if alone is None or alone.status is not Status.NO_SADDLE:
        return not_converged(setting, values, failed, point.tolerance)
    message = f"No saddle at any distance, for the probes' own constraint has none without a reference: {alone.message}"
    return without_value(setting, values, Status.NO_SADDLE, message, failed.iterations, point.tolerance)


def _without_volume(state: State) -> bool:
    """Whether an overlap of the probes is as good as 1 while its conjugate diverges."""
    largest = max(map(abs, state.conjugates.values()))
    return min(state.place.remaining[name] for name in state.pivots) < _NO_VOLUME and largest > 1.0 / _NO_VOLUME
