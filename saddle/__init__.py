"""Solve and report what :mod:`replica` derives: saddle points, entropy curves, capacities, Franz-Parisi profiles.

Every number comes with its undamped residual, its quadrature error, its total error and a status.  Nothing heavy is
imported before it is needed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saddle.capacities import capacity, max_margin
    from saddle.checks import Check, check
    from saddle.clones import ogp
    from saddle.cluster_reports import complexity, local_entropy
    from saddle.coexistence import all_saddles
    from saddle.curve import Curve
    from saddle.diagrams import Diagram, diagram
    from saddle.event_lines import EventLine, follow_event
    from saddle.following import Branch, follow, load_branch
    from saddle.landmark import Landmark
    from saddle.landmarks import thresholds
    from saddle.learning import generalization
    from saddle.reports import entropy_curve, franz_parisi
    from saddle.results import Iteration, SaddlePoint, Status, Threshold
    from saddle.solving import SaddleError, solve
    from saddle.stored import StoredSweep, load_store
    from saddle.sweeps import SweepInterrupted, sweep

_HOME = {
    "all_saddles": "coexistence",
    "complexity": "cluster_reports",
    "local_entropy": "cluster_reports",
    "Branch": "following",
    "Diagram": "diagrams",
    "EventLine": "event_lines",
    "Landmark": "landmark",
    "diagram": "diagrams",
    "follow": "following",
    "follow_event": "event_lines",
    "load_branch": "following",
    "thresholds": "landmarks",
    "Check": "checks",
    "check": "checks",
    "Curve": "curve",
    "entropy_curve": "reports",
    "franz_parisi": "reports",
    "generalization": "learning",
    "ogp": "clones",
    "Iteration": "results",
    "SaddlePoint": "results",
    "Status": "results",
    "Threshold": "results",
    "SaddleError": "solving",
    "solve": "solving",
    "capacity": "capacities",
    "max_margin": "capacities",
    "StoredSweep": "stored",
    "load_store": "stored",
    "SweepInterrupted": "sweeps",
    "sweep": "sweeps",
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
