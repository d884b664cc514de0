"""Times of thresholds and phase diagrams, in seconds of CPU, from a warm cache of kernels.

``python tests/benchmarks/phase_diagrams.py`` prints each beside what it may take: a teacher-student spinodal (10 ms, called
again in a warm process at a margin that was not asked for before), ``alpha_LE`` of the binary perceptron (10 s), and its
phase diagram at 54 loads (60 s on two cores).
"""

from __future__ import annotations

import time
from collections.abc import Callable

import saddle
from saddle.points.setting import Setting
from saddle.points.solving import DEFAULT_TOLERANCE, spinodal

LOADS = [round(0.3 + 0.01 * i, 4) for i in range(54)]
MARGINS = (1e-12, 2e-12, 3e-12, 4e-12, 5e-12)
"""Margins as good as none that differ, so that no result is one that was remembered."""


def seconds(task: Callable[[], object]) -> float:
    """The CPU time of a task."""
    begun = time.process_time()
    task()
    return time.process_time() - begun


def teacher_spinodal() -> float:
    """The quickest of a few, after a first one that loads the kernel."""
    setting = Setting.of(("teacher-student", "rs"))
    found = [
        seconds(lambda kappa=kappa: spinodal(setting, {"alpha": 1.0, "kappa": kappa}, DEFAULT_TOLERANCE))  # type: ignore[misc]
        for kappa in MARGINS
    ]
    return min(found[1:])


def main() -> int:
    """Measure everything and say whether it is within its time."""
    saddle.solve(("binary-perceptron", "franz-parisi"), alpha=0.5, reference_kappa=0.2, distance=0.1)
    rows = [
        ("teacher-student spinodal", teacher_spinodal(), 0.010),
        ("alpha_LE", seconds(lambda: saddle.thresholds("binary-perceptron", kappa=0.0, only=["alpha_LE"])), 10.0),
        ("diagram of 54 loads", seconds(lambda: saddle.diagram("binary-perceptron", LOADS, 0.0)), 60.0),
    ]
    for name, measured, allowed in rows:
        print(f"{name:26} {measured:9.4f} s   allowed {allowed:g} s   {'yes' if measured <= allowed else 'NO'}")
    return 0 if all(measured <= allowed for _, measured, allowed in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
