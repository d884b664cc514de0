"""Sweeps: a report over a grid, on as many cores or machines as there are, with every finished row in a store.

The rows are those of the report itself, bit for bit on the same machine, whoever computes them and however often the sweep
is interrupted: units of work are branches, and a branch goes on from its last row as if it had never stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from os import PathLike
from typing import Any

from replica.errors import InputError
from saddle.command.options import settings_of
from saddle.reporting.curve import Curve
from saddle.sweeping.executors import Pool, Processes, Scheduler, cores
from saddle.sweeping.ledger import Ledger
from saddle.sweeping.plan import Unit
from saddle.sweeping.scheduling import Outcome, Spread, work_off

Progress = Callable[[Any], None]

_REPORTS = {"entropy_curve": "entropy"}
"""Reports whose function has another name than their command."""


class SweepInterrupted(KeyboardInterrupt):
    """An interrupted sweep; ``.curve`` holds the rows that are finished."""

    def __init__(self, curve: Curve, told: str) -> None:
        super().__init__(told)
        self.curve = curve


def sweep(
    task: str | Callable[..., Any],
    grid: Mapping[str, Any],
    executor: Any = None,
    store: str | PathLike[str] | None = None,
    *,
    progress: Progress | None = None,
) -> Curve:
    """Return the rows of a report over a grid, computed in parallel and kept in a store.

    Rows, columns and errors are those of the report, in the same order; the numbers are the same to the last bit for any
    executor, and for a sweep that was interrupted and called again.  A point that fails is a row with its status, and a
    part of the grid that the report refuses (a reference margin that does not exist at some load) rows with status
    ``absent``; the others go on.

    Parameters
    ----------
    task : str or callable
        The report, by its name on the command line (``"franz-parisi"``) or as the function (``saddle.franz_parisi``).
    grid : mapping
        ``model`` (a name or a model) and the options of that command with underscores: for ranges a number, an iterable or
        a text such as ``"0:1:11"``.
    executor : optional
        Anything with the interface of :mod:`concurrent.futures` (joblib's loky, ``dask.distributed.Client.get_executor()``),
        a function that returns one, a number of processes, or the address of a dask scheduler (``"tcp://..."``).  By
        default one process a core.
    store : str or path-like, optional
        A file in which every finished row is kept; rows that are there are not computed again.
    progress : callable, optional
        Called with every new row.

    Returns
    -------
    Curve
        As the report returns it.

    Raises
    ------
    InputError
        For bad input, a store in use, or one of another sweep or version.
    SweepInterrupted
        On an interrupt (a KeyboardInterrupt whose ``curve`` has the rows so far); the same call goes on from there.

    Notes
    -----
    Processes are started by ``spawn``: a script calls this under ``if __name__ == "__main__":``.

    Examples
    --------
    >>> saddle.sweep("entropy", {"model": "binary-perceptron", "alpha": "0.1:0.8:8", "kappa": [0.0, 0.5]}, store="s.jsonl")
    """
    name = task if isinstance(task, str) else str(getattr(task, "__name__", task))
    args = settings_of(_REPORTS.get(name, name.replace("_", "-")), grid)
    return run(args, executor, store, progress)


def run(
    args: argparse.Namespace,
    executor: Any = None,
    store: str | PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Curve:
    """Return the rows of a parsed command; where they are computed and kept may be said by its options as well."""
    if hasattr(args, "workers"):  # a command line
        executor, store = _scheduled(args), args.store
        args = argparse.Namespace(**{k: v for k, v in vars(args).items() if k not in ("workers", "scheduler", "store")})
    ledger = Ledger(args, store, progress)
    with ExitStack() as stack:
        stack.callback(ledger.close)
        pending = ledger.pending()
        try:
            if executor == 1 or len(pending) <= (1 if executor is None else 0):
                for unit in pending:
                    ledger.settle(unit, work_off(args, unit, ledger.known(unit), float("inf"), ledger.keeper(unit)))
            elif pending:
                _spread(args, executor, ledger, pending)
        except KeyboardInterrupt as interrupt:
            curve = replace(ledger.curve(), complete=False)
            raise SweepInterrupted(curve, ledger.interruption()) from interrupt
        return ledger.curve()


def _scheduled(args: argparse.Namespace) -> Any:
    """The executor that the options of a command line ask for."""
    if args.workers is not None and args.scheduler is not None:
        raise InputError("--workers are processes here, --scheduler has its own: give one of them")
    return args.scheduler if args.scheduler is not None else args.workers or 1


def _spread(args: argparse.Namespace, executor: Any, ledger: Ledger, pending: list[Unit]) -> None:
    """Work off units on the workers of an executor, which are given back whatever happens."""

    def take(unit: Unit, outcome: Outcome) -> None:
        for place, results in outcome.rows:
            ledger.keep(unit, place, results)
        ledger.settle(unit, outcome)

    pool = pool_of(executor, len(pending))
    whole = False
    try:
        Spread(args, pool, ledger.known, take).run(pending)
        whole = True
    finally:
        pool.close(at_once=not whole)


def pool_of(executor: Any, most: int) -> Pool:
    """The pool behind what was given as an executor; no more processes than there is work for."""
    if executor is None or (isinstance(executor, int) and not isinstance(executor, bool)):
        if executor is not None and executor < 1:
            raise InputError(f"executor = {executor} is no number of processes.")
        return Processes(min(executor or cores(), most))
    return Scheduler(executor) if isinstance(executor, str) else Pool(executor)


