"""The picture of a phase diagram: lines, the regions between them by name, and the marked points where lines end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from saddle.published import middle, points_of
from saddle.reporting.extras import require
from saddle.reporting.plot import normalized_axis
from saddle.reporting.plot_boundaries import draw_published

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from saddle.critical.diagrams import Diagram

_COLOURS = {"kappa_max": "C3", "kappa_mono": "C0", "kappa_gap": "C1"}
_SYMBOLS = {"kappa_max": r"\kappa_{\rm max}", "kappa_mono": r"\kappa_{\rm mono}", "kappa_gap": r"\kappa_{\rm gap}"}
_MARKS = {"alpha_LE": r"\alpha_{\rm LE}", "alpha_gap": r"\alpha_{\rm gap}", "alpha_c": r"\alpha_c"}
_VISIBLE = 2e-3
"""Error relative to the height of the picture from which a band can be seen."""
_NEAR_THE_EDGE, _MARGIN = 0.85, 0.16
"""Shares of the width: from where on names end at their points (and stand higher), and how far those of regions stay off."""
_ROOM, _BELOW, _LONG = 0.06, 0.2, 20
"""Shares of the height: what a region needs to hold its name (twice that for one of more letters than the last number), and
what has to be below it for a name to stand there."""
_LEAST = 0.05
"""Height of a picture in which no margin has solutions."""
_LEADER = {"arrowstyle": "-", "linewidth": 0.5, "color": "0.4"}


def draw_diagram(diagram: Diagram, ax: Axes | None = None) -> Axes:
    """The reference margins over the load, divided into regions.

    Parameters
    ----------
    diagram : Diagram
    ax : matplotlib Axes, optional
        Where to draw; without it a figure is made, to be found as ``.figure`` of what is returned.
    """
    figure = require("matplotlib.figure", "plot", "a picture")
    if ax is None:
        ax = figure.Figure(figsize=(6.4, 4.8), layout="constrained").add_subplot()
    ends = {str(entry["name"]): entry for entry in diagram.curves if entry["status"] == "converged"}
    marks = {name: (float(end["alpha"]), float(end["reference_kappa"])) for name, end in ends.items()}  # type: ignore[arg-type]
    alpha, lines, errors = _to_the_ends(diagram, marks)
    kappa = float(diagram["kappa"][0])
    top = _top(diagram, kappa, lines["kappa_max"], marks)
    _regions(ax, alpha, kappa, top, lines, any(mark in ends for mark in _LINE_OF))
    for name, line in lines.items():
        ax.plot(alpha, line, color=_COLOURS[name], label=f"${_SYMBOLS[name]}$")
        if np.nanmax(np.nan_to_num(errors[name])) > _VISIBLE * abs(top - kappa):
            low, high = line - errors[name], line + errors[name]
            ax.fill_between(alpha, low, high, color=_COLOURS[name], alpha=0.3, linewidth=0)
    _mark(ax, alpha, marks)
    draw_published(ax, _capacities(diagram, (alpha[0], alpha[-1]), (kappa, top)))
    ax.set(xlim=(alpha[0], alpha[-1]), ylim=(kappa, top))
    ax.set(xlabel=r"load $\alpha$", ylabel=r"reference margin $\kappa_{\rm ref}$")
    normalized_axis(ax, diagram[0].deviation, "reference_kappa", upwards=True)
    model = ", ".join([diagram[0].model, *diagram[0].options.values()])
    ax.set_title(f"{model}, probes of margin {kappa:g}", fontsize="medium")
    ax.legend(frameon=False, fontsize="small", loc="upper right")
    return ax


def _capacities(diagram: Diagram, loads: tuple[float, float], margins: tuple[float, float]) -> list[tuple[float, float]]:
    """Published capacities in the picture, loads and margins: at each the margin is the largest one."""
    rows = (row for row in points_of(diagram[0].model, diagram[0].options) if row["quantity"].startswith("capacity"))
    found = [(middle(row), float(row["kappa"])) for row in rows]
    return [(x, y) for x, y in found if loads[0] <= x <= loads[1] and min(margins) <= y <= max(margins)]


def _top(diagram: Diagram, kappa: float, largest: np.ndarray, marks: dict[str, tuple[float, float]]) -> float:
    """The margin at the upper end: above those that exist, or below them where a smaller margin asks for more."""
    capacity = marks["alpha_c"][0] if "alpha_c" in marks else np.inf
    excess = np.where(diagram["alpha"] < capacity, 1.0, -1.0) * (diagram["kappa_max"] - kappa)
    sign = float(np.sign(np.nansum(excess))) or 1.0
    return kappa + 1.05 * sign * max(float(np.nanmax(sign * (largest - kappa))), _LEAST * max(1.0, abs(kappa)))


def _mark(ax: Axes, alpha: np.ndarray, marks: dict[str, tuple[float, float]]) -> None:
    """The ends of the lines with their names one above the other, since the ends may lie close to each other."""
    inside = [name for name, (load, _) in marks.items() if alpha[0] <= load <= alpha[-1]]
    edge = alpha[0] + _NEAR_THE_EDGE * (alpha[-1] - alpha[0])
    lift = 44 if any(marks[name][0] > edge for name in inside) else 24
    for k, name in enumerate(sorted(inside, key=lambda name: marks[name][0], reverse=True)):
        load, height = marks[name]
        ax.plot(load, height, "o", color="black", markersize=4, zorder=4)
        ax.annotate(
            f"${_MARKS[name]}$ = {load:.4g}",
            (load, height),
            (0, lift + 16 * k),
            textcoords="offset points",
            ha="right" if load > edge else "left",  # to the left there are the leaders of those above
            fontsize="small",
            arrowprops={**_LEADER, "relpos": (1.0 if load > edge else 0.0, 0.0)},
        )


_LINE_OF = {"alpha_LE": "kappa_mono", "alpha_gap": "kappa_gap"}
Lines = dict[str, np.ndarray]


def _to_the_ends(diagram: Diagram, marks: dict[str, tuple[float, float]]) -> tuple[np.ndarray, Lines, Lines]:
    """Loads, lines and errors in order of the load, with the solved ends of the lines among them."""
    order = np.argsort(diagram["alpha"])
    reported = diagram["alpha"][order]
    inside = {k: m for k, m in marks.items() if reported[0] < m[0] < reported[-1]}
    alpha = np.unique([*reported, *(load for load, _ in inside.values())])
    lines, errors = {}, {}
    for name in _COLOURS:
        x, y, error = reported, diagram[name][order], diagram[f"{name}_error"][order]
        for mark, (load, margin) in inside.items():
            if name in ("kappa_max", _LINE_OF.get(mark)):
                at = int(np.searchsorted(x, load))
                x, y, error = np.insert(x, at, load), np.insert(y, at, margin), np.insert(error, at, 0.0)
        known = np.isfinite(y)
        if not known.any():
            lines[name] = errors[name] = np.full_like(alpha, np.nan)
            continue
        lines[name] = np.interp(alpha, x[known], y[known], right=np.nan)
        errors[name] = np.interp(alpha, x[known], error[known], right=np.nan)
    return alpha, lines, errors


def _regions(ax: Axes, alpha: np.ndarray, kappa: float, top: float, lines: Lines, divided: bool) -> None:
    """Areas between the lines with their names; where a line is missing, the region above it is too.

    ``divided`` is whether the lines exist at some load: where they do not, nothing is known of the margins with solutions.
    """
    largest = lines["kappa_max"]
    mono = np.where(np.isfinite(lines["kappa_mono"]), lines["kappa_mono"], largest)
    gap = np.where(np.isfinite(lines["kappa_gap"]), lines["kappa_gap"], largest)
    floor, width, up = np.full_like(alpha, kappa), float(alpha[-1] - alpha[0]), float(np.sign(top - kappa))
    areas = {
        "no solutions": (largest, np.full_like(alpha, top), "0.92"),
        "flat": (mono, largest, "#d5e8f7"),
        "connected, not monotonic": (gap, mono, "#fde6c8"),
        "gapped": (floor, gap, "#f7d4d0"),
    }
    if not divided:
        areas = {"no solutions": areas["no solutions"], "solutions": (floor, largest, "#d5e8f7")}
    share = 0.5  # of a region's height, at which its name stands: lower, where that of the region above hangs into it
    for label, (low, high, colour) in areas.items():
        ax.fill_between(alpha, low, high, where=up * (high - low) >= 0.0, color=colour, linewidth=0, interpolate=False)
        ends = min(kappa, top), max(kappa, top)
        low, high = np.clip(low, ends[0], ends[1]), np.clip(high, ends[0], ends[1])
        height = up * (high - low) / abs(top - kappa)
        tallest = int(np.nanargmax(height))
        if height[tallest] > (_ROOM if len(label) < _LONG else 2.0 * _ROOM):
            at = float(alpha[tallest])
            at = min(max(at, alpha[0] + _MARGIN * width), alpha[-1] - _MARGIN * width)
            middle = float(np.interp(at, alpha, low + share * (high - low)))
            ax.text(at, middle, label, ha="center", va="center", fontsize="small")
        elif height[tallest] > _VISIBLE:
            place = (float(alpha[tallest]), float(low[tallest] + high[tallest]) / 2)
            below = abs(low[tallest] - kappa) > _BELOW * abs(top - kappa)
            share = 0.25 if below else 0.5
            offset, ha = ((0, -40), "center") if below else ((-60, 5), "right")
            ax.annotate(label, place, offset, textcoords="offset points", ha=ha, fontsize="small", arrowprops=_LEADER)
