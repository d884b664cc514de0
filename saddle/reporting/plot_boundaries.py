"""The picture of a phase diagram over the margin: boundaries in the load, the regions between them, published points."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from saddle.published import middle, points_of
from saddle.reporting.extras import require
from saddle.reporting.plot import SYMBOLS, normalized_axis

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
_VISIBLE, _WIDE, _NARROW, _LETTER = 2e-3, 20.0, 0.15, 0.006
"""Errors that are seen, ranges that are logarithmic, regions too narrow for a name, and half the width of a letter."""
_BESIDE = 1e-9
"""A distance to a margin, as a share of the range, at which something else holds on either side of it."""
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
    lines = _continuous({name: line for name, line in lines.items() if np.isfinite(line[1]).any()})
    loads = np.concatenate([line[1][np.isfinite(line[1])] for line in lines.values()] or [np.array([1.0])])
    logarithmic = axis == "beta" and float(diagram[axis].max()) > _WIDE * float(diagram[axis].min())
    wide = logarithmic or float(loads.max()) > _WIDE * float(loads.min())
    low = 0.5 * float(loads.min()) if wide else 0.8 * float(loads.min())
    high = 2.0 * float(loads.max()) if wide else 1.1 * float(loads.max())
    margins = np.unique(np.concatenate([diagram[axis], *(line[0] for line in lines.values())]))
    beside = [float(entry[axis]) - _BESIDE * float(np.ptp(margins)) for entry in ends]
    margins = np.unique([*margins, *(x for x in beside if x > margins[0])])
    _regions(ax, margins, {name: _on(margins, line) for name, line in lines.items()}, low, high, (logarithmic, wide))
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
    if logarithmic:
        ax.set_xscale("log")
    if axis == "kappa":
        normalized_axis(ax, diagram[0].deviation, axis, upwards=False)
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


def _continuous(lines: dict[str, Line]) -> dict[str, Line]:
    """The lines, with the capacity of a student begun where it comes from: the transition without margin."""
    if not {"alpha_first_order", "alpha_c"} <= lines.keys():
        return lines
    (x, y, error), first = lines["alpha_c"], lines["alpha_first_order"]
    (origin,) = np.flatnonzero((first[0] == 0.0) & np.isfinite(first[1]))[:1] if (first[0] == 0.0).any() else (None,)
    if origin is None:
        return lines
    here = (_BESIDE * float(np.ptp(x)), float(first[1][origin]), float(first[2][origin]))
    after = int(np.searchsorted(x, here[0]))
    begun = tuple(np.insert(column, after, value) for column, value in zip((x, y, error), here, strict=True))
    return {**lines, "alpha_c": (begun[0], begun[1], begun[2])}


def _regions(
    ax: Axes, x: np.ndarray, lines: dict[str, np.ndarray], low: float, high: float, logs: tuple[bool, bool]
) -> None:
    """Areas between the lines, each with its name where it has most space; ``logs`` are those of the axes."""
    u, v = (np.log if log else np.asarray for log in logs)
    whole = float(v(high) - v(low))
    for label, colour, bottom, top in _areas(x, lines, low, high):
        there = np.nan_to_num(top - bottom, nan=-1.0) >= 0.0
        ax.fill_between(x, bottom, top, where=there, color=colour, linewidth=0.5)
        sides = v(np.clip(bottom, low, high)), v(np.clip(top, low, high))
        heights = np.nan_to_num(sides[1] - sides[0])
        first, last = _run(there & (heights > 0.0), int(np.argmax(heights)))
        if heights.max(initial=0.0) < 0.05 * whole or first == last < len(x) - 1:
            continue
        part = slice(first, last + 1)
        size = float(u(x[-1]) - u(x[0])), whole
        at, middle, turned = _space(u(x[part]), sides[0][part], sides[1][part], size, _LETTER * len(label))
        place = (math.exp(at) if logs[0] else at, math.exp(middle) if logs[1] else middle)
        ax.text(*place, label, ha="center", va="center", fontsize="small", rotation=90 if turned else 0)


def _space(
    u: np.ndarray, bottom: np.ndarray, top: np.ndarray, size: tuple[float, float], half: float
) -> tuple[float, float, bool]:
    """Where between two lines a name of this half length has most space, and whether it is turned to fit."""
    turned = 0.0 < u[-1] - u[0] < _NARROW * size[0]
    half = (0.01 if turned else half) * size[0]
    grid = np.linspace(u[0], u[-1], 81)
    ends = np.interp(grid, u, bottom), np.interp(grid, u, top)
    free = []
    for at in grid:
        below = np.abs(grid - at) <= half
        aside = min(at - u[0], u[-1] - at)
        height = float(ends[1][below].min() - ends[0][below].max()) / size[1]
        free.append(min(height, 2.0 * aside / (size[0] or 1.0)) - (1.0 if aside < half else 0.0))
    best = int(np.argmax(free))
    return float(grid[best]), 0.5 * float(ends[0][best] + ends[1][best]), turned


def _run(there: np.ndarray, index: int) -> tuple[int, int]:
    """First and last index of the places next to each other around one."""
    first = last = index
    while first > 0 and there[first - 1]:
        first -= 1
    while last < len(there) - 1 and there[last + 1]:
        last += 1
    return first, last


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
