"""Solve and report what :mod:`replica` derives: saddle points, entropy curves, capacities, Franz-Parisi profiles.

Every number comes with its undamped residual, its quadrature error, its total error and a status.  Nothing heavy is
imported before it is needed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saddle.checks import Check, check
    from saddle.curve import Curve
    from saddle.generalization import generalization
    from saddle.reports import entropy_curve, franz_parisi
    from saddle.results import Iteration, SaddlePoint, Status, Threshold
    from saddle.solving import SaddleError, solve
    from saddle.thresholds import capacity, max_margin

_HOME = {
    "Check": "checks",
    "check": "checks",
    "Curve": "curve",
    "entropy_curve": "reports",
    "franz_parisi": "reports",
    "generalization": "generalization",
    "Iteration": "results",
    "SaddlePoint": "results",
    "Status": "results",
    "Threshold": "results",
    "SaddleError": "solving",
    "solve": "solving",
    "capacity": "thresholds",
    "max_margin": "thresholds",
}

__all__ = [
    "Check",
    "Curve",
    "Iteration",
    "SaddleError",
    "SaddlePoint",
    "Status",
    "Threshold",
    "capacity",
    "check",
    "entropy_curve",
    "franz_parisi",
    "generalization",
    "max_margin",
    "solve",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(f"saddle.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'saddle' has no attribute {name!r}")
