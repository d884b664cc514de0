r"""The saddle-point equations at some coordinates: compiled together with every kernel.

Let ``Q`` be the overlaps and ``A(Q)``, ``W(Qhat)`` the pair averages of the two sides.  For discrete weights the
conjugates of the free overlaps are explicit, :math:`\hat Q = \alpha A(Q)`; unknown are the free overlaps and the
conjugates of the imposed ones, and the residuals are :math:`Q - W(\hat Q)`, which Newton's method sees relative to
:math:`1 - |Q|`: near 1 both sides agree for no reason.  An overlap that can tend to 1
along with a pivot below it (of a student with its teacher) is the hyperbolic tangent of half its coordinate; where it is
large, the residuals are differences of what both sides lack to 1, which keep their digits.  For spherical weights the
overlaps alone are unknown and the residuals are :math:`(\alpha A(Q) - \hat Q(Q)) / (1 + |\hat Q|)`.
Where the norm of the weights is free, an overlap that
is imposed through a distance moves with the norms (its *shares*), so that the equation of a norm contains that of the
imposed overlap (its *ties*).

Everything at one point is a *record*, a vector whose sections :mod:`saddle.kernels.kernel_interface` names.  The source of
this module becomes part of every kernel module; nothing in it knows a model or an ansatz.  It copies number by number, and
passes variables instead of literals, because slices that are assigned and literal arguments take seconds to compile.
"""

from __future__ import annotations

import math

import numpy as np

from saddle.kernels.elimination import eliminate
from saddle.kernels.kernel_interface import (
    BOUND_AT,
    CEILING_AT,
    CHAIN,
    CONJUGATES,
    DISCRETE,
    ENERGETIC,
    FREE_AT,
    FREE_ENTROPY,
    IMPOSED_AT,
    JACOBIAN,
    LEFT,
    N_ACTIVE,
    N_BOUND,
    N_CONSTRAINT,
    N_FREE,
    N_GIVEN,
    N_IMPOSED,
    N_LACKS,
    N_NORMS,
    N_OFFSETS,
    N_OWN,
    N_PIVOTS,
    N_TAIL,
    N_UNKNOWN,
    NOISE,
    NORM_AT,
    OFFSET_AT,
    OFFSETS,
    ORIENTATION,
    OVERLAPS,
    OWN_AT,
    P_CONSTRAINT,
    P_GIVEN,
    P_GIVEN_CONJUGATES,
    P_IMPOSED,
    P_ORIGINS,
    P_ROOM,
    P_SHARES,
    P_TAIL,
    P_TIES,
    PAIRS,
    PIVOT_AT,
    PIVOT_BOUND,
    PIVOT_NORM,
    PIVOTS,
    RELATIVE,
    RESIDUALS,
    SCALE,
    Vector,
    energetic,
    energetic_jacobian,
    interaction,
    pivots,
    weights,
    weights_jacobian,
    weights_lacks,
)
from saddle.kernels.special import _compiled

_LARGEST_LOGIT = 600.0
_UNIT_ROUNDOFF = 2.220446049250313e-16


@_compiled
def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x > -_LARGEST_LOGIT else 0.0


