"""The picture of a branch: stable parts solid, unstable ones dashed, special points marked."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from saddle.reporting.extras import require
from saddle.reporting.plot import SYMBOLS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from saddle.lines.following import Branch

_MARKERS = {"fold": "s", "branch-point": "D"}


def draw_branch(branch: Branch, ax: Axes | None, quantity: str) -> Axes:
    """One quantity of a branch over its parameter, in ``ax`` or a figure of its own."""
    figure = require("matplotlib.figure", "plot", "a picture")
    if ax is None:
        ax = figure.Figure(figsize=(6.4, 4.4), layout="constrained").add_subplot()
    x, y = branch[branch.parameter], branch[quantity]
    unstable = np.array(branch.past_fold) | np.array([p.observables.get("stable") is False for p in branch.points])
    edges = [0, *(np.flatnonzero(np.diff(unstable.astype(int))) + 1), len(x)]
    for low, high in itertools.pairwise(edges):
        part = slice(low, min(high + 1, len(x)))
        ax.plot(x[part], y[part], "--" if unstable[low] else "-", color="C0")
    for special in branch.special:
        height = float(special.point[quantity])  # type: ignore[arg-type]
        ax.plot(special.value, height, _MARKERS.get(special.kind, "o"), color="black", markersize=5)
        text = f"{special.kind} {special.value:.6g}"
        ax.annotate(text, (special.value, height), (5, 5), textcoords="offset points", fontsize="small")
    ax.set(xlabel=SYMBOLS.get(branch.parameter, branch.parameter), ylabel=quantity.replace("_", " "))
    return ax
