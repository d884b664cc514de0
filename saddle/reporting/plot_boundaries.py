"""The picture of a phase diagram over the margin: boundaries in the load, the regions between them, published points."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from saddle.published import middle, points_of
from saddle.reporting.extras import require
from saddle.reporting.plot import SYMBOLS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from saddle.critical.diagrams import Diagram

_STYLES: dict[str, dict[str, Any]] = {
    "alpha_c": {"label": r"$\alpha_c$ (RS)", "color": "C3", "linestyle": "--"},
    "alpha_c_1rsb": {"label": r"$\alpha_c$ (1RSB)", "color": "C3"},
    "alpha_AT": {"label": r"$\alpha_{\rm AT}$", "color": "C0"},
    "alpha_first_order": {"label": r"$\alpha$ first order", "color": "C2"},
    "alpha_spinodal": {"label": "spinodal of the student", "color": "C0", "linestyle": "--"},
    "alpha_spinodal_teacher": {"label": "spinodal of the teacher", "color": "C1", "linestyle": "--"},
}
_MARKS = {"alpha_AT_end": "AT line ends", "critical_point": "critical point"}
_VISIBLE, _WIDE, _INSIDE = 2e-3, 20.0, 0.2
Line = tuple[np.ndarray, np.ndarray, np.ndarray]


def draw_boundaries(diagram: Diagram, ax: Axes | None = None) -> Axes:
    """The loads of all lines over the margin (or another parameter), divided into regions.

    Parameters
    ----------
    diagram : Diagram
    ax : matplotlib Axes, optional
        Where to draw; without it a figure is made, to be found as ``.figure`` of what is returned.
    """
    figure = require("matplotlib.figure", "plot", "a picture")
    if ax is None:
        ax = figure.Figure(figsize=(6.4, 4.8), layout="constrained").add_subplot()
    (axis,) = diagram.points[0].parameters
    ends = _nearby(diagram, axis)
    lines = {name: _with_ends(diagram, axis, name, ends) for name in _STYLES if name in diagram.columns}
    lines = {name: line for name, line in lines.items() if np.isfinite(line[1]).any()}
    loads = np.concatenate([line[1][np.isfinite(line[1])] for line in lines.values()] or [np.array([1.0])])
    wide = float(loads.max()) > _WIDE * float(loads.min())
    low = 0.5 * float(loads.min()) if wide else 0.8 * float(loads.min())
    high = 2.0 * float(loads.max()) if wide else 1.1 * float(loads.max())
    margins = np.unique(np.concatenate([line[0] for line in lines.values()] or [diagram[axis]]))
    _regions(ax, margins, {name: _on(margins, line) for name, line in lines.items()}, low, high, wide)
    for name, (x, y, error) in lines.items():
        ax.plot(x, y, marker="o" if len(x) < 3 else "", markersize=4, **_STYLES[name])
        if np.nanmax(np.nan_to_num(error)) > _VISIBLE * (high - low):
            ax.fill_between(x, y - error, y + error, color=_STYLES[name]["color"], alpha=0.3, linewidth=0)
    _marks(ax, ends, axis)
    _published(ax, diagram, axis, float(margins[0]), float(margins[-1]))
    if len(margins) > 1:
        ax.set_xlim(float(margins[0]), float(margins[-1]))
    ax.set(ylim=(low, high), xlabel=SYMBOLS.get(axis, axis), ylabel=SYMBOLS["alpha"])
    if wide:
        ax.set_yscale("log")
    ax.set_title(", ".join([diagram[0].model, *diagram[0].options.values()]), fontsize="medium")
    ax.legend(frameon=False, fontsize="small")
    return ax


def _nearby(diagram: Diagram, axis: str) -> list[Mapping[str, Any]]:
    """The solved ends of lines that lie within what was asked for, or no farther from it than two points of it."""
    margins = diagram[axis]
    low, high = float(margins.min()), float(margins.max())
    reach = (high - low) / max(1, len(margins) - 1)
    ends: tuple[Mapping[str, Any], ...] = diagram.curves
    return [entry for entry in ends if low - reach <= float(entry[axis]) <= high + reach]


def _with_ends(diagram: Diagram, axis: str, name: str, ends: list[Mapping[str, Any]]) -> Line:
    """Abscissae, loads and errors of a line in order, with the solved ends on it among them."""
    points = list(zip(diagram[axis], diagram[name], diagram[f"{name}_error"], strict=True))
    for entry in ends:
        if name in str(entry.get("lines", "")).split() and float(entry[axis]) not in diagram[axis]:
            points.append((float(entry[axis]), float(entry["alpha"]), float(entry["error"])))
    ordered = np.array(sorted(points), dtype=float)
    return ordered[:, 0], ordered[:, 1], ordered[:, 2]


def _on(margins: np.ndarray, line: Line) -> np.ndarray:
    """A line at the margins of all lines, nan outside where it exists."""
    x, y, _ = line
    known = np.isfinite(y)
    return np.interp(margins, x[known], y[known], left=math.nan, right=math.nan)


def _regions(ax: Axes, x: np.ndarray, lines: dict[str, np.ndarray], low: float, high: float, wide: bool) -> None:
    """Areas between the lines, each with its name where it is tallest."""
    for label, colour, bottom, top in _areas(x, lines, low, high):
        ax.fill_between(x, bottom, top, where=np.nan_to_num(top - bottom, nan=-1.0) >= 0.0, color=colour, linewidth=0)
        clipped = np.clip(bottom, low, high), np.clip(top, low, high)
        if wide:
            clipped = np.log(clipped[0]), np.log(clipped[1])
        heights = np.nan_to_num(clipped[1] - clipped[0])
        whole = math.log(high / low) if wide else high - low
        if heights.max(initial=0.0) < 0.05 * whole:
            continue
        inside = np.clip(x, x[0] + _INSIDE * (x[-1] - x[0]), x[-1] - _INSIDE * (x[-1] - x[0])) == x
        at = int(np.argmax(np.where(inside & (heights > 0.0), heights, heights - whole)))
        middle = 0.5 * float(clipped[0][at] + clipped[1][at])
        ax.text(x[at], math.exp(middle) if wide else middle, label, ha="center", va="center", fontsize="small")


def _areas(
    x: np.ndarray, lines: dict[str, np.ndarray], low: float, high: float
) -> list[tuple[str, str, np.ndarray, np.ndarray]]:
    """Every region as name, colour, lower and upper border."""
    nothing, floor, sky = np.full_like(x, math.nan), np.full_like(x, low), np.full_like(x, high)
    if "alpha_first_order" in lines or "alpha_spinodal" in lines:
        return _learning_areas(lines, nothing, floor, sky)
    symmetric, broken = lines.get("alpha_c", nothing), lines.get("alpha_c_1rsb", nothing)
    ceiling = np.where(np.isfinite(broken), broken, np.where(np.isfinite(symmetric), symmetric, sky))
    unstable = np.where(np.isfinite(lines.get("alpha_AT", nothing)), lines.get("alpha_AT", nothing), ceiling)
    return [
        ("no solutions", "0.92", ceiling, sky),
        ("RSB", "#fde6c8", unstable, ceiling),
        ("replica symmetric", "#d5e8f7", floor, unstable),
    ]


def _learning_areas(
    lines: dict[str, np.ndarray], nothing: np.ndarray, floor: np.ndarray, sky: np.ndarray
) -> list[tuple[str, str, np.ndarray, np.ndarray]]:
    """The phases of a student: which of both branches has the larger entropy, and whether the other one exists."""
    first, end = lines.get("alpha_first_order", nothing), lines.get("alpha_spinodal", nothing)
    ceiling = lines.get("alpha_c", nothing)
    known = np.where(np.isfinite(first), first, ceiling)
    one = np.where(np.isfinite(known) | np.isfinite(end), nothing, floor)
    return [
        ("one phase", "#d5e8f7", one, sky),
        ("student stable", "#d5e8f7", floor, np.where(np.isfinite(known), known, nothing)),
        ("student metastable", "#fde6c8", first, end),
        ("teacher found", "#dcefd8", end, np.where(np.isfinite(end), sky, nothing)),
        ("no solutions", "0.92", ceiling, sky),
    ]


def _marks(ax: Axes, ends: list[Mapping[str, Any]], axis: str) -> None:
    """The points in which lines end."""
    for entry in ends:
        place = (float(entry[axis]), float(entry["alpha"]))
        ax.plot(*place, "o", color="black", markersize=4, zorder=4)
        text = f"{_MARKS.get(str(entry['name']), entry['name'])} ({place[0] + 0.0:.3f}, {place[1]:.4g})"
        ax.annotate(text, place, (5, 5), textcoords="offset points", fontsize="small", annotation_clip=True)


def _published(ax: Axes, diagram: Diagram, axis: str, low: float, high: float) -> None:
    """Published numbers as open symbols on top."""
    if axis != "kappa":
        return
    first = diagram[0]
    found = [p for p in points_of(first.model, first.options) if low <= p["kappa"] <= high]
    draw_published(ax, [(p["kappa"], middle(p)) for p in found])


def draw_published(ax: Axes, places: list[tuple[float, float]]) -> None:
    """Open symbols on top."""
    if places:
        settings: dict[str, Any] = {"markerfacecolor": "none", "markeredgecolor": "black", "zorder": 5, "label": "published"}
        ax.plot(*zip(*places, strict=True), "D", linestyle="none", markersize=5, **settings)
