"""How units are spread over workers, and what happens where a worker dies.

A worker gets a few units at a time and gives back what it found after half a second of computing (or one point, where that
takes longer); what is left goes back into the queue.  A unit that is cut anywhere goes on from its last point as if it had
not been, so that no number depends on the schedule, and what a crash can lose is half a second of every worker.

A worker that dies is replaced, and what it held is tried again, each unit by itself.  A unit that was held twice by a dying
worker runs alone, point by point: a point that kills its worker once more is a row with that as its status.
"""

from __future__ import annotations

import argparse
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import dataclass, field
from typing import Any

from replica.errors import InputError
from saddle.command.commands import prepared
from saddle.points.results import Status
from saddle.sweeping.branches import Place
from saddle.sweeping.executors import Pool, died
from saddle.sweeping.journal import Results
from saddle.sweeping.plan import Key, Statements, Unit, UnitJournal, empty_row, versions_here, work

_SLICE = 0.5
_MOST_UNITS = 64
_IN_FLIGHT = 2
"""Submissions a worker, so that none waits for its next."""
_ALONE, _LOST = 2, 3
"""Deaths after which a unit runs alone, and after which its next point is given up."""


@dataclass
class Outcome:
    """What came of a unit: new rows, and what is stated of it where it is finished, or why it was refused."""

    rows: list[tuple[Place, Results]] = field(default_factory=list)
    finished: Statements | None = None
    refused: str = ""

    @property
    def open(self) -> bool:
        """Whether there is something left of the unit."""
        return self.finished is None and not self.refused


class _Pause(BaseException):
    """Raised through a report when its time is over."""


def work_off(
    args: argparse.Namespace,
    unit: Unit,
    known: Mapping[Key, Results],
    seconds: float,
    keep: Callable[[Place, Results], None] | None = None,
) -> Outcome:
    """Work on a unit for some seconds of computing, at least a point; ``keep`` is called with every row once it is there."""
    outcome, end = Outcome(), time.thread_time() + seconds

    def kept(place: Place, results: Results) -> None:
        outcome.rows.append((place, results))
        if keep is not None:
            keep(place, results)
        if time.thread_time() >= end:
            raise _Pause

    try:
        outcome.finished = work(args, unit, UnitJournal(args, unit, known, kept))
    except _Pause:
        pass
    except InputError as error:
        outcome.refused = str(error)
    return outcome


def slice_of(
    args: argparse.Namespace,
    units: Sequence[tuple[Unit, Mapping[Key, Results]]],
    seconds: float,
    versions: Mapping[str, str],
) -> list[Outcome]:
    """What a worker finds in its time: the outcomes of the first units, at least a point of the first."""
    if versions != versions_here():
        raise InputError("A worker runs another version of the package, or of what it computes with: its rows would differ.")
    end = time.thread_time() + seconds
    found: list[Outcome] = []
    for unit, known in units:
        found.append(work_off(args, unit, known, end - time.thread_time()))
        if time.thread_time() >= end:
            break
    return found


def ready() -> None:
    """Load what a unit needs: the first thing a worker does."""
    import saddle.reporting.cluster_reports
    import saddle.reporting.reports  # noqa: F401


def _compiled(args: argparse.Namespace) -> bool:
    """Whether the kernels of a sweep are in the kernel folder already."""
    from saddle.kernels.kernel import cache_folder
    from saddle.points.setting import Setting

    try:
        model, ansatze = prepared(args)
        keys = [Setting.of((model, ansatz)).key for ansatz in ansatze]
    except InputError:
        return False
    return all((cache_folder() / f"kernel_{key}.py").exists() for key in keys)


@dataclass
class _Pending:
    unit: Unit
    deaths: int = 0


