r"""What a solver asks a kernel for besides the equations: coordinates of overlaps, and what a solved state is read for.

Like :mod:`saddle.kernels.assembly`, whose arrays of arguments it shares, its source becomes part of every kernel module, and
nothing in it knows a model or an ansatz.
"""

from __future__ import annotations

import math

import numpy as np

from saddle.kernels.assembly import _conjugate_arguments, _overlap_arguments, equations
from saddle.kernels.kernel_interface import (
    BOUND_AT,
    CEILING_AT,
    DISCRETE,
    FREE_AT,
    N_ACTIVE,
    N_BOUND,
    N_CONSTRAINT,
    N_FREE,
    N_GIVEN,
    N_NORMS,
    N_OFFSETS,
    N_PIVOTS,
    N_REPLICONS,
    N_TAIL,
    NORM_AT,
    OFFSET_AT,
    P_CONSTRAINT,
    P_ROOM,
    PIVOT_AT,
    Vector,
    energetic_observables,
    origins,
    pivots,
    weights_observables,
)
from saddle.kernels.special import _compiled

_SMALLEST_NORM = 1e-12
_BORDER_RATIO = 1e-12
"""How far inside the domain the pivots of overlaps on or outside its border are moved."""


@_compiled
def observables(
    p: Vector, S: Vector, C: Vector, origin: int, quarter_step: float, reach: float, record: Vector, out: Vector
) -> None:
    """Energetic factors of the replicons, derivatives in the margins, and the weights' factors, at a state."""
    arguments = np.empty(2 * N_ACTIVE + N_GIVEN + N_PIVOTS + N_OFFSETS + N_TAIL + N_CONSTRAINT)
    end = _overlap_arguments(p, record, arguments)
    for i in range(N_CONSTRAINT):
        arguments[end + i] = p[P_CONSTRAINT + i]
    energetic_observables(arguments, S, C, origin, quarter_step, reach, out)
    if DISCRETE:
        _conjugate_arguments(p, record, arguments)
    weights_observables(arguments, S, C, origin, quarter_step, reach, out[N_REPLICONS + N_CONSTRAINT :])


@_compiled
def assess(
    x: Vector,
    p: Vector,
    S: Vector,
    C: Vector,
    origin: int,
    quarter_step: float,
    reach: float,
    finer_S: Vector,
    finer_C: Vector,
    finer_origin: int,
    finer_quarter_step: float,
    finer_reach: float,
    record: Vector,
    refined: Vector,
    out: Vector,
) -> bool:
    """The observables of a state, and the state by a finer rule (false if it is then outside the domain)."""
    jacobian = N_FREE < 0
    observables(p, S, C, origin, quarter_step, reach, record, out)
    return equations(x, p, finer_S, finer_C, finer_origin, finer_quarter_step, finer_reach, jacobian, refined)


@_compiled
def coordinates(
    overlaps: Vector, p: Vector, S: Vector, C: Vector, origin: int, quarter_step: float, reach: float, x: Vector
) -> None:
    """Coordinates of the free overlaps, from the active and the given ones; the inverse of ``place``."""
    for i in range(N_FREE):
        x[i] = overlaps[FREE_AT[i]]
    for i in range(N_BOUND):
        k, most = BOUND_AT[i], 1.0 - _BORDER_RATIO
        x[k] = 2.0 * math.atanh(min(max(x[k], -most), most))
    for i in range(N_NORMS):
        x[NORM_AT[i]] = math.log(max(x[NORM_AT[i]], _SMALLEST_NORM))
    table = np.empty(N_PIVOTS * (2 + N_FREE) + N_OFFSETS)
    if N_OFFSETS > 0:
        origins(overlaps, S, C, origin, quarter_step, reach, table)
    for i in range(N_OFFSETS):
        x[OFFSET_AT[i]] -= table[i]
    pivots(overlaps, S, C, origin, quarter_step, reach, table)
    for level in range(N_PIVOTS):
        row, i = level * (2 + N_FREE), PIVOT_AT[level]
        left = table[row + 1] - (p[P_ROOM + CEILING_AT[level]] if CEILING_AT[level] >= 0 else 0.0)
        ratio = (overlaps[FREE_AT[i]] - table[row]) / left if left > 0.0 else 0.5
        ratio = min(max(ratio, _BORDER_RATIO), 1.0 - _BORDER_RATIO)
        x[i] = math.log(ratio) - math.log1p(-ratio)