@_compiled
def place(
    x: Vector, p: Vector, S: Vector, C: Vector, origin: int, quarter_step: float, reach: float, record: Vector
) -> bool:
    """Overlaps, pivots, what is left to 1, and the chain rule of the coordinates; false outside the domain."""
    overlaps, left = record[OVERLAPS:], record[LEFT:]
    chain = record[CHAIN:]
    for i in range(N_UNKNOWN):
        for j in range(N_UNKNOWN):
            chain[i * N_UNKNOWN + j] = 1.0 if i == j else 0.0
    for i in range(N_FREE):
        overlaps[FREE_AT[i]], left[FREE_AT[i]] = p[P_ORIGINS + i] + x[i], 1.0
    for i in range(N_OFFSETS):
        record[OFFSETS + i] = x[OFFSET_AT[i]]
    for i in range(N_BOUND):
        k = BOUND_AT[i]
        below = _sigmoid(-abs(x[k]))
        overlaps[FREE_AT[k]], left[FREE_AT[k]] = math.tanh(0.5 * x[k]), 2.0 * below
        chain[k * N_UNKNOWN + k] = 2.0 * below * (1.0 - below)
    for i in range(N_NORMS):
        k = NORM_AT[i]
        overlaps[FREE_AT[k]] = math.exp(min(x[k], _LARGEST_LOGIT))
        chain[k * N_UNKNOWN + k] = overlaps[FREE_AT[k]]
    for i in range(N_IMPOSED):
        overlaps[IMPOSED_AT[i]] = p[P_IMPOSED + i]
        for j in range(N_NORMS):
            overlaps[IMPOSED_AT[i]] += p[P_SHARES + i * N_NORMS + j] * overlaps[FREE_AT[NORM_AT[j]]]
        left[IMPOSED_AT[i]] = p[P_ROOM + i] if N_NORMS > 0 else 1.0 - abs(p[P_IMPOSED + i])
    known, table = np.empty(N_ACTIVE + N_GIVEN), np.empty(N_PIVOTS * (2 + N_FREE))
    for i in range(N_GIVEN):
        known[N_ACTIVE + i] = p[P_GIVEN + i]
    for level in range(N_PIVOTS):
        for i in range(N_ACTIVE):
            known[i] = overlaps[i]
        pivots(known, S, C, origin, quarter_step, reach, table)
        row, i = level * (2 + N_FREE), PIVOT_AT[level]
        # An imposed overlap further down keeps a part of what is left from this pivot.
        beyond = p[P_ROOM + CEILING_AT[level]] if CEILING_AT[level] >= 0 else 0.0
        explained, rest = table[row], table[row + 1] - beyond
        if PIVOT_BOUND[level] >= 0:
            above = left[FREE_AT[PIVOT_BOUND[level]]]
            rest = above * (2.0 - above) - beyond
        if not rest > 0.0:
            return False
        ratio, remaining = _sigmoid(x[i]), _sigmoid(-x[i])
        record[PIVOTS + level] = ratio * rest
        left[FREE_AT[i]] = remaining * rest + beyond
        overlaps[FREE_AT[i]] = explained + ratio * rest
        for j in range(N_UNKNOWN):
            slope = ratio * remaining * rest if i == j else 0.0
            for k in range(N_FREE):
                if k != i:
                    slope += remaining * table[row + 2 + k] * chain[k * N_UNKNOWN + j]
            if PIVOT_NORM[level] >= 0:
                slope += ratio * chain[PIVOT_NORM[level] * N_UNKNOWN + j]
            chain[i * N_UNKNOWN + j] = slope
    return True


@_compiled
def _overlap_arguments(p: Vector, record: Vector, arguments: Vector) -> int:
    """Overlaps, pivots that are arguments of their own, what is left to 1, offsets, multiplicities; how many these are."""
    for i in range(N_ACTIVE):
        arguments[i] = record[OVERLAPS + i]
    for i in range(N_GIVEN):
        arguments[N_ACTIVE + i] = p[P_GIVEN + i]
    end = N_ACTIVE + N_GIVEN
    for i in range(N_OWN):
        arguments[end + i] = record[PIVOTS + OWN_AT[i]]
    end += N_OWN
    for i in range(N_PIVOTS):
        arguments[end + i] = record[LEFT + FREE_AT[PIVOT_AT[i]]]
    end += N_PIVOTS
    for i in range(N_OFFSETS):
        arguments[end + i] = record[OFFSETS + i]
    end += N_OFFSETS
    for i in range(N_TAIL):
        arguments[end + i] = p[P_TAIL + i]
    return end + N_TAIL


