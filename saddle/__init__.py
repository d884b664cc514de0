"""Solve and report what :mod:`replica` derives: saddle points, entropy curves, capacities, Franz-Parisi profiles.

Every number comes with its undamped residual, its quadrature error, its total error and a status.  Nothing heavy is
imported before it is needed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saddle.checks import Check, check
    from saddle.critical.capacities import capacity, max_margin
    from saddle.critical.clones import ogp
    from saddle.critical.diagrams import Diagram, diagram
    from saddle.critical.landmark import Landmark
    from saddle.critical.landmarks import thresholds
    from saddle.critical.learning import generalization
    from saddle.lines.event_lines import EventLine, follow_event
    from saddle.lines.following import Branch, follow, load_branch
    from saddle.points.coexistence import all_saddles
    from saddle.points.results import Iteration, SaddlePoint, Status, Threshold
    from saddle.points.solving import SaddleError, solve
    from saddle.reporting.cluster_reports import complexity, local_entropy
    from saddle.reporting.curve import Curve
    from saddle.reporting.reports import entropy_curve, franz_parisi
    from saddle.sweeping.stored import StoredSweep, load_store
    from saddle.sweeping.sweeps import SweepInterrupted, sweep

_HOME = {
    "all_saddles": "points.coexistence",
    "complexity": "reporting.cluster_reports",
    "local_entropy": "reporting.cluster_reports",
    "Branch": "lines.following",
    "Diagram": "critical.diagrams",
    "EventLine": "lines.event_lines",
    "Landmark": "critical.landmark",
    "diagram": "critical.diagrams",
    "follow": "lines.following",
    "follow_event": "lines.event_lines",
    "load_branch": "lines.following",
    "thresholds": "critical.landmarks",
    "Check": "checks",
    "check": "checks",
    "Curve": "reporting.curve",
    "entropy_curve": "reporting.reports",
    "franz_parisi": "reporting.reports",
    "generalization": "critical.learning",
    "ogp": "critical.clones",
    "Iteration": "points.results",
    "SaddlePoint": "points.results",
    "Status": "points.results",
    "Threshold": "points.results",
    "SaddleError": "points.solving",
    "solve": "points.solving",
    "capacity": "critical.capacities",
    "max_margin": "critical.capacities",
    "StoredSweep": "sweeping.stored",
    "load_store": "sweeping.stored",
    "SweepInterrupted": "sweeping.sweeps",
    "sweep": "sweeping.sweeps",
}

__all__ = [
    "Branch",
    "Check",
    "Curve",
    "Diagram",
    "EventLine",
    "Iteration",
    "Landmark",
    "SaddleError",
    "SaddlePoint",
    "Status",
    "StoredSweep",
    "SweepInterrupted",
    "Threshold",
    "all_saddles",
    "capacity",
    "check",
    "complexity",
    "diagram",
    "entropy_curve",
    "follow",
    "follow_event",
    "franz_parisi",
    "generalization",
    "load_branch",
    "load_store",
    "local_entropy",
    "max_margin",
    "ogp",
    "solve",
    "sweep",
    "thresholds",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(f"saddle.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'saddle' has no attribute {name!r}")
