"""Pictures of curves, for a person: axes with symbols, the zero line, what is unstable dashed.

Nothing here touches pyplot: without ``ax`` a figure of its own is made, so no state leaks and no display is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from replica.errors import InputError
from saddle.points.results import Result, Threshold
from saddle.reporting.extras import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from saddle.reporting.curve import Curve

SYMBOLS = {
    "alpha": r"load $\alpha$",
    "kappa": r"margin $\kappa$",
    "reference_kappa": r"reference margin $\kappa_{\rm ref}$",
    "distance": r"distance $d$",
    "capacity": r"capacity $\alpha_c$",
    "beta": r"inverse temperature $\beta$",
    "reference_beta": r"inverse temperature of the reference $\beta_{\rm ref}$",
    "m": r"Parisi parameter $m$",
    "y": r"replicas $y$",
    "clones": r"clones $m$",
    "ogp": r"onset of the overlap gap $\alpha_{\rm OGP}$",
    "max_margin": r"maximal margin $\kappa_{\rm max}$",
}
_SHORT = {
    **{"alpha": r"\alpha", "kappa": r"\kappa", "reference_kappa": r"\kappa_{\rm ref}", "distance": "d"},
    **{"beta": r"\beta", "reference_beta": r"\beta_{\rm ref}"},
}
_AXIS_ORDER = ("clones", "m", "distance", "kappa", "alpha", "beta", "y", "reference_beta", "reference_kappa")
_LOGARITHMIC = 30.0


def draw(curve: Curve, ax: Axes | None = None) -> Axes:
    """The picture of ``curve``: entropies against what varies, profiles over the distance, complexities, or thresholds.

    Parameters
    ----------
    curve : Curve
        At least one point.
    ax : matplotlib Axes, optional
        Where to draw; without it a figure is made, to be found as ``.figure`` of what is returned.
    """
    if not curve.points:
        raise InputError("a curve without points has no picture")
    figure = require("matplotlib.figure", "plot", "a picture")
    if ax is None:
        ax = figure.Figure(figsize=(6.4, 4.4), layout="constrained").add_subplot()
    first = curve.points[0]
    if "branch" in first.observables:
        _learning(curve, ax)
    elif len({getattr(point, "name", "") for point in curve.points}) > 1:
        _landmarks(curve, ax)
    elif isinstance(first, Threshold):
        _thresholds(curve, first.name, ax)
    elif "distance" in _common(curve):
        _profiles(curve, ax)
    else:
        _entropies(curve, ax)
    if ax.get_legend_handles_labels()[1]:
        ax.legend(frameon=False, fontsize="small")
    return ax


def _entropies(curve: Curve, ax: Axes) -> None:
    """Entropy lines with their unstable parts dashed and their zeros marked."""
    axis = _axis(curve)
    key, quantity = _quantity(curve, axis)
    for label, points in _lines(curve, axis):
        x, y = _sorted(points, axis, key)
        colour = _line(ax, x, y, label, _stable(points, axis))
        for zero in [] if "free entropy" in quantity else _zeros(x, y):  # that vanishes where nothing happens
            ax.plot(zero, 0.0, "o", color=colour, markersize=5, zorder=3)
            ax.annotate(f"{zero:.4g}", (zero, 0.0), (4, 6), textcoords="offset points", color=colour, fontsize="small")
    _label(ax, SYMBOLS[axis], quantity, curve)


def _quantity(curve: Curve, axis: str) -> tuple[str, str]:
    """What is drawn upwards: the name of its column, and its label."""
    found = set.intersection(*(set(point.observables) for point in curve.points))
    free = "free " if "entropy" in found else ""
    if "local_entropy" in found:
        return "local_entropy", "local entropy per weight (nats)"
    if axis == "m" and "complexity" in found:
        return "complexity", r"complexity per weight $\Sigma$ (nats)"
    if "distance" in _common(curve):
        return "free_entropy", rf"Franz-Parisi {free}entropy $\phi_{{\rm FP}}$ (nats)"
    return "free_entropy", rf"{free}entropy per weight $\phi$ (nats)"


def _profiles(curve: Curve, ax: Axes) -> None:
    """Franz-Parisi profiles, their typical distances, and the bound that no solution count can exceed; local entropies."""
    axis = _axis(curve)
    key, quantity = _quantity(curve, axis)
    summaries = {_key(entry): entry for entry in curve.curves}
    bound: dict[float, float] = {}
    for label, points in _lines(curve, axis):
        x, y = _sorted(points, axis, key)
        colour = _line(ax, x, y, label, _stable(points, axis))
        bound.update((p.parameters["distance"], _number(p.observables.get("bound"))) for p in points)
        entry = summaries.get(_key(points[0].parameters), {})
        typical = _number(entry.get("typical_distance"))
        if axis == "distance" and np.isfinite(typical):
            ax.axvline(typical, color=colour, linestyle=":", linewidth=0.9)
    if axis == "distance":
        grid = sorted(d for d, value in bound.items() if np.isfinite(value))
        if grid:
            ax.plot(grid, [bound[d] for d in grid], color="0.6", linewidth=0.8, zorder=1, label="bound")
            if min(grid) * _LOGARITHMIC**2 < max(grid):  # more than three decades: small distances need room
                ax.set_xscale("log")
    _label(ax, SYMBOLS[axis], quantity, curve)


def _learning(curve: Curve, ax: Axes) -> None:
    """Generalisation errors of both branches, solid in the stable phase and dashed where metastable, and transitions."""
    axis = _axis(curve)
    for branch in dict.fromkeys(str(point.observables["branch"]) for point in curve.points):
        part = replace(curve, points=tuple(p for p in curve.points if p.observables["branch"] == branch))
        for label, points in _lines(part, axis):
            ordered = sorted(points, key=lambda point: point.parameters[axis])
            x = np.array([point.parameters[axis] for point in ordered])
            y = np.array([_number(point.observables["generalization_error"]) for point in ordered])
            stable = np.array([point.observables["phase"] != "metastable" for point in ordered], dtype=bool)
            _line(ax, x, y, ", ".join(filter(None, (branch, label))), stable, "metastable")
    for entry in curve.thresholds:
        if axis == "alpha" and np.isfinite(_number(entry["value"])):
            ax.axvline(_number(entry["value"]), color="0.6", linestyle=":", linewidth=0.9)
    _label(ax, SYMBOLS[axis], r"generalisation error $\epsilon$", curve)


def _thresholds(curve: Curve, name: str, ax: Axes) -> None:
    axis = _axis(curve)
    for label, points in _lines(curve, axis):
        x, y = _sorted(points, axis, "value")
        _line(ax, x, y, label, np.ones(len(x), dtype=bool))
    _label(ax, SYMBOLS[axis], SYMBOLS.get(name, name.replace("_", " ")), curve, zero=False)


def _landmarks(curve: Curve, ax: Axes) -> None:
    """Thresholds of different names on one axis, a line each; those without a value are told to be so."""
    for height, point in enumerate(reversed(curve.points)):
        if point.converged:
            ax.plot(point.value, height, "o", color="C0", markersize=5)
        else:
            ax.annotate(str(point.status), (0.5, height), xycoords=("axes fraction", "data"), fontsize="small", ha="center")
    names = [_landmark(point) for point in reversed(curve.points)]
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(-0.5, len(names) - 0.5)
    ax.grid(axis="y", linewidth=0.4)
    over = "reference_kappa" if "alpha" in curve.points[0].parameters else "alpha"
    _label(ax, SYMBOLS[over], "", curve, zero=False)


def _landmark(point: Result) -> str:
    """The name of a threshold, with its number of replicas or clones where it has one."""
    row = point.row()
    counted = [f"{name} = {row[name]:g}" for name in ("y", "clones") if isinstance(row.get(name), int | float)]
    return ", ".join([str(row["name"]), *counted])


def _line(ax: Axes, x: np.ndarray, y: np.ndarray, label: str, stable: np.ndarray, word: str = "unstable") -> Any:
    """One line, with a symbol where a value stands alone between points without one; its colour."""
    colour = _drawn(ax, x, y, label, stable, word)
    known = np.r_[False, np.isfinite(y), False]
    alone = known[1:-1] & ~known[:-2] & ~known[2:]
    if alone.any() and len(x) >= 3:
        ax.plot(x[alone], y[alone], "o", color=colour, markersize=4)
    return colour


def _drawn(ax: Axes, x: np.ndarray, y: np.ndarray, label: str, stable: np.ndarray, word: str) -> Any:
    """One line, solid where stable and dashed elsewhere (a segment is stable if both its ends are); its colour."""
    marker = "o" if len(x) < 3 else ""
    if stable.all() or len(x) == 1:
        return ax.plot(x, y, marker=marker, markersize=4, linewidth=1.5, label=label or None)[0].get_color()
    (dashed,) = ax.plot(x, y, "--", linewidth=1.2, label=f"{label} ({word} dashed)" if label else f"{word}: dashed")
    whole = stable[:-1] & stable[1:]
    starts = np.flatnonzero(whole & ~np.r_[False, whole[:-1]])
    ends = np.flatnonzero(whole & ~np.r_[whole[1:], False])
    for start, end in zip(starts, ends, strict=True):
        part = slice(start, end + 2)
        ax.plot(x[part], y[part], "-", color=dashed.get_color(), linewidth=1.5)
    return dashed.get_color()


def _axis(curve: Curve) -> str:
    """The parameter on the horizontal axis: the fastest one that varies."""
    common = _common(curve)
    names = [name for name in _AXIS_ORDER if name in common]
    varying = (name for name in names if len({point.parameters[name] for point in curve.points}) > 1)
    return next(varying, names[0] if names else common[0])


def _common(curve: Curve) -> list[str]:
    """The parameters that all points have, whatever their ansatz."""
    return [name for name in curve.points[0].parameters if all(name in point.parameters for point in curve.points)]


def _lines(curve: Curve, axis: str) -> Iterator[tuple[str, list[Result]]]:
    """The points of each line, with a label made of the parameters by which the lines differ."""
    groups: dict[tuple[tuple[str, float | str], ...], list[Result]] = {}
    left_out = {axis, "overlap", *_dependent(curve, axis)}  # an overlap is a second spelling of a distance
    for point in curve.points:
        key: tuple[tuple[str, float | str], ...] = (("ansatz", point.ansatz),)
        key += (("branch", float(branch)),) if isinstance(branch := point.row().get("branch"), int) else ()
        key += tuple((name, value) for name, value in point.parameters.items() if name not in left_out)
        groups.setdefault(key, []).append(point)
    shared = set.intersection(*(set(key) for key in groups))
    for key, points in groups.items():
        yield ", ".join(_part(name, value) for name, value in key if (name, value) not in shared), points


def _dependent(curve: Curve, axis: str) -> Iterator[str]:
    """Parameters that follow the one on the axis (the maximal margin of a load): no value of theirs is met at two places."""
    for name in _common(curve):
        places: dict[float, set[float]] = {}
        for point in curve.points:
            places.setdefault(point.parameters[name], set()).add(point.parameters[axis])
        if len(places) > 1 and all(len(at) == 1 for at in places.values()):
            yield name


def _part(name: str, value: float | str) -> str:
    """A parameter in a label."""
    return value if isinstance(value, str) else f"${_SHORT.get(name, name)} = {value:.4g}$"


def _sorted(points: list[Result], axis: str, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Abscissae in increasing order and a column there; nan breaks the line where there is no value."""
    found = sorted(((point.parameters[axis], _number(point.row().get(key))) for point in points), key=lambda pair: pair[0])
    return np.array([x for x, _ in found], dtype=float), np.array([y for _, y in found], dtype=float)