@_compiled
def _conjugate_arguments(p: Vector, record: Vector, arguments: Vector) -> None:
    """Conjugates, those that are given, and multiplicities."""
    for i in range(N_ACTIVE):
        arguments[i] = record[CONJUGATES + i]
    for i in range(N_GIVEN):
        arguments[N_ACTIVE + i] = p[P_GIVEN_CONJUGATES + i]
    for i in range(N_TAIL):
        arguments[N_ACTIVE + N_GIVEN + i] = p[P_TAIL + i]


@_compiled
def equations(
    x: Vector,
    p: Vector,
    S: Vector,
    C: Vector,
    origin: int,
    quarter_step: float,
    reach: float,
    jacobian: bool,
    record: Vector,
) -> bool:
    """Everything at the coordinates ``x``, with or without the Jacobian; false outside the domain."""
    record[:] = math.nan
    if not place(x, p, S, C, origin, quarter_step, reach, record):
        return False
    alpha, size = p[0], N_ACTIVE * (N_ACTIVE + 1)
    overlap_arguments = np.empty(2 * N_ACTIVE + N_GIVEN + N_PIVOTS + N_OFFSETS + N_TAIL + N_CONSTRAINT)
    end = _overlap_arguments(p, record, overlap_arguments)
    for i in range(N_CONSTRAINT):
        overlap_arguments[end + i] = p[P_CONSTRAINT + i]
    a, w = np.empty(1 + size), np.empty(1 + size)
    if jacobian:
        energetic_jacobian(overlap_arguments, S, C, origin, quarter_step, reach, a)
    else:
        energetic(overlap_arguments, S, C, origin, quarter_step, reach, a)
    conjugates = record[CONJUGATES:]
    for i in range(N_ACTIVE):
        record[PAIRS + i] = a[1 + i]
        conjugates[i] = alpha * a[1 + i]
    if DISCRETE:
        for i in range(N_IMPOSED):
            conjugates[IMPOSED_AT[i]] = x[N_FREE + i]
            for j in range(N_NORMS):
                tie = p[P_TIES + i * N_NORMS + j]
                conjugates[FREE_AT[NORM_AT[j]]] += tie * (alpha * a[1 + IMPOSED_AT[i]] - x[N_FREE + i])
    weight_arguments = np.empty(2 * N_ACTIVE + N_GIVEN + N_PIVOTS + N_OFFSETS + N_TAIL)
    if DISCRETE:
        _conjugate_arguments(p, record, weight_arguments)
    else:
        _overlap_arguments(p, record, weight_arguments)
    if jacobian:
        weights_jacobian(weight_arguments, S, C, origin, quarter_step, reach, w)
    else:
        weights(weight_arguments, S, C, origin, quarter_step, reach, w)
    if DISCRETE:
        lacks = np.empty(N_LACKS + 1)
        if N_LACKS > 0:
            weights_lacks(weight_arguments, S, C, origin, quarter_step, reach, lacks)
        _discrete(p, a, w, lacks, jacobian, record)
    else:
        _continuous(p, a, w, jacobian, record)
    coupling, size_of_coupling = 0.0, 1.0
    if DISCRETE:
        coupling, size_of_coupling = _interaction(p, S, C, origin, quarter_step, reach, record)
    record[ENERGETIC] = a[0]
    record[FREE_ENTROPY] = coupling + w[0] + alpha * a[0]
    # The logarithm of a determinant rounds like a number of order 1, however small it is itself.
    record[SCALE] = size_of_coupling + abs(w[0]) + abs(alpha * a[0])
    smallest, largest = 1.0, 1.0
    for i in range(N_ACTIVE):
        smallest = min(smallest, record[LEFT + i])
        largest = max(largest, abs(record[CONJUGATES + i]))
    # For continuous weights what is left is known to all its digits, and a field over its square root rounds.
    if N_LACKS > 0 and smallest < 0.5:  # both sides have all their digits but for those of a conjugate in an exponent
        smallest = 0.5 / largest
    record[NOISE] = 32.0 * _UNIT_ROUNDOFF / (smallest if DISCRETE else math.sqrt(smallest))
    return True


