"""Where units are worked off: in processes of this machine, by any executor, or on a dask cluster.

Processes are started afresh (``spawn``), with one thread each, and end with the process that started them, however that
ends.  Workers get recipes, names and numbers, and make or find their kernels themselves.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

from replica.errors import InputError

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_PATIENCE = 10
"""Seconds in which a scheduler must answer."""


class Pool:
    """An executor with what a sweep asks of it; this one was given, and belongs to whoever made it.

    Parameters
    ----------
    executor : Executor or callable
        Anything with the interface of :mod:`concurrent.futures`, or a function that returns one, which is called again
        where its workers died.
    """

    local = False
    """Whether the workers share the kernel folder of this process for sure."""

    def __init__(self, executor: Any) -> None:
        self._make: Callable[[], Any] | None = None if hasattr(executor, "submit") else executor
        if self._make is not None and not callable(executor):
            raise InputError("executor must have the interface of concurrent.futures, or be a function that returns one.")
        self.executor: Executor = executor if self._make is None else self._make()

    @property
    def width(self) -> int:
        """How many units run at once."""
        client = getattr(self.executor, "_client", None)  # of dask.distributed
        if client is not None:
            return max(1, sum(client.nthreads().values()))
        return int(getattr(self.executor, "_max_workers", 0)) or cores()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """A future of the call; a broken executor gives a future that says so."""
        try:
            return self.executor.submit(function, *arguments)
        except BrokenExecutor as error:
            future: Future[Any] = Future()
            future.set_exception(error)
            return future

    def restart(self) -> None:
        """Replace an executor whose workers died.

        Raises
        ------
        InputError
            Where there is nothing to make a new one with.
        """
        if self._make is None:
            raise InputError(
                "A worker died and took its executor with it; what was finished is kept. Give a function that returns an "
                "executor, and it is called again."
            )
        self.executor = self._make()

    def close(self, at_once: bool = False) -> None:
        """Give back what this pool made; ``at_once`` without waiting for what is being computed."""


class Processes(Pool):
    """Processes of this machine."""

    local = True

    def __init__(self, workers: int) -> None:
        self._workers = workers
        super().__init__(lambda: ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _begin))

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """A future of the call."""
        with _one_thread():
            return super().submit(function, *arguments)

    def restart(self) -> None:
        """Start new processes in place of the old ones."""
        self.close(at_once=True)
        super().restart()

    def close(self, at_once: bool = False) -> None:
        """End the processes."""
        running = list((getattr(self.executor, "_processes", None) or {}).values()) if at_once else []
        for process in running:
            process.terminate()
        self.executor.shutdown(wait=True, cancel_futures=True)


class Scheduler(Pool):
    """The workers of a dask scheduler."""

    def __init__(self, address: str) -> None:
        from saddle.reporting.extras import require

        distributed = require("distributed", "parallel", "--scheduler")
        try:
            distributed.comm.resolve_address(address)  # a client that cannot be does not end either
            self._client = distributed.Client(address, timeout=_PATIENCE, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise InputError(f"the scheduler {address} does not answer: {' '.join(str(error).split())}") from error
        super().__init__(self._client.get_executor(pure=False))

    def close(self, at_once: bool = False) -> None:
        """Leave the scheduler."""
        self._client.close()


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def died(error: BaseException) -> bool:
    """Whether an error of a future says that its worker died, rather than what the worker found."""
    return isinstance(error, BrokenExecutor) or type(error).__name__ == "KilledWorker"


def _begin() -> None:
    """Prepare a worker: an interrupt is the business of its parent, with which it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Processes that are started inside use one thread each: libraries read these variables when they are loaded."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
