"""Where results go: files that are tested before anything is computed, and progress on a terminal."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replica.errors import InputError

if TYPE_CHECKING:
    from saddle.points.results import Result
    from saddle.reporting.curve import Curve


def check_outputs(csv: str | None, plot: str | None, store: str | None = None, netcdf: str | None = None) -> None:
    """Refuse files that cannot be written, and pictures that cannot be drawn; leaves no file behind."""
    if plot is not None:
        _check_picture(plot)
    if netcdf is not None:
        from saddle.reporting.extras import require

        for package in ("xarray", "h5netcdf", "h5py"):
            require(package, "data", "--netcdf")
    named = (("--csv", csv), ("--plot", plot), ("--netcdf", netcdf), ("the store", store))
    given = [(option, name) for option, name in named if name is not None]
    for option, name in given:
        if option != "the store":
            _check_writable(option, name)
    for (option, name), (other, twin) in itertools.combinations(given, 2):
        if os.path.realpath(name) == os.path.realpath(twin):
            raise InputError(f"{option} and {other} name the same file")


def write_outputs(curve: Curve, csv: str | None, plot: str | None) -> None:
    """Write the columns and the picture of ``curve`` to the files that are not None."""
    exported("--csv", csv, curve.to_csv)
    if curve.points:
        exported("--plot", plot, lambda path: curve.plot().figure.savefig(path))  # type: ignore[union-attr]


def exported(option: str, path: str | None, write: Callable[[str], Any]) -> None:
    """Write a file that an option names, nothing where it names none."""
    try:
        if path is not None:
            write(path)
    except OSError as error:
        raise InputError(f"{option} {path} cannot be written: {error.strerror or error}") from error


def _check_picture(name: str) -> None:
    from saddle.reporting.extras import require

    known = require("matplotlib.figure", "plot", "--plot").Figure().canvas.get_supported_filetypes()
    suffix = Path(name).suffix[1:].lower()
    if suffix not in known:
        raise InputError(f"--plot {name} names no kind of picture: end the name in .pdf, .png or .svg")


def _check_writable(option: str, name: str) -> None:
    """Open ``name`` for appending: permissions, missing folders and read-only disks all answer only to that."""
    try:
        path = os.path.realpath(name)  # a dangling link would leave the file that it points to
        new = not os.path.lexists(path)
        with open(path, "ab"):
            pass
        if new:
            os.unlink(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{option} {name} cannot be written: {reason}") from error


def failures(curve: Curve) -> str:
    """How many points failed, and why; empty where none did."""
    from saddle.sweeping.stored import reasons

    found = list(reasons(point.message for point in curve.points if not point.status.is_answer).items())
    shown = "; ".join(f"{count} times: {reason.rstrip('.')}" for reason, count in found[:_REASONS])
    more = f"; {len(found) - _REASONS} more reasons" if len(found) > _REASONS else ""
    return f"{sum(count for _, count in found)} of {len(curve)} points failed ({shown}{more})" if found else ""


_REASONS = 3


class Progress:
    """Collects finished points, and counts them on standard error where that is a terminal."""

    def __init__(self, total: int) -> None:
        self.points: list[Result] = []
        self._bar: Any = _bar(total) if total > 1 and sys.stderr.isatty() else None

    def __call__(self, point: Result) -> None:
        self.points.append(point)
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0])

    def already(self, count: int) -> None:
        """Count points that an earlier run finished."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=count)

    def close(self) -> None:
        """Take the count off the terminal."""
        if self._bar is not None:
            self._bar.stop()


def _bar(total: int) -> Any:
    """A started bar of one task that vanishes when it is stopped."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TimeRemainingColumn
    from rich.progress import Progress as Bar
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text("" if task.speed is None else f"{task.speed:.3g}/s")

    bar = Bar(
        *(BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn()),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    bar.add_task("points", total=total)
    bar.start()
    return bar