@_compiled
def _interaction(
    p: Vector, S: Vector, C: Vector, origin: int, quarter_step: float, reach: float, record: Vector
) -> tuple[float, float]:
    """The interaction term, and the sum of the sizes of its parts (for the rounding error)."""
    arguments, values = np.empty(2 * (N_ACTIVE + N_GIVEN) + N_TAIL), np.empty(1 + N_ACTIVE)
    for i in range(N_ACTIVE):
        arguments[i] = record[OVERLAPS + i]
    for i in range(N_GIVEN):
        arguments[N_ACTIVE + i] = p[P_GIVEN + i]
    _conjugate_arguments(p, record, arguments[N_ACTIVE + N_GIVEN :])
    interaction(arguments, S, C, origin, quarter_step, reach, values)
    size = 0.0
    for i in range(N_ACTIVE):
        size += abs(values[1 + i] * record[OVERLAPS + i] * record[CONJUGATES + i])
    return values[0], size


@_compiled
def _pattern_slopes(p: Vector, a: Vector, found: Vector) -> None:
    """Derivatives of the averages that fix the free conjugates in the free overlaps, norms with what moves along."""
    n, moved = N_ACTIVE, np.empty((N_ACTIVE, N_FREE))
    for i in range(n):
        for j in range(N_FREE):
            moved[i, j] = p[0] * a[1 + n + i * n + FREE_AT[j]]
        for j in range(N_NORMS):
            for k in range(N_IMPOSED):
                moved[i, NORM_AT[j]] += p[0] * p[P_SHARES + k * N_NORMS + j] * a[1 + n + i * n + IMPOSED_AT[k]]
    for j in range(N_FREE):
        for i in range(N_FREE):
            found[i, j] = moved[FREE_AT[i], j]
        for i in range(N_NORMS):
            for k in range(N_IMPOSED):
                found[NORM_AT[i], j] += p[P_TIES + k * N_NORMS + i] * moved[IMPOSED_AT[k], j]


@_compiled
def _discrete(p: Vector, a: Vector, w: Vector, lacks: Vector, jacobian: bool, record: Vector) -> None:
    """Residuals ``Q - W(Qhat)``, and their derivatives in the free overlaps and the imposed conjugates."""
    n, left = N_ACTIVE, record[LEFT:]
    residuals, relative = record[RESIDUALS:], record[RELATIVE:]
    for i in range(n):
        residuals[i] = record[OVERLAPS + i] - w[1 + i]
        if N_LACKS > 0 and record[OVERLAPS + i] > 0.5:
            residuals[i] = lacks[i] - left[i]
        relative[i] = residuals[i] / left[i]
    if not jacobian:
        return
    raw, matrix, slopes = np.empty((n, n)), record[JACOBIAN:], np.empty((N_FREE, N_FREE))
    _pattern_slopes(p, a, slopes)
    for i in range(n):
        for j in range(N_FREE):
            raw[i, j] = 1.0 if i == FREE_AT[j] else 0.0
            for k in range(N_FREE):
                raw[i, j] -= w[1 + n + i * n + FREE_AT[k]] * slopes[k, j]
        for j in range(N_IMPOSED):
            raw[i, N_FREE + j] = -w[1 + n + i * n + IMPOSED_AT[j]]
            for k in range(N_NORMS):
                raw[i, N_FREE + j] += w[1 + n + i * n + FREE_AT[NORM_AT[k]]] * p[P_TIES + j * N_NORMS + k]
    for i in range(N_IMPOSED):
        for j in range(N_NORMS):
            raw[IMPOSED_AT[i], NORM_AT[j]] += p[P_SHARES + i * N_NORMS + j]
    _through_coordinates(raw, record)
    for i in range(n):
        for j in range(n):
            matrix[i * n + j] /= left[i]
    # What is left to 1 decreases as its overlap increases.
    for level in range(N_PIVOTS):
        i = FREE_AT[PIVOT_AT[level]]
        for j in range(n):
            matrix[i * n + j] += relative[i] / left[i] * record[CHAIN + PIVOT_AT[level] * n + j]
            if PIVOT_NORM[level] >= 0:
                matrix[i * n + j] -= relative[i] / left[i] * record[CHAIN + PIVOT_NORM[level] * n + j]
    for i in range(N_BOUND):
        k = FREE_AT[BOUND_AT[i]]
        for j in range(n):
            slope = record[CHAIN + BOUND_AT[i] * n + j]
            matrix[k * n + j] += relative[k] / left[k] * math.copysign(slope, record[OVERLAPS + k])
    # The sign of a determinant needs rows in the order of the columns.
    ordered = np.empty((n, n))
    for i in range(n):
        row = FREE_AT[i] if i < N_FREE else IMPOSED_AT[i - N_FREE]
        for j in range(n):
            ordered[i, j] = raw[row, j]
    sign = eliminate(ordered, np.zeros(n))
    record[ORIENTATION] = sign if N_IMPOSED % 2 == 0 else -sign


