r"""Phase boundaries over a parameter such as the margin: lines of events, reported wherever a point is asked for.

A line is found once, where one of its points is easy to find, and continued from there in both directions
(:mod:`saddle.lines.event_lines`), so that the margins asked for change where it is reported and not where it is: a
reported point is predicted between two neighbours on the line and solved for at its margin by the refined rule.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from saddle.lines.event_lines import LINE_TOLERANCE, EventFamily, EventLine, follow_event
from saddle.lines.following import SpecialPoint
from saddle.lines.parameter_line import inner
from saddle.points.problem import Vector
from saddle.points.results import SaddlePoint
from saddle.points.setting import Setting
from saddle.systems import solve

_NEAR = 1.0
"""Largest change of a coordinate from its prediction between two neighbours: beyond, another line was found."""
MOST_POINTS = 120
"""Points after which a line is left where it is: towards a border of its domain its steps become short."""
Node = tuple[float, Vector]
"""The parameter that varies, and the unknowns of the extended system."""


@dataclass(frozen=True)
class Place:
    """Where a line is at a value of the parameter that varies: the load there, its error, and the saddle."""

    value: float
    error: float
    point: SaddlePoint


@dataclass(frozen=True)
class Boundary:
    """A line of events in the load over a second parameter, in pieces along each of which that parameter is monotonic."""

    family: EventFamily
    pieces: tuple[tuple[Node, ...], ...]
    arms: tuple[EventLine, ...] = ()

    @classmethod
    def through(cls, setting: Setting, start: SpecialPoint, parameter: str, span: tuple[float, float]) -> Boundary:
        """The line through a special point in the load, in both directions of the parameter, inside a range of it."""
        family = EventFamily(setting, dict(start.point.parameters), "alpha", parameter, start.kind, setting.rule)
        here, arms = start.point.parameters[parameter], []
        for direction in (-1.0, 1.0):
            far = span[0] if direction < 0.0 else span[1]
            if (far - here) * direction > 0.0:
                ends = (min(here, *span), max(here, *span))
                target = (setting.model, setting.ansatz)
                settings: dict[str, Any] = {"event": start.kind, "target": target, "most": MOST_POINTS}
                arms.append(follow_event(start.point, "alpha", parameter, ends, direction=direction, **settings))
        pieces = [piece for arm in arms for piece in pieces_of(nodes_of(family, arm.points))]
        return cls(family, tuple(pieces) or (nodes_of(family, (start.point,)),), tuple(arms))

    def before_turning(self) -> Boundary:
        """The pieces next to where the line was found, up to where its parameter turns back (a cusp included)."""
        pieces = []
        for arm in self.arms:
            nodes = nodes_of(self.family, arm.points)
            first = next(pieces_of(nodes), ())
            if len(first) < len(nodes) and arm.special and arm.special[0].kind == "cusp":
                (cusp,) = nodes_of(self.family, (arm.special[0].point,))
                while len(first) > 1 and (first[-1][1] - cusp[1]) @ (first[-2][1] - cusp[1]) < 0.0:
                    first = first[:-1]  # past the cusp, though its parameter is beyond that of the node before
                first = (*first, cusp)
            pieces.append(first)
        return Boundary(self.family, tuple(piece for piece in pieces if piece) or self.pieces, self.arms)

    def at(self, value: float) -> Place | None:
        """The first piece of the line that gets to a value of the parameter, there; None if none does.

        Raises
        ------
        ArithmeticError
            If the line passes there but its point was not reached.
        """
        for nodes in self.pieces:
            for before, after in itertools.pairwise(nodes if len(nodes) > 1 else nodes * 2):
                if min(before[0], after[0]) <= value <= max(before[0], after[0]):
                    return self._between(before, after, value)
        return None

    def _between(self, before: Node, after: Node, value: float) -> Place:
        family, (low, first), (high, last) = self.family, before, after
        guess = first + _share(low, high, value) * (last - first)
        mu = inner(family.second, value)
        z = solve(family.system, guess, mu, LINE_TOLERANCE)
        placed = None if z is None else family.polished(z, mu, np.append(np.zeros(len(z)), 1.0), 1.0)
        point = None if placed is None else family.point(placed[0], mu)
        if z is None or placed is None or point is None or float(np.max(np.abs(z - guess))) > _NEAR:
            raise ArithmeticError(f"the line was lost between {family.second} = {low:.6g} and {high:.6g}")
        return Place(float(placed[0][-1]) * family.scale, placed[2], point)


def _share(low: float, high: float, value: float) -> float:
    """How much of the way a value has gone, in the logarithm of a distance to 0: unknowns may diverge like that."""
    if low * high > 0.0 and low != high:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low) if high != low else 0.0


def nodes_of(family: EventFamily, points: Iterable[SaddlePoint]) -> tuple[Node, ...]:
    """Solved points of a line as nodes."""
    return tuple((point.parameters[family.second], family.start(point)) for point in points)


def pieces_of(nodes: Sequence[Node]) -> Iterator[tuple[Node, ...]]:
    """The nodes in pieces along which the parameter only grows or only falls."""
    piece: list[Node] = []
    for node in nodes:
        if len(piece) > 1 and (piece[-1][0] - piece[-2][0]) * (node[0] - piece[-1][0]) < 0.0:
            yield tuple(piece)
            piece = piece[-1:]
        piece.append(node)
    if piece:
        yield tuple(piece)
