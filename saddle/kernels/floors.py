"""The smallest value of a loss, which says beyond which noise no weight is left."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import sympy as sp

from replica.parts.losses import LossFunction, written_out


def floor_of(loss: type[LossFunction]) -> float:
    """Return a lower bound of a loss on the stabilities that matter: its least value there, sought from points of a grid.

    Minus infinity where it decreases without end.
    """
    x = sp.Symbol("x")
    known = {"Softplus": lambda x: np.logaddexp(0.0, x)}
    formula: Callable[[np.ndarray], np.ndarray] = sp.lambdify(x, written_out(loss(x)), modules=[known, "numpy"])

    def value(x: float) -> float:
        return float(formula(np.array([x]))[0])

    far = np.geomspace(60.0, 1e6, 400)
    kinks = [float(place) + side for place, _ in loss.kinks for side in (-1e-9, 0.0, 1e-9)]
    grid = np.sort(np.concatenate([np.linspace(-60.0, 60.0, 24001), far, -far, kinks]))
    with np.errstate(all="ignore"):
        values = formula(grid) + 0.0 * grid
        lowest = int(np.nanargmin(values))
        if lowest in (0, len(grid) - 1) and values[lowest] < value(grid[lowest] / 2.0) - 1e-3:
            return -math.inf
        low, high = grid[max(lowest - 1, 0)], grid[min(lowest + 1, len(grid) - 1)]
        for _ in range(80):
            third = (high - low) / 3.0
            low, high = (low, high - third) if value(low + third) < value(high - third) else (low + third, high)
        least = min(float(values[lowest]), value(0.5 * (low + high)))
    return least - 1e-3 * (1.0 + abs(least))