class Spread:
    """The units of a sweep on the workers of a pool.

    Parameters
    ----------
    args : Namespace
        The sweep.
    pool : Pool
    known : callable
        What is known of a unit so far, by key.
    take : callable
        Called with a unit and each of its outcomes.
    """

    def __init__(
        self,
        args: argparse.Namespace,
        pool: Pool,
        known: Callable[[Unit], Mapping[Key, Results]],
        take: Callable[[Unit, Outcome], None],
    ) -> None:
        self.args, self.pool, self.known, self.take = args, pool, known, take
        self._queue: deque[_Pending] = deque()
        self._flying: dict[Future[list[Outcome]], list[_Pending]] = {}

    def run(self, units: Sequence[Unit]) -> None:
        """Work off all units."""
        self._queue.extend(map(_Pending, units))
        starting = [self.pool.submit(ready) for _ in range(self.pool.width)]
        if self.pool.local and self._queue and not _compiled(self.args):  # one process compiles what all of them load
            first = self._queue.popleft()
            self._took(first, work_off(self.args, first.unit, self.known(first.unit), 0.0))
        for future in starting:
            if (error := _error(future)) is not None:
                raise InputError(_STILLBORN if died(error) else f"A worker failed to start: {error}") from error
        while self._queue or self._flying:
            self._submit()
            done, _ = wait(self._flying, return_when=FIRST_COMPLETED)
            if [future for future in done if not self._landed(future)]:
                wait(self._flying)
                for future in list(self._flying):
                    self._landed(future)
                self.pool.restart()

    def _submit(self) -> None:
        """Hand out units, one alone where it is suspect."""
        suspect = any(pending.deaths >= _ALONE for pending in self._queue)
        if suspect:
            if not self._flying:
                self._queue = deque(sorted(self._queue, key=lambda pending: -pending.deaths))
                self._send([self._queue.popleft()], 0.0)
            return
        while self._queue and len(self._flying) < _IN_FLIGHT * self.pool.width:
            most = max(1, min(_MOST_UNITS, len(self._queue) // (_IN_FLIGHT * self.pool.width)))
            bundle = [self._queue.popleft()]
            while len(bundle) < most and self._queue and not bundle[0].deaths and not self._queue[0].deaths:
                bundle.append(self._queue.popleft())
            self._send(bundle, _SLICE)

    def _send(self, bundle: list[_Pending], seconds: float) -> None:
        units = [(pending.unit, dict(self.known(pending.unit))) for pending in bundle]
        self._flying[self.pool.submit(slice_of, self.args, units, seconds, versions_here())] = bundle

    def _landed(self, future: Future[list[Outcome]]) -> bool:
        """Take what a future brought; whether its worker lives."""
        bundle, error = self._flying.pop(future), _error(future)
        if error is None:
            outcomes = future.result()
            self._queue.extendleft(reversed(bundle[len(outcomes) :]))
            for pending, outcome in zip(bundle, outcomes, strict=False):
                self._took(pending, outcome)
            return True
        if not died(error):
            raise error
        for pending in reversed(bundle):
            pending.deaths += 1
            if pending.deaths >= _LOST and len(bundle) == 1:
                self._give_up(pending)
            self._queue.appendleft(pending)
        return type(error).__name__ == "KilledWorker"  # dask has replaced it already

    def _took(self, pending: _Pending, outcome: Outcome) -> None:
        self.take(pending.unit, outcome)
        if outcome.rows and not pending.deaths >= _ALONE:
            pending.deaths = 0
        if outcome.open:
            self._queue.appendleft(pending)

    def _give_up(self, pending: _Pending) -> None:
        """The next point of a unit as a row that says what became of it."""
        known, unit = self.known(pending.unit), pending.unit
        place = next((p for p, key in zip(unit.places, unit.keys, strict=True) if key not in known), None)
        if place is None:
            raise InputError("The worker that summarises a branch dies again and again; its rows are kept.")
        message = f"Not converged: the worker process died while it computed this point, {_LOST} times."
        row = empty_row(self.args, unit, place, Status.NOT_CONVERGED, message)
        self.take(unit, Outcome([(place, (row,))]))
        pending.deaths = _ALONE


def _error(future: Future[Any]) -> BaseException | None:
    """What a future failed with; one that was cancelled, which is no business of ours, has lost its executor."""
    try:
        return future.exception()
    except CancelledError:
        told = "The executor has ended, or its scheduler has; what was finished is kept in the store, if there is one."
        raise InputError(told) from None


_STILLBORN = (
    "The worker processes die when they start. They run the script again that started them: what it does has to stand under "
    "if __name__ == '__main__':"
)
