r"""Where the nodes of a loop are: small decisions of every generated loop, compiled once a kernel.

A loop over :math:`z \sim N(0, v)` has the nodes :math:`z = c + 2 w \sinh t` at multiples of its step.  The generated
source knows the roots and widths of the kinks; which of them the nodes are centred on, how far they go and how wide the
step may be is decided here.  Written out in every loop, the same statements would be most of a kernel, and of the time
that it takes to compile.
"""

from __future__ import annotations

import math

from saddle.kernels.special import _compiled

NO_VARIANCE = 1e-280
"""Variance below which a variable is fixed (its inverse would overflow)."""
_SQRT_2_PI = 2.5066282746310002
_FARTHEST, _FAR, _NEAR = 8.0, 3.4, 1.2
"""Distances in standard deviations of the centre from the bulk beyond which the stride is 1, 2 and 3.  Off the real axis
by an angle ``a`` the weight around a centre at distance ``c`` grows like exp(c^2/2 sin^2 a / cos 2a), so that a given
accuracy needs a smaller step the farther the centre is: these keep the error of a centre at 0."""
_FINEST, _FINER, _FINE = 2.6, 1.75, 1.3
"""Strides 1, 2 and 3 by how many times wider than at the centre the nodes are at a kink apart from it, over the width of
this kink: the error of a step ``h`` at such a kink is that of a step wider by this factor at the centre."""
_RESOLVED = 2.0
"""Widths of a Gaussian that nodes may have which are centred on it: its error is then far below that of a kink."""
_INSIDE = 7.0
"""Standard deviations from the bulk within which a kink counts: farther out the weight is below 1e-10."""


@_compiled
def deviation(variance: float) -> tuple[float, float]:
    """Return 1/(2 v) and the standard deviation; a variance too small to be inverted is none."""
    if variance > NO_VARIANCE:
        return 0.5 / variance, math.sqrt(variance)
    return 0.0, 0.0


@_compiled
def tilted(bulk: float, spread: float, a: float, b: float, variance: float) -> tuple[float, float]:
    """Return where a factor ``H(b z + a)`` moves the mass, and how wide it is there.

    In its tail the factor is a Gaussian, and the product of two Gaussians has this mode and this width.
    """
    if not a > 0.0:
        return bulk, spread
    gain = b * variance
    mode = -a * gain / (1.0 + b * gain)
    return (mode, math.sqrt(variance / (1.0 + b * gain))) if abs(mode) > abs(bulk) else (bulk, spread)


@_compiled
def given_tail(a: float, b: float, half: float) -> tuple[float, float]:
    """Return the mode of a Gaussian times a tail ``H(b z + a)``, and what multiplies the square of the distance from it."""
    sharp = half + 0.5 * b * b
    return -0.5 * a * b / sharp, sharp


@_compiled
def gathered(centre: float, width: float, bulk: float, spread: float) -> float:
    """Return the width of nodes that are centred on the bulk: they must resolve it, however narrow a tail has made it."""
    return min(width, _RESOLVED * spread) if centre == bulk else width


@_compiled
def shortened(low: float, high: float, a: float, b: float, half: float, most: float) -> tuple[float, float]:
    """Return the range without the ends where a factor ``H(b z + a)`` leaves less than exp(-most) of the weight.

    Where the factor is below a half, the weight times it is below a Gaussian whose exponent is a parabola in ``z``.
    """
    steep = half + 0.5 * b * b
    mode = -0.5 * a * b / steep
    rest = most - half * mode * mode - 0.5 * (a + b * mode) ** 2
    if rest > 0.0:
        wide = math.sqrt(rest / steep)
        if a + b * (mode - wide) > 0.0:
            low = max(low, mode - wide)
        if a + b * (mode + wide) > 0.0:
            high = min(high, mode + wide)
    return low, high


@_compiled
def narrowed(
    centre: float, width: float, root: float, kink: float, low: float, high: float, felt: bool
) -> tuple[float, float]:
    """Return centre and width of the nodes, those of a kink if it is the narrowest so far, in the range and felt."""
    if kink < width and low < root < high and felt:
        return root, kink
    return centre, width


@_compiled
def fineness(
    fine: float, place: float, kink: float, bulk: float, sd: float, centre: float, span: float, felt: bool
) -> float:
    """Return how many times too wide the nodes are at the worst kink, with one more of them apart from the centre."""
    if kink < sd and abs(place - bulk) < _INSIDE * sd and felt:
        apart = place - centre
        return max(fine, 0.5 * math.sqrt(apart * apart + span * span) / kink)
    return fine


@_compiled
def stride_of(off: float, sd: float, fine: float, widest: int) -> int:
    """Return the stride through a table of quarter steps: for a centre so far off the bulk and kinks so badly resolved."""
    if off > _FARTHEST * sd or fine > _FINEST:
        return 1
    if off > _FAR * sd or fine > _FINER:
        return min(2, widest)
    if off > _NEAR * sd or fine > _FINE:
        return min(3, widest)
    return widest


@_compiled
def window(
    low: float,
    high: float,
    centre: float,
    span: float,
    bulk: float,
    sd: float,
    variance: float,
    fine: float,
    widest: int,
    origin: int,
    quarter_step: float,
) -> tuple[int, int, int, float]:
    """Return first and last node and the stride between them, and what the sum over them is multiplied by."""
    if not span > 0.0:
        return origin, origin, 4, 1.0 if variance >= 0.0 else math.nan
    stride = stride_of(abs(centre - bulk), sd, fine, widest)
    mesh = stride * quarter_step
    first = origin + stride * math.ceil(math.asinh((low - centre) / span) / mesh)
    last = origin + stride * math.floor(math.asinh((high - centre) / span) / mesh)
    return first, last, stride, span * mesh / (_SQRT_2_PI * sd)
