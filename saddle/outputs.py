"""Where results go: files that are tested before anything is computed, and progress on a terminal."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replica.errors import InputError

if TYPE_CHECKING:
    from saddle.curve import Curve
    from saddle.results import Result


def check_outputs(csv: str | None, plot: str | None) -> None:
    """Refuse files that cannot be written, and pictures that cannot be drawn; leaves no file behind."""
    if plot is not None:
        _check_picture(plot)
    for option, name in (("--csv", csv), ("--plot", plot)):
        if name is not None:
            _check_writable(option, name)
    if csv is not None and plot is not None and os.path.realpath(csv) == os.path.realpath(plot):
        raise InputError("--csv and --plot name the same file")


def write_outputs(curve: Curve, csv: str | None, plot: str | None) -> None:
    """Write the columns and the picture of ``curve`` to the files that are not None."""
    option, name = "", ""
    try:
        if csv is not None:
            option, name = "--csv", csv
            curve.to_csv(csv)
        if plot is not None and curve.points:
            option, name = "--plot", plot
            figure: Any = curve.plot().figure
            figure.savefig(plot)
    except OSError as error:
        raise InputError(f"{option} {name} cannot be written: {error.strerror or error}") from error


def _check_picture(name: str) -> None:
    from saddle.extras import require

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


class Progress:
    """Collects finished points, and counts them on standard error where that is a terminal."""

    def __init__(self, total: int) -> None:
        self.points: list[Result] = []
        self._bar: Any = _bar(total) if total > 1 and sys.stderr.isatty() else None

    def __call__(self, point: Result) -> None:
        self.points.append(point)
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0])

    def close(self) -> None:
        """Take the count off the terminal."""
        if self._bar is not None:
            self._bar.stop()


def _bar(total: int) -> Any:
    """A started bar of one task that vanishes when it is stopped."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    bar = Bar(
        *(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    bar.add_task("points", total=total)
    bar.start()
    return bar
