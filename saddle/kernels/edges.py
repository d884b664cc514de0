r"""Piecewise constant factors under Gaussian noise: logarithm, edges and shares, for one edge and for two.

.. math:: S = e^{l_0} [1 - H(a)] + e^{l_1} [H(a) - H(b)] + e^{l_2} H(b), \qquad
          M_j = -\partial_j \ln S, \qquad p_j = \partial_{l_j} \ln S .

**The interval.**  :math:`B = H(a) - H(b)` by its mirror image has its centre ``c`` at or above 0.  Where it is narrow
(``w = b - a`` and ``w c`` at most 1), :math:`B = w\,G(c) \int_0^1 e^{-w^2 s^2/8} \cosh(c w s/2)\,ds` by eight Gauss
nodes, symmetric ones joined.  Elsewhere, for ``a >= 0``, :math:`B = H(a)(1 - \rho)` with
:math:`\rho = H(b)/H(a) = e^{-w c} M(a)/M(b) < 0.61`; and for ``a < 0`` it is 1 minus two tails whose sum is at most 0.63.
Nothing cancels, and the ratios :math:`G(a)/B`, :math:`G(b)/B`, :math:`G(a)/B - a` and :math:`G(b)/B + b` are sums of
positive terms.

**The mixture.**  Let :math:`m` be the largest :math:`l_j`.  Where the lighter pieces have little of the mass,
:math:`\ln S = m + \mathrm{log1p}(\sum_j (e^{l_j - m} - 1) B_j)`, which keeps its relative accuracy where it is
exponentially small; elsewhere it is the logarithm of a sum of exponentials.  The excess :math:`M_j - x_j` is a mean of the
excesses of the pieces, with the shares as weights: no difference of large numbers is formed.
"""

from __future__ import annotations

import math

import numpy as np

from saddle.kernels.special import _compiled, log_h_mills, log_h_mills_excess

_LOG_SQRT_2PI = 0.9189385332046727


@_compiled
def _log_sum(a: float, b: float) -> float:
    """The logarithm of a sum of two exponentials."""
    if a < b:
        a, b = b, a
    return a if b == -math.inf else a + math.log1p(math.exp(b - a))


@_compiled
def interval(a: float, b: float) -> tuple[float, float, float, float, float]:
    r"""Return :math:`\ln B`, :math:`G(a)/B`, :math:`G(b)/B`, :math:`G(a)/B - a` and :math:`G(b)/B + b` for ``a < b``.

    Relative accuracy of a few units in the last place, of ``a``, ``b`` and ``b - a``; NaN for NaN or an empty interval.
    """
    flipped = a + b < 0.0
    if flipped:
        a, b = -b, -a
    w, c = b - a, 0.5 * (a + b)
    if not w > 0.0:
        return math.nan, math.nan, math.nan, math.nan, math.nan
    if w <= 1.0 and w * c <= 1.0:
        total = 0.0
        x, y = 0.5 * w * c, -0.125 * w * w
        total += 0.362683783378362 * math.exp(0.033648268067506856 * y) * math.cosh(0.1834346424956498 * x)
        total += 0.31370664587788727 * math.exp(0.27618431387246445 * y) * math.cosh(0.525532409916329 * x)
        total += 0.22238103445337448 * math.exp(0.6346774762346367 * y) * math.cosh(0.7966664774136267 * x)
        total += 0.10122853629037626 * math.exp(0.9221566084920587 * y) * math.cosh(0.9602898564975363 * x)
        log_b = math.log(w * total) - 0.5 * c * c - _LOG_SQRT_2PI
        near = math.exp(x + y) / (w * total)
        far = math.exp(y - x) / (w * total)
        near_excess, far_excess = near - a, far + b
    elif a >= 0.0:
        log_a, mills_a, excess_a = log_h_mills_excess(a)
        _, mills_b, _ = log_h_mills_excess(b)
        decay = math.exp(-w * c)
        ratio = decay * mills_a / mills_b if decay > 0.0 else 0.0
        log_b = log_a + math.log1p(-ratio)
        near = mills_a / (1.0 - ratio)
        far = decay * mills_a / (1.0 - ratio)
        near_excess, far_excess = (excess_a + a * ratio) / (1.0 - ratio), far + b
    else:
        log_a, mills_a, _ = log_h_mills_excess(-a)
        log_far, mills_b, _ = log_h_mills_excess(b)
        tail_a, tail_b = math.exp(log_a), math.exp(log_far)
        outside = tail_a + tail_b
        log_b = math.log1p(-outside)
        near, far = mills_a * tail_a / (1.0 - outside), mills_b * tail_b / (1.0 - outside)
        near_excess, far_excess = near - a, far + b
    if flipped:
        return log_b, far, near, far_excess, near_excess
    return log_b, near, far, near_excess, far_excess


