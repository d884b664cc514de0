r"""Logarithm of the Gaussian tail, Mills ratio and ``ln 2cosh``: the functions inside every generated quadrature loop.

With the standard normal density :math:`G(x) = e^{-x^2/2}/\sqrt{2\pi}`,

.. math::
    H(x) = \int_x^\infty G(u)\,du = \tfrac12\,\mathrm{erfc}(x/\sqrt2), \qquad M(x) = \frac{G(x)}{H(x)}, \qquad
    \frac{d}{dx}\ln H = -M .

**One approximation serves the whole line.**  For ``y >= 0`` the Mills ratio is a smooth, algebraically growing
function, and what it exceeds ``y`` by,

.. math::
    S(y) = M(y) - y = \frac{1}{y + \frac{2}{y + \frac{3}{y + \cdots}}} , \qquad
    S(0) = \sqrt{2/\pi}, \quad S(y) \sim 1/y \ (y \to \infty) ,

is a single rational function :math:`P_{10}(y)/Q_{11}(y)` in double precision.  Everything else follows without
``erfc``, without a table of intervals and without cancellation:

* ``x >= 0``:  :math:`M = x + S(x)` and :math:`\ln H = -x^2/2 - \ln(\sqrt{2\pi} M)`, because :math:`H = G/M`.  Both
  summands of the logarithm are negative, so nothing cancels, and no exponential underflows however large ``x`` is.
  (``ln(erfc(x/sqrt 2)/2)`` would lose a factor ``x**2``: that is the condition number of ``erfc`` in its argument.)
* ``x < 0``:  with :math:`h = H(-x) = G(x)/M(-x) \le 1/2`, :math:`\ln H = \mathrm{log1p}(-h)` and
  :math:`M = G/(1-h)`.  The logarithm keeps its *relative* accuracy where it is exponentially small.

**The density** at large ``|x|`` needs more than double precision in its exponent: rounding ``x*x`` alone costs
``x**2/2`` times the unit roundoff (8e-14 at ``x = -37``).  The part lost in the rounding is recovered exactly and
enters to first order, ``exp(-x*x/2) = exp(-p/2) * (1 - lost/2)`` with ``p = fl(x*x)`` and ``lost = x*x - p``.

**The coefficients** are a minimax fit: the weight is relative error in ``S``, the interval ``[0, inf)`` mapped to
``[-1, 1]`` by ``y = 3 (1+t)/(1-t)``, the degrees 10 over 11, found with mpmath at 150 digits by rational interpolation
of ``S`` (from ``erfc`` below 20, from the continued fraction above) whose nodes were moved until the maxima of the
error between them were equal within ten per cent.  The largest relative error is 3.0e-17 before the coefficients are
rounded to double.  All coefficients came out positive, so that the evaluation (Estrin's scheme: three independent
blocks for ``1, y**4, y**8``, which the processor overlaps) cannot cancel either.

**Accuracy**, measured against mpmath (``tests/test_special.py`` holds it): relative error below 1e-15 for ``M`` and
``ln H`` on ``[-37, 1e10]`` (largest next to 0, below 5e-16 away from it), below 5e-16 for ``ln 2cosh`` and
``tanh`` everywhere.

The functions are scalar, use :mod:`math` only, and are the same plain Python when numba's compiler is disabled.
``fastmath`` stays off: it would break the propagation of NaN and the error-free transformation above.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar, cast

import numpy as np
from numba import njit

_F = TypeVar("_F", bound=Callable[..., object])


def _compiled(function: _F) -> _F:
    """Return ``function`` compiled lazily by numba, with its signature unchanged for the type checker."""
    return cast(_F, njit(cache=True, error_model="numpy", nogil=True)(function))


_SQRT_2PI = 2.5066282746310002
_INV_SQRT_2PI = 0.3989422804014327

# Beyond this S(y) = 1/y cannot change y + S(y), while y**11 would soon overflow.
_LARGEST_ARGUMENT = 1e20

# exp(-x*x/2) is zero in double precision for |x| > 38.6.
_DENSITY_CUTOFF = 40.0

# Adding and subtracting it rounds a number below 2**6 to a multiple of 2**-19: 25 bits, whose square is exact.
_SPLITTER = 8589934592.0


@_compiled
def _mills_excess(y: float) -> float:
    r"""Return :math:`S(y) = M(y) - y` for ``y >= 0``, by the rational function of the module docstring.

    Relative error below 1e-15 up to 1e20, constant (and negligible beside ``y``) from there on; NaN for NaN.
    """
    if y > _LARGEST_ARGUMENT:
        y = _LARGEST_ARGUMENT
    y2 = y * y
    y4 = y2 * y2
    y8 = y4 * y4
    p0 = (0.7978845608028654 + 1.1491216807422522 * y) + (0.8354219197127347 + 0.3957409714670222 * y) * y2
    p4 = (0.13386105398191875 + 0.03360055686639387 * y) + (0.006326419812948393 + 0.0008833027830541845 * y) * y2
    p8 = (8.792081857021538e-05 + 5.685098154166464e-06 * y) + 1.8459820686285587e-07 * y2
    q0 = (1.0 + 1.8956400244826537 * y) + (1.7737568638020214 + 1.0688011359997476 * y) * y2
    q4 = (0.4578810685289781 + 0.14599412102357753 * y) + (0.0353330518609602 + 0.006501153860595939 * y) * y2
    q8 = (0.0008946729793647219 + 8.829001498393106e-05 * y) + (5.685098154166482e-06 + 1.8459820686285584e-07 * y) * y2
    return (p0 + p4 * y4 + p8 * y8) / (q0 + q4 * y4 + q8 * y8)


@_compiled
def _density_and_lower_tail(x: float) -> tuple[float, float]:
    r"""Return :math:`G(x)` and :math:`H(-x) = 1 - H(x)` for ``x < 0``; both are zero below the underflow at -38.6."""
    y = _DENSITY_CUTOFF if x < -_DENSITY_CUTOFF else -x
    square = y * y
    head = (y + _SPLITTER) - _SPLITTER
    lost = (head * head - square) + (y - head) * (y + head)
    density = _INV_SQRT_2PI * math.exp(-0.5 * square)
    density -= 0.5 * lost * density
    return density, density / (y + _mills_excess(y))


@_compiled
def log_h_mills(x: float) -> tuple[float, float]:
    r"""Return :math:`(\ln H(x), M(x))`, the logarithm of the Gaussian tail and the Mills ratio.

    .. math::
        H(x) = \tfrac12 \mathrm{erfc}(x/\sqrt2), \qquad M(x) = G(x)/H(x) = -\frac{d}{dx}\ln H(x)

    Parameters
    ----------
    x : float
        Any double.

    Returns
    -------
    log_h, mills : float
        Both to a few units in the last place, *relative*, on ``[-37, 1e10]``; ``log_h`` also where it is exponentially
        small.  Below -37 both run through the subnormal numbers to ``(-0.0, 0.0)``; ``(-inf, inf)`` at ``+inf``; NaN
        for NaN.
    """
    if x >= 0.0:
        mills_ratio = x + _mills_excess(x)
        return -0.5 * x * x - math.log(_SQRT_2PI * mills_ratio), mills_ratio
    density, lower = _density_and_lower_tail(x)
    return math.log1p(-lower), density / (1.0 - lower)


@_compiled
def mills_and_excess(x: float) -> tuple[float, float]:
    r"""Return :math:`(M(x),\, M(x) - x)`; the excess keeps its relative accuracy where both are large."""
    if x >= 0.0:
        excess = _mills_excess(x)
        return x + excess, excess
    density, lower = _density_and_lower_tail(x)
    ratio = density / (1.0 - lower)
    return ratio, ratio - x


@_compiled
def log_h_mills_excess(x: float) -> tuple[float, float, float]:
    r"""Return :math:`(\ln H(x),\, M(x),\, M(x) - x)`: :func:`log_h_mills` and :func:`mills_and_excess` in one."""
    if x >= 0.0:
        excess = _mills_excess(x)
        ratio = x + excess
        return -0.5 * x * x - math.log(_SQRT_2PI * ratio), ratio, excess
    density, lower = _density_and_lower_tail(x)
    ratio = density / (1.0 - lower)
    return math.log1p(-lower), ratio, ratio - x


@_compiled
def log_h(x: float) -> float:
    r"""Return :math:`\ln H(x)`, the first value of :func:`log_h_mills`."""
    return log_h_mills(x)[0]


@_compiled
def mills(x: float) -> float:
    r"""Return :math:`M(x) = G(x)/H(x)`, the second value of :func:`log_h_mills`, without paying for the logarithm."""
    if x >= 0.0:
        return x + _mills_excess(x)
    density, lower = _density_and_lower_tail(x)
    return density / (1.0 - lower)


@_compiled
def log2cosh_tanh(x: float) -> tuple[float, float]:
    r"""Return :math:`(\ln 2\cosh x, \tanh x)` from one exponential.

    .. math::
        u = e^{-2|x|} - 1, \qquad \ln 2\cosh x = |x| + \ln(2 + u), \qquad \tanh |x| = -u/(2 + u)

    Taking ``u`` from ``expm1`` keeps the relative accuracy of ``tanh`` at small ``x``; the logarithm's argument lies in
    ``[1, 2]``, and where its rounding would matter relative to ``ln(2 + u)``, ``|x|`` is the larger summand.

    Parameters
    ----------
    x : float
        Any double.

    Returns
    -------
    log2cosh, tanh : float
        Both to a few units in the last place, relative, everywhere; ``(inf, +-1)`` at ``+-inf``; ``tanh`` is odd
        including the sign of zero; NaN for NaN.
    """
    magnitude = abs(x)
    u = math.expm1(-2.0 * magnitude)
    return magnitude + math.log(2.0 + u), math.copysign(u / (2.0 + u), x)


@_compiled
def angle(e: float) -> float:
    r"""Return :math:`\arccos(1 - e)` without rounding ``1 - e``."""
    return 2.0 * math.asin(math.sqrt(0.5 * e))


@_compiled
def wedge(e: float) -> float:
    r"""Return :math:`\sin\theta - \theta\cos\theta` at :math:`\theta = \arccos(1 - e)`, by its series where it is small.

    .. math:: \sin\theta - \theta\cos\theta = \sum_{j \ge 1} (-1)^{j+1} \frac{2j}{(2j+1)!}\, \theta^{2j+1}
    """
    theta = angle(e)
    if theta > 1.0:
        return math.sin(theta) - theta * math.cos(theta)
    square = theta * theta
    total, power = 0.0, theta
    for j in range(1, 11):
        power *= -square / (2.0 * j * (2.0 * j + 1.0))
        total -= 2.0 * j * power
    return total


@_compiled
def arcsine_gap(e: float, c: float) -> float:
    r"""Return :math:`\arcsin c - \arcsin(c (1 - e))` for ``0 < c < 1`` and ``0 <= e <= 1`` without cancellation."""
    q = 1.0 - e
    return math.asin(c * e * (2.0 - e) / (math.sqrt(1.0 - c * c * q * q) + q * math.sqrt(1.0 - c * c)))


@_compiled
def horner(coefficients: np.ndarray, q: float) -> float:
    r"""Return :math:`\sum_k a_k q^k`, the coefficients from the constant up."""
    total = 0.0
    for k in range(len(coefficients) - 1, -1, -1):
        total = total * q + coefficients[k]
    return total
