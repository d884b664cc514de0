"""Branches: the rows that one warm start leads through, and so the units in which a sweep is worked off.

A product of ranges is cut where its fastest range starts anew, and a long line again after every :data:`LENGTH` points.
Each branch begins from the start that was given, whatever came before it: its numbers do not depend on which process
computes it, nor on when.  The reports cut their products in the same places.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

LENGTH = 16
"""Most points of a line that start from one another: a cold start costs no more than a few warm ones."""

Ranges = Mapping[str, Sequence[Any]]
Place = dict[str, Any]
"""The parameters of one point as they were asked for: numbers, or words such as ``max``."""


def branches(ranges: Ranges, along: str = "", length: int | None = LENGTH) -> list[dict[str, list[Any]]]:
    """Return the ranges of every branch, in the order of the product.

    Parameters
    ----------
    ranges : mapping
        The values of every parameter; the last ones are the fastest.
    along : str
        The parameter that varies on a branch; by default the last one with several values.
    length : int or None
        Most points of a branch; None where a whole line belongs together.
    """
    names = list(ranges)
    along = along or next((name for name in reversed(names) if len(ranges[name]) > 1), names[-1])
    values = list(ranges[along])
    size = len(values) if length is None else length
    pieces = [values[i : i + size] for i in range(0, len(values), size)]
    options = [pieces if name == along else [[value] for value in ranges[name]] for name in names]
    return [dict(zip(names, found, strict=True)) for found in itertools.product(*options)]


def places(ranges: Ranges) -> list[Place]:
    """Return every combination of the ranges, the last one fastest."""
    return [dict(zip(ranges, row, strict=True)) for row in itertools.product(*ranges.values())]
