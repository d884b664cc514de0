r"""A loss under Gaussian noise: :math:`\ln S` of :mod:`replica.parts.noisy_losses` and its derivatives, for any loss.

**Cumulants.**  In the measure :math:`e^{-\beta \ell(a + n) - n^2/2v}` of the noise the derivatives of :math:`\ln S` are
cumulants: :math:`K_{k0}` is that of order ``k`` of :math:`n/v` (less :math:`1/v` at order 2), :math:`K_{kj}` the joint one
with :math:`-\ell`.  They are sums over Gauss-Legendre nodes of centred powers, so that nothing large cancels.  Panels end
at the kinks of the loss, are at most a given width of the noise's deviation, shorter where the exponent is steep, and left
out where the weight is below rounding; where that is follows from the largest exponent and the floor of the loss.

**Panels of the mean.**  At given variance and temperature these are functions of the mean alone, analytic in a strip whose
width is that of the noise.  They are kept as Chebyshev series in panels of that size, each made when it is first needed:
an evaluation inside two loops costs a few polynomials.  Both widths follow the step of the quadrature rule, so that the
difference to a refined rule shows both errors.
"""

from __future__ import annotations

import math

import numpy as np

from saddle.kernels.loss_interface import FLOOR, GRAIN, KINKS, cost
from saddle.kernels.special import _compiled

_FUNCTIONS = 8
_DEGREE = 16
_SLOTS = 4096
_ROOM_OF_NODES = 3000
_FARTHEST = 60.0
"""Standard deviations of the noise beyond which no weight is looked for."""
_STEEPEST = 8.0
"""Change of the exponent over a panel that its nodes integrate to rounding."""
_GAUSS = (
    (0.1252334085114689, 0.24914704581340277),
    (0.3678314989981802, 0.2334925365383548),
    (0.5873179542866175, 0.20316742672306592),
    (0.7699026741943047, 0.16007832854334622),
    (0.9041172563704749, 0.10693932599531843),
    (0.9815606342467192, 0.04717533638651183),
)


@_compiled
def noisy_pace(v: float, quarter_step: float) -> float:
    """Return the width of a panel of the mean at this variance."""
    return 24.0 * quarter_step * math.sqrt(v + GRAIN * GRAIN)


@_compiled
def largest_exponent(a: float, v: float, b: float, room: float) -> float:
    """Return the largest exponent, among multiples of a standard deviation and both sides of the kinks."""
    sd, best = math.sqrt(v), -b * cost(a)
    for side in range(-1, 2, 2):
        z = 0.0
        while z < _FARTHEST and -b * FLOOR - 0.5 * z * z > best - room:
            z += 1.0
            best = max(best, -b * cost(a + side * z * sd) - 0.5 * z * z)
    for kink in KINKS:
        z = (kink - a) / sd
        if abs(z) < _FARTHEST:
            beside = 1e-9 * (1.0 + abs(kink))
            best = max(best, -b * min(cost(kink - beside), cost(kink + beside)) - 0.5 * z * z)
    return best


@_compiled
def panel_nodes(
    low: float, high: float, a: float, sd: float, b: float, best: float, room: float, nodes: np.ndarray, count: int
) -> int:
    """Append nodes (in deviations), weights and losses of one panel, split where it is steep; return the new count."""
    pieces = 1
    for attempt in range(2):
        top, bottom, first = -math.inf, math.inf, count
        width = (high - low) / pieces
        for piece in range(pieces):
            middle = low + (piece + 0.5) * width
            for x, w in _GAUSS:
                for side in range(-1, 2, 2):
                    z = middle + 0.5 * width * side * x
                    loss = cost(a + sd * z)
                    exponent = -b * loss - 0.5 * z * z - best
                    top, bottom = max(top, exponent), min(bottom, exponent)
                    if exponent > -room and count < _ROOM_OF_NODES:
                        nodes[0, count], nodes[2, count] = z, loss
                        nodes[1, count] = 0.5 * width * w * math.exp(exponent)
                        count += 1
        pieces = min(64, math.ceil((top - max(bottom, -room)) / _STEEPEST)) if top > -room else 0
        if attempt == 1 or pieces <= 1:
            break
        count = first
    return count