@_compiled
def one_edge(x: float, l0: float, l1: float) -> tuple[float, float, float, float, float]:
    r"""Return :math:`\ln S, M, M - x, p_0, p_1` of :math:`S = e^{l_0} [1 - H(x)] + e^{l_1} H(x)`."""
    log_above, mills, excess = log_h_mills_excess(x)
    log_below, mills_below, excess_below = log_h_mills_excess(-x)
    top = max(l0, l1)
    lighter, log_lighter = (l0 - top, log_below) if l0 < l1 else (l1 - top, log_above)
    missing = math.expm1(lighter) * math.exp(log_lighter)
    log_s = top + math.log1p(missing) if missing > -0.5 else _log_sum(l0 + log_below, l1 + log_above)
    p0, p1 = math.exp(l0 + log_below - log_s), math.exp(l1 + log_above - log_s)
    edge = -math.expm1(l0 - l1) * mills * p1 if l0 < l1 else math.expm1(l1 - l0) * mills_below * p0
    return log_s, edge, p1 * excess - p0 * excess_below, p0, p1


@_compiled
def two_edges(
    a: float, b: float, l0: float, l1: float, l2: float
) -> tuple[float, float, float, float, float, float, float, float]:
    r"""Return :math:`\ln S, M_1, M_2, M_1 - a, M_2 - b, p_0, p_1, p_2` of the sum in the module's docstring."""
    log_mid, rate_a, rate_b, excess_mid_a, excess_mid_b = interval(a, b)
    log_low, mills_low, excess_low = log_h_mills_excess(-a)
    log_high, mills_high, excess_high = log_h_mills_excess(b)
    top = max(l0, max(l1, l2))
    missing = 0.0
    if l0 < top:
        missing += math.expm1(l0 - top) * math.exp(log_low)
    if l1 < top:
        missing += math.expm1(l1 - top) * math.exp(log_mid)
    if l2 < top:
        missing += math.expm1(l2 - top) * math.exp(log_high)
    log_s = top + math.log1p(missing) if missing > -0.5 else _log_sum(_log_sum(l0 + log_low, l2 + log_high), l1 + log_mid)
    p0, p1, p2 = math.exp(l0 + log_low - log_s), math.exp(l1 + log_mid - log_s), math.exp(l2 + log_high - log_s)
    # the density at an edge over the heavier of the two pieces beside it
    edge_a = -math.expm1(l0 - l1) * rate_a * p1 if l0 < l1 else math.expm1(l1 - l0) * mills_low * p0
    edge_b = -math.expm1(l1 - l2) * mills_high * p2 if l1 < l2 else math.expm1(l2 - l1) * rate_b * p1
    above_a = p1 * excess_mid_a - p0 * excess_low - (a * p2 if p2 > 0.0 else 0.0)
    above_b = p2 * excess_high - p1 * excess_mid_b - (b * p0 if p0 > 0.0 else 0.0)
    return log_s, edge_a, edge_b, above_a, above_b, p0, p1, p2


@_compiled
def balance(price: float, ratio: float) -> tuple[float, float]:
    r"""Return the distance at which a cluster moves to fulfil a constraint or pays for it, and how much moving gains a step.

    The ``p``-th power is averaged over a common field of the variance ``s`` in units of the noise; ``ratio`` is ``p s``.
    At the distance ``D`` moving leaves :math:`x` of it to the noise, with the mean :math:`D - x = p s M(x)` of the common
    field, and costs :math:`-\ln H(x) + p s M(x)^2/2` a replica, which grows with ``x`` up to the price where they balance.
    """
    low, high = -8.0, math.sqrt(2.0 * price) + 1.0
    for _ in range(50):
        x = 0.5 * (low + high)
        log_tail, slope = log_h_mills(x)
        if 0.5 * ratio * slope * slope - log_tail < price:
            low = x
        else:
            high = x
    x = 0.5 * (low + high)
    slope = log_h_mills(x)[1]
    return x + ratio * slope, slope


@_compiled
def softplus(x: float) -> float:
    r"""Return :math:`\ln(1 + e^x)`."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@_compiled
def spread_node(goal: float, z: float, centres: np.ndarray, widths: np.ndarray, count: int) -> tuple[float, float]:
    r"""Return ``z`` with :math:`\sum_k \mathrm{asinh}\,[(z - c_k)/2 w_k]` equal to ``goal``, and :math:`dz/dt` there.

    The sum rises with a slope between neighbours' slopes: Newton's method from the previous node needs two or three steps.
    """
    density = 1.0
    for _ in range(60):
        miss, density = -goal, 0.0
        for k in range(count):
            x = (z - centres[k]) / (2.0 * widths[k])
            miss += math.asinh(x)
            density += 1.0 / (2.0 * widths[k] * math.sqrt(1.0 + x * x))
        move = miss / density
        # far from the solution a step of the logarithm may overshoot a centre: one unit of t at a time
        if abs(miss) > 1.0:
            move /= abs(miss)
        z -= move
        if abs(miss) < 1e-8:
            break
    # the density belongs to the node, not to the last guess
    density = 0.0
    for k in range(count):
        x = (z - centres[k]) / (2.0 * widths[k])
        density += 1.0 / (2.0 * widths[k] * math.sqrt(1.0 + x * x))
    return z, 1.0 / density
