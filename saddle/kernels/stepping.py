r"""Newton's method on the saddle-point equations: compiled together with every kernel, like :mod:`saddle.kernels.assembly`.

Sweeps over the nodes are all that it costs.  The first steps are by a coarse rule, and the last ones do without
a Jacobian of their own: that of a state before, as close as its residuals are small, serves as well.
"""

from __future__ import annotations

import math

import numpy as np

from saddle.kernels.assembly import equations
from saddle.kernels.elimination import eliminate
from saddle.kernels.kernel_interface import (
    FREE_ENTROPY,
    JACOBIAN,
    N_UNKNOWN,
    NOISE,
    ORIENTATION,
    RECORD,
    RELATIVE,
    RESIDUALS,
    Vector,
)
from saddle.kernels.special import _compiled

_LARGEST_NOISE = 1e-5
"""Rounding of the relative residuals beyond which a point has no digits: an overlap within 1e-9 of 1."""
_EXACT = 3e-14
_LONGEST_STEP = 4.0
_SCOUTED = 1e-4
"""Residuals by the coarse rule from which one more step leaves little more than the error of that rule."""
_COARSE_ERROR = 1e-6
_CONTRACTION = 0.01
"""What a step by the Jacobian of a state before leaves of the residuals, at most, if the next is to be by the same."""


@_compiled
def _largest_residual(record: Vector) -> float:
    """The largest undamped residual; infinite outside the domain."""
    largest = 0.0
    for i in range(N_UNKNOWN):
        if not math.isfinite(record[RESIDUALS + i]):
            return math.inf
        largest = max(largest, abs(record[RESIDUALS + i]))
    return largest if math.isfinite(record[FREE_ENTROPY]) else math.inf


@_compiled
def _norm(record: Vector) -> float:
    """The norm of the relative residuals."""
    total = 0.0
    for i in range(N_UNKNOWN):
        total += record[RELATIVE + i] ** 2
    return math.sqrt(total)


@_compiled
def _solved(record: Vector, tolerance: float) -> bool:
    """Whether the relative residuals are below the tolerance, or below their own rounding error."""
    if not math.isfinite(_largest_residual(record)) or not record[NOISE] <= _LARGEST_NOISE:
        return False
    allowed, largest = max(tolerance, record[NOISE]), 0.0
    for i in range(N_UNKNOWN):
        largest = max(largest, abs(record[RELATIVE + i]))
    return largest <= allowed


@_compiled
def _newton_step(record: Vector, step: Vector) -> None:
    """The step of Newton's method, shortened to what its linear model can be trusted for.

    A coordinate that the equations do not feel above their rounding (a pivot that is lost beside its overlap) is shortened
    by itself: its step is arbitrary, and must not hold up the others.
    """
    matrix = np.empty((N_UNKNOWN, N_UNKNOWN))
    for i in range(N_UNKNOWN):
        step[i] = -record[RELATIVE + i]
        for j in range(N_UNKNOWN):
            matrix[i, j] = record[JACOBIAN + i * N_UNKNOWN + j]
    eliminate(matrix, step)
    longest = 0.0
    for i in range(N_UNKNOWN):
        felt = 0.0
        for j in range(N_UNKNOWN):
            felt = max(felt, abs(record[JACOBIAN + j * N_UNKNOWN + i]))
        if felt * _LONGEST_STEP <= record[NOISE]:
            step[i] = max(-_LONGEST_STEP, min(_LONGEST_STEP, step[i]))
        longest = max(longest, abs(step[i]))
    if longest > _LONGEST_STEP:
        for i in range(N_UNKNOWN):
            step[i] *= _LONGEST_STEP / longest


@_compiled
def newton(
    x: Vector,
    p: Vector,
    S: Vector,
    C: Vector,
    origin: int,
    quarter_step: float,
    reach: float,
    coarse_S: Vector,
    coarse_C: Vector,
    coarse_origin: int,
    coarse_quarter_step: float,
    coarse_reach: float,
    tolerance: float,
    most: int,
    halvings: int,
    record: Vector,
    log: Vector,
) -> tuple[int, bool]:
    """Newton's method from ``x`` (overwritten); how many lines of the log it filled, and whether it converged.

    A step that does not reduce the relative residuals is halved.  Converged means residuals of at most ``tolerance``; one
    more step is then taken if it improves them.  Without a coarse rule that is coarser, all steps are by the rule itself.
    """
    n, count, jacobian, scouting = N_UNKNOWN, 0, most >= 0, coarse_quarter_step > quarter_step
    step, moved, trial = np.empty(n), np.empty(n), np.empty(RECORD)
    s, c, o, h, r = coarse_S, coarse_C, coarse_origin, coarse_quarter_step, coarse_reach
    if not scouting:
        s, c, o, h, r = S, C, origin, quarter_step, reach
    if not equations(x, p, s, c, o, h, r, jacobian, record) or not math.isfinite(_largest_residual(record)):
        return 0, False
    while count < most and (scouting or not _solved(record, _EXACT)):
        done, norm = not scouting and _solved(record, tolerance), _norm(record)
        scouted, bound = scouting and norm < _SCOUTED, norm
        if scouted:
            scouting, bound = False, max(norm, _COARSE_ERROR)
            s, c, o, h, r = S, C, origin, quarter_step, reach
        last = done or scouted or (not scouting and norm < 0.1 * math.sqrt(tolerance))
        _newton_step(record, step)
        damping, found = 1.0, False
        for _ in range(halvings + 1):
            for i in range(n):
                moved[i] = x[i] + damping * step[i]
            inside = equations(moved, p, s, c, o, h, r, not last, trial)
            if inside and math.isfinite(_largest_residual(trial)) and _norm(trial) < bound:
                found = True
                break
            damping /= 2.0
        log[2 * count] = _largest_residual(record)
        log[2 * count + 1] = damping if found else 0.0
        count += 1
        if not found:
            break
        slow = not scouted and _norm(trial) > _CONTRACTION * norm
        if last and not done and slow and not _solved(trial, tolerance):
            equations(moved, p, s, c, o, h, r, last, trial)
        elif last:
            for i in range(n * n):
                trial[JACOBIAN + i] = record[JACOBIAN + i]
            trial[ORIENTATION] = record[ORIENTATION]
        for i in range(n):
            x[i] = moved[i]
        for i in range(RECORD):
            record[i] = trial[i]
        if done:
            break
    log[2 * count] = _largest_residual(record)
    log[2 * count + 1] = 0.0
    return count + 1, not scouting and _solved(record, tolerance)
