"""What is remembered of points that were solved before: the thread between a report and a store.

A report asks its journal before it solves a point and hands over what it found.  The plain journal remembers nothing; that
of a sweep knows the points of an earlier run, so that a branch goes on from its last point as if it had never stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from saddle.sweeping.branches import Place

Results = tuple[Any, ...]


class Journal:
    """A journal that remembers nothing; others override both methods."""

    def recall(self, place: Place) -> Results | None:
        """Return what was found at a place before, None if it has to be solved."""
        return None

    def attempt(self, place: Place, solve: Callable[[], Iterable[Any]]) -> Results:
        """Return what ``solve`` finds at a place."""
        return tuple(solve())


class Steps:
    """The points of a report in the order asked for, from a journal where that knows them.

    Parameters
    ----------
    journal : Journal, optional
    progress : callable, optional
        Called with every point that was solved here.

    Attributes
    ----------
    points : list
        All points so far.
    """

    def __init__(self, journal: Journal | None = None, progress: Callable[[Any], None] | None = None) -> None:
        self.points: list[Any] = []
        self._journal, self._progress = journal or Journal(), progress

    def at(self, place: Place, solve: Callable[..., Any], *arguments: Any) -> Any:
        """Return the point at a place, ``solve(*arguments)`` where it is not known."""
        (point,) = self.several(place, lambda: (solve(*arguments),))
        return point

    def several(self, place: Place, solve: Callable[[], Iterable[Any]]) -> Results:
        """Return the points at a place that may have more than one, such as those of several branches."""
        found = self._journal.recall(place)
        if found is None:
            found = self._journal.attempt(place, solve)
            if self._progress is not None:
                for point in found:
                    self._progress(point)
        self.points += found
        return found