@_compiled
def _tied(p: Vector, values: Vector, columns: int, found: Vector) -> None:
    """Rows of the free overlaps among those of all, to those of norms added what moves along with them."""
    for j in range(columns):
        for i in range(N_FREE):
            found[i * columns + j] = values[FREE_AT[i] * columns + j]
        for i in range(N_NORMS):
            for k in range(N_IMPOSED):
                tie = p[P_TIES + k * N_NORMS + i]
                found[NORM_AT[i] * columns + j] += tie * values[IMPOSED_AT[k] * columns + j]


@_compiled
def _continuous(p: Vector, a: Vector, w: Vector, jacobian: bool, record: Vector) -> None:
    """Residuals ``alpha A(Q) - Qhat(Q)``, relative, and their derivatives in the free overlaps."""
    n, m, one = N_ACTIVE, N_FREE, 1
    residuals, relative = record[RESIDUALS:], record[RELATIVE:]
    pairs, targets = np.empty(m), np.empty(m)
    _tied(p, a[1:], one, pairs)
    _tied(p, w[1:], one, targets)
    for i in range(m):
        residuals[i] = (p[0] * pairs[i] - targets[i]) / (1.0 + abs(targets[i]))
        relative[i] = residuals[i]
    for i in range(N_IMPOSED):
        record[CONJUGATES + IMPOSED_AT[i]] = w[1 + IMPOSED_AT[i]]
        for j in range(N_NORMS):
            record[CONJUGATES + FREE_AT[NORM_AT[j]]] = w[1 + FREE_AT[NORM_AT[j]]]
    if not jacobian:
        return
    difference, slopes, raw, d_targets = np.empty((m, m)), np.empty((m, m)), np.empty((m, m)), np.empty(m * m)
    _pattern_slopes(p, a, difference)
    _tied(p, w[1 + n :], m, d_targets)
    for i in range(m):
        for j in range(m):
            slope = d_targets[i * m + j]
            slopes[i, j] = -slope
            difference[i, j] -= slope
            raw[i, j] = (difference[i, j] - residuals[i] * np.sign(targets[i]) * slope) / (1.0 + abs(targets[i]))
    _through_coordinates(raw, record)
    record[ORIENTATION] = eliminate(difference, np.zeros(m)) * eliminate(slopes, np.zeros(m))


@_compiled
def _through_coordinates(raw: Vector, record: Vector) -> None:
    """The Jacobian in the coordinates, from that in the unknowns, by the chain rule."""
    n = N_UNKNOWN
    for i in range(n):
        for j in range(n):
            total = 0.0
            for k in range(n):
                total += raw[i, k] * record[CHAIN + k * n + j]
            record[JACOBIAN + i * n + j] = total