@_compiled
def cumulants(a: float, v: float, b: float, width: float, reach: float, out: np.ndarray) -> None:
    r"""Write :math:`\ln S, K_{10}, K_{20}, K_{30}, K_{40}, K_{01}, K_{11}, K_{21}` at a mean; NaN without noise."""
    out[:] = math.nan
    if not (v > 1e-280 and abs(a) < 1e300):
        return
    sd, room = math.sqrt(v), 0.5 * reach * reach
    best = largest_exponent(a, v, b, room)
    end = min(_FARTHEST, math.sqrt(2.0 * max(room - best - b * FLOOR, room)))
    nodes, count, low = np.empty((3, _ROOM_OF_NODES)), 0, -end
    for index in range(len(KINKS) + 1):
        high = end if index == len(KINKS) else min(end, (KINKS[index] - a) / sd)
        if high > low:
            parts = math.ceil((high - low) / width)
            for part in range(parts):
                left, right = low + (high - low) * part / parts, low + (high - low) * (part + 1) / parts
                count = panel_nodes(left, right, a, sd, b, best, room, nodes, count)
            low = high
    if count == 0 or count >= _ROOM_OF_NODES:
        return
    weight = np.sum(nodes[1, :count])
    mean, loss = np.sum(nodes[1, :count] * nodes[0, :count]) / weight, np.sum(nodes[1, :count] * nodes[2, :count]) / weight
    second = third = fourth = mixed = twice = 0.0
    for j in range(count):
        w, z, more = nodes[1, j] / weight, nodes[0, j] - mean, nodes[2, j] - loss
        second += w * z * z
        third += w * z * z * z
        fourth += w * z * z * z * z
        mixed += w * z * more
        twice += w * z * z * more
    out[0] = best + math.log(weight / 2.5066282746310002)
    out[1], out[2], out[3] = mean / sd, (second - 1.0) / v, third / (v * sd)
    out[4], out[5] = (fourth - 3.0 * second * second) / (v * v), -loss
    out[6], out[7] = -mixed / sd, -twice / v


@_compiled
def fill_panel(
    panel: float, v: float, b: float, pace: float, quarter_step: float, reach: float, series: np.ndarray
) -> None:
    """Write the Chebyshev series of all functions in one panel of the mean."""
    values = np.empty((_DEGREE, _FUNCTIONS))
    for i in range(_DEGREE):
        x = math.cos(math.pi * (i + 0.5) / _DEGREE)
        cumulants((panel + 0.5 + 0.5 * x) * pace, v, b, 48.0 * quarter_step, reach, values[i])
    for f in range(_FUNCTIONS):
        for j in range(_DEGREE):
            total = 0.0
            for i in range(_DEGREE):
                total += values[i, f] * math.cos(math.pi * j * (i + 0.5) / _DEGREE)
            series[f, j] = total * (2.0 if j > 0 else 1.0) / _DEGREE


@_compiled
def chebyshev(series: np.ndarray, x: float) -> float:
    """Return the value of a Chebyshev series (Clenshaw's scheme)."""
    here = after = 0.0
    for j in range(_DEGREE - 1, 0, -1):
        here, after = 2.0 * x * here - after + series[j], here
    return x * here - after + series[0]


@_compiled
def noisy(
    a: float,
    v: float,
    b: float,
    pace: float,
    quarter_step: float,
    reach: float,
    marks: np.ndarray,
    table: np.ndarray,
) -> tuple[float, float, float, float, float, float, float, float]:
    """Return what :func:`cumulants` writes, from the panel of this mean; ``marks`` says which panels the table holds."""
    place = a / pace
    if not abs(place) < 1e15:
        return math.nan, math.nan, math.nan, math.nan, math.nan, math.nan, math.nan, math.nan
    panel = math.floor(place)
    slot = int(panel % _SLOTS)
    if marks[slot] != panel:
        fill_panel(float(panel), v, b, pace, quarter_step, reach, table[slot])
        marks[slot] = panel
    x, series = 2.0 * (place - panel) - 1.0, table[slot]
    return (
        chebyshev(series[0], x),
        chebyshev(series[1], x),
        chebyshev(series[2], x),
        chebyshev(series[3], x),
        chebyshev(series[4], x),
        chebyshev(series[5], x),
        chebyshev(series[6], x),
        chebyshev(series[7], x),
    )
