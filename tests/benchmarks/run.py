"""Print how fast the package is, as figures beside their targets: ``python tests/benchmarks/run.py [--quick]``.

Ratios compare with what one writes without the package (``scipy_counterpart.py``) and with a bare loop over the
quadrature nodes. Times inside this process are of its processor, which others on the machine move least, those of fresh
processes are of the clock; every figure is a median of several repeats.  Warm means: kernels loaded
and the reference of a Franz-Parisi point solved, as from the second point of a curve on; scipy is handed its reference
too.  Both start from the same order parameters.  The exit code does not depend on the figures.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy_counterpart

import saddle
from saddle.points.setting import Setting
from saddle.points.solving import problem_of, reference_point

RS, FRANZ_PARISI = ("binary-perceptron", "rs"), ("binary-perceptron", "franz-parisi")
LOCAL_ENTROPY, BROKEN = ("binary-perceptron", "local-entropy"), ("spherical-perceptron", "1rsb")
_COMMAND = "import sys; from saddle.cli import main; sys.exit(main(sys.argv[1:]))"
_COARSE = 1e-6
"""Tolerance of scipy for clusters of replicas, where 1e-8 takes minutes."""
_NEIGHBOUR = 1.01
"""Distance of the start relative to that of the point: one step of a profile of a few hundred points."""


@dataclass(frozen=True)
class Row:
    """One line of the table; ``at_least`` says which side of the target is good."""

    name: str
    figure: float
    target: float
    at_least: bool
    unit: str
    detail: str

    @property
    def met(self) -> bool:
        """Whether the figure is on the good side of the target."""
        return self.figure >= self.target if self.at_least else self.figure <= self.target

    def __str__(self) -> str:
        sign, verdict = ">=" if self.at_least else "<=", "met" if self.met else "NOT met"
        return f"{self.name:<52}{self.figure:>10.3g} {self.unit:<2} {sign} {self.target:<5g} {verdict:<8} {self.detail}"


def median_time(function: Callable[[], Any], repeats: int, number: int = 1) -> float:
    """Return the median over repeats of the seconds a call takes; short calls are grouped, after one that is not timed."""
    if number > 1:
        function()
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        for _ in range(number):
            function()
        times.append((time.process_time() - begin) / number)
    return statistics.median(times)


def rs_rows(quick: bool) -> Iterator[Row]:
    """The replica-symmetric saddle, from the middle of the range of q."""
    start, repeats = {"q": 0.5}, 5 if quick else 15
    for alpha in (0.5, 1.1):
        ours = median_time(lambda: saddle.solve(RS, alpha=alpha, start=start), repeats, 200)  # noqa: B023
        theirs = median_time(lambda: scipy_counterpart.rs_point(alpha, 0.0, start), repeats, 5)  # noqa: B023
        detail = f"{ours * 1e3:.2f} ms against {theirs * 1e3:.2f} ms"
        yield Row(f"RS saddle, alpha {alpha:g}: times faster than scipy", theirs / ours, 100.0, True, "", detail)


def franz_parisi_rows(quick: bool) -> Iterator[Row]:
    """One Franz-Parisi point with its error estimate, against scipy and against the bare kernels."""
    fixed: dict[str, float] = {"alpha": 0.5, "reference_kappa": 0.2, "kappa": 0.0}
    for distance in (0.1,) if quick else (0.1, 0.01):
        neighbour = saddle.solve(FRANZ_PARISI, distance=_NEIGHBOUR * distance, **fixed)
        start = neighbour.order_parameters
        point = saddle.solve(FRANZ_PARISI, distance=distance, start=start, **fixed)

        def ours() -> Any:
            return saddle.solve(FRANZ_PARISI, distance=distance, start=start, **fixed)  # noqa: B023

        def theirs() -> Any:
            return scipy_counterpart.franz_parisi_point(distance=distance, start=start, **fixed)  # noqa: B023

        seconds, reference = median_time(ours, 5 if quick else 15, 20), median_time(theirs, 1 if quick else 3)
        bare, steps = bare_loop(point)
        name, detail = f"Franz-Parisi point, d = {distance:g}", f"{seconds * 1e3:.2f} ms against"
        compared = f"{detail} {reference:.2f} s, error {point.error:.0e}"
        yield Row(f"{name}: times faster than scipy", reference / seconds, 1000.0, True, "", compared)
        compared = f"{detail} {bare * 1e3:.2f} ms, {steps} Newton steps"
        yield Row(f"{name}: times slower than a bare loop", seconds / bare, 3.0, False, "", compared)


def cluster_rows(quick: bool) -> Iterator[Row]:
    """Twenty real replicas, and one step of symmetry breaking, from a neighbour, with their error estimates."""
    replicas: dict[str, float] = {"alpha": 0.6, "kappa": 0.0, "y": 20.0}
    broken: dict[str, float] = {"kappa": -1.0, "m": 0.3}
    cases = (
        ("local entropy, y = 20", LOCAL_ENTROPY, replicas, ("overlap", 0.9), scipy_counterpart.local_entropy_point),
        ("1RSB point", BROKEN, broken, ("alpha", 9.0), scipy_counterpart.broken_point),
    )
    for name, ansatz, fixed, (moved, value), counterpart in cases:
        start = saddle.solve(ansatz, **fixed, **{moved: value / _NEIGHBOUR}).order_parameters
        start = {key: number for key, number in start.items() if key not in fixed}

        def ours() -> Any:
            return saddle.solve(ansatz, start=start, **fixed, **{moved: value})  # noqa: B023

        def theirs() -> Any:
            return counterpart(start=start, tolerance=_COARSE, **fixed, **{moved: value})  # noqa: B023

        point = ours()
        seconds = median_time(ours, 5 if quick else 15, 20)
        bare, steps = bare_loop(point)
        if not quick:  # scipy takes a minute or two
            reference = median_time(theirs, 1)
            compared = f"{seconds * 1e3:.2f} ms, error {point.error:.0e}, against {reference:.2f} s at {_COARSE:.0e}"
            yield Row(f"{name}: times faster than scipy", reference / seconds, 100.0, True, "", compared)
        compared = f"{seconds * 1e3:.2f} ms against {bare * 1e3:.2f} ms, {steps} Newton steps"
        yield Row(f"{name}: times slower than a bare loop", seconds / bare, 3.0, False, "", compared)


def bare_loop(point: saddle.SaddlePoint) -> tuple[float, int]:
    """Return the seconds that the kernels alone take, phi, F and J once per Newton step of the point, and the steps."""
    setting = Setting.of((point.model, point.ansatz))
    values = {name: float(value) for name, value in point.parameters.items()}
    problem = problem_of(setting, values, reference_point(setting, values, point.tolerance))
    place = problem.place(problem.to_coordinates(point.order_parameters))
    assert place is not None
    n, rule = len(problem.active), setting.rule
    tables = (*rule.tables(), rule.step / 4, rule.reach, np.empty(1 + n + n * n))
    energetic = np.array(problem.energetic_arguments(place))
    weights = np.array(problem.weights_arguments(place, point.order_parameters))
    # an iteration is counted where plain Newton would take a step: above the tolerance
    steps = sum(iteration.method == "newton" and iteration.residual > point.tolerance for iteration in point.iterations)
    kernel = setting.kernel

    def loop() -> None:
        for _ in range(steps):
            kernel.energetic_jacobian(energetic, *tables)
            kernel.weights_jacobian(weights, *tables)

    return median_time(loop, 15, 20), steps


def profile_row(quick: bool) -> Row:
    """A profile of 100 points with its summary."""
    distances = np.linspace(0.002, 0.35, 100)
    saddle.franz_parisi("binary-perceptron", 0.5, 0.2, 0.0, [0.1])
    seconds = median_time(lambda: saddle.franz_parisi("binary-perceptron", 0.5, 0.2, 0.0, distances), 3 if quick else 7)
    return Row("Franz-Parisi profile of 100 points, warm", seconds, 1.0, False, "s", "summary included")


def process_seconds(arguments: list[str], environment: dict[str, str]) -> float:
    """Return how long a fresh interpreter takes."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def process_rows(quick: bool) -> Iterator[Row]:
    """Fresh processes: the command with an empty and with a filled kernel folder, and the import."""
    command = ["-c", _COMMAND, "capacity", "binary-perceptron", "--kappa", "0", "--json"]
    path = os.pathsep.join(entry for entry in sys.path[1:] if entry)
    first, cached = [], []
    for _ in range(1 if quick else 3):
        with tempfile.TemporaryDirectory() as folder:
            environment = {**os.environ, "REPLICA_CACHE_DIR": folder, "PYTHONPATH": path}
            first.append(process_seconds(command, environment))
            cached += [process_seconds(command, environment) for _ in range(3)]
    imports = [process_seconds(["-c", "import replica, saddle"], {**os.environ, "PYTHONPATH": path}) for _ in range(5)]
    yield Row("replica capacity, first time", statistics.median(first), 20.0, False, "s", "empty kernel folder")
    yield Row("replica capacity, cached", statistics.median(cached), 2.0, False, "s", "fresh process")
    yield Row("import replica, saddle", statistics.median(imports), 1.0, False, "s", "fresh process, its start included")


def all_rows(quick: bool) -> Iterator[Row]:
    """Every row, as soon as it is measured."""
    yield from franz_parisi_rows(quick)
    yield from rs_rows(quick)
    yield from cluster_rows(quick)
    yield profile_row(quick)
    yield from process_rows(quick)


def main() -> int:
    """Measure, print the table, and write it as JSON if asked to."""
    parser = argparse.ArgumentParser(description="Print how fast the package is, beside its targets.")
    parser.add_argument("--quick", action="store_true", help="fewer points and repeats")
    parser.add_argument("--json", metavar="FILE", help="write the table there too")
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores; medians")
    rows = []
    for row in all_rows(options.quick):
        print(row, flush=True)
        rows.append({**row.__dict__, "met": row.met})
    print(f"{sum(row['met'] for row in rows)} of {len(rows)} targets met")
    assert all(math.isfinite(row["figure"]) for row in rows)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as stream:
            json.dump(rows, stream, indent=1)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