def _stable(points: list[Result], axis: str) -> np.ndarray:
    ordered = sorted(points, key=lambda point: point.parameters[axis])
    return np.array([point.observables.get("stable") is not False for point in ordered], dtype=bool)


def _zeros(x: np.ndarray, y: np.ndarray) -> list[float]:
    """Where the drawn line crosses zero, as the eye sees it (linear between points)."""
    crossed = np.flatnonzero(y[:-1] * y[1:] < 0)
    return [float(x[i] - y[i] * (x[i + 1] - x[i]) / (y[i + 1] - y[i])) for i in crossed]


def _label(ax: Axes, x: str, y: str, curve: Curve, zero: bool = True) -> None:
    from saddle.reporting.tables import title

    if zero:
        ax.axhline(0.0, color="0.3", linewidth=0.6, zorder=0)
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.set_title(title(curve).rpartition(" (")[0], fontsize="medium")


def normalized_axis(ax: Axes, deviation: float | None, name: str, upwards: bool) -> None:
    """A second axis for the margins ``name`` over the standard deviation of a field, where their unit is another one."""
    if deviation is None:
        return
    functions: Any = (lambda margin: margin / deviation, lambda margin: margin * deviation)
    label = rf"normalised ${_SHORT[name]} / \sqrt{{\Delta(1)}}$"
    if upwards:
        ax.secondary_yaxis("right", functions=functions).set_ylabel(label)
    else:
        ax.secondary_xaxis("top", functions=functions).set_xlabel(label)


def _key(entry: Any) -> tuple[float, ...]:
    return tuple(_number(entry.get(name)) for name in ("alpha", "kappa", "reference_kappa"))


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
