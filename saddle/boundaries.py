r"""Phase boundaries over the margin: lines of events, reported wherever a point is asked for.

A line is found once, where one of its points is easy to find, and continued from there in both directions
(:mod:`saddle.event_lines`), so that the margins asked for change where it is reported and not where it is: a reported point
is predicted between two neighbours on the line and solved for at its margin by the refined rule.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from saddle.continuation import solve
from saddle.event_lines import LINE_TOLERANCE, EventFamily, EventLine, follow_event
from saddle.following import SpecialPoint
from saddle.parameter_line import inner, moved_to
from saddle.results import SaddlePoint
from saddle.setting import Setting

_NEAR = 1.0
"""Largest change of a coordinate from its prediction between two neighbours: beyond, another line was found."""


@dataclass(frozen=True)
class Place:
    """Where a line is at a value of the parameter that varies: the load there, its error, and the saddle."""

    value: float
    error: float
    point: SaddlePoint


@dataclass(frozen=True)
class Boundary:
    """A line of events in the load over a second parameter, in pieces along each of which that parameter is monotonic."""

    setting: Setting
    kind: str
    parameter: str
    pieces: tuple[tuple[SaddlePoint, ...], ...]
    ends: tuple[EventLine, ...]

    @classmethod
    def through(cls, setting: Setting, start: SpecialPoint, parameter: str, span: tuple[float, float]) -> Boundary:
        """The line through a special point in the load, in both directions of the parameter, inside a range of it."""
        arms = []
        for direction in (-1.0, 1.0):
            here = start.point.parameters[parameter]
            far = span[0] if direction < 0.0 else span[1]
            if (far - here) * direction > 0.0:
                settings = {"event": start.kind, "target": (setting.model, setting.ansatz), "direction": direction}
                arms.append(follow_event(start.point, "alpha", parameter, span, **settings))  # type: ignore[arg-type]
        pieces = [piece for arm in arms for piece in _monotonic(arm.points, parameter)]
        return cls(setting, start.kind, parameter, tuple(pieces) or ((start.point,),), tuple(arms))

    def at(self, value: float, piece: int | None = None) -> Place | None:
        """The line at a value of the parameter (on one of its pieces, or the first that gets there); None if nowhere.

        Raises
        ------
        ArithmeticError
            If the line passes there but its point was not reached.
        """
        pieces = self.pieces if piece is None else self.pieces[piece : piece + 1]
        for points in pieces:
            for before, after in itertools.pairwise(points):
                ends = sorted(point.parameters[self.parameter] for point in (before, after))
                if ends[0] <= value <= ends[1]:
                    return self._between(before, after, value)
        for points in pieces:
            if len(points) == 1 and points[0].parameters[self.parameter] == value:
                return self._between(points[0], points[0], value)
        return None

    def _between(self, before: SaddlePoint, after: SaddlePoint, value: float) -> Place:
        fixed = moved_to(dict(before.parameters), self.parameter, value)
        family = EventFamily(self.setting, fixed, "alpha", self.parameter, self.kind, self.setting.rule)
        low, high = (point.parameters[self.parameter] for point in (before, after))
        share = (value - low) / (high - low) if high != low else 0.0
        first, mu = family.start(before), inner(self.parameter, value)
        guess = first + share * (family.start(after) - first)
        z = solve(family.system, guess, mu, LINE_TOLERANCE)
        placed = None if z is None else family.polished(z, mu, np.append(np.zeros(len(z)), 1.0), 1.0)
        point = None if placed is None else family.point(placed[0], mu)
        if z is None or placed is None or point is None or float(np.max(np.abs(z - guess))) > _NEAR:
            raise ArithmeticError(f"the line was lost between {self.parameter} = {low:.6g} and {high:.6g}")
        return Place(float(placed[0][-1]) * family.scale, placed[2], point)


def _monotonic(points: Sequence[SaddlePoint], parameter: str) -> Iterator[tuple[SaddlePoint, ...]]:
    """The points in pieces along which the parameter only grows or only falls."""
    piece: list[SaddlePoint] = []
    for point in points:
        if len(piece) > 1:
            (a, b), c = (p.parameters[parameter] for p in piece[-2:]), point.parameters[parameter]
            if (b - a) * (c - b) < 0.0:
                yield tuple(piece)
                piece = piece[-1:]
        piece.append(point)
    if piece:
        yield tuple(piece)

