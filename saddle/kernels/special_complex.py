r"""Gaussian tail, Mills ratio and ``ln 2cosh`` of complex arguments: the functions inside averages that are continued.

In the right half-plane everything follows from the scaled complementary error function :math:`e^{s^2}\,\mathrm{erfc}\,s`,
which has no zeros there, by Weideman's rational expansion

.. math::
    e^{s^2}\,\mathrm{erfc}\,s = \frac{1/\sqrt\pi}{L + s} + \frac{2}{(L + s)^2} \sum_{n=0}^{N-1} a_n
    \Big(\frac{L - s}{L + s}\Big)^n , \qquad L = \sqrt{N/\sqrt2} .

In the left half-plane :math:`H(x) = 1 - H(-x)`.  Logarithms are those that are real on the real axis and continuous along
vertical lines up to the first zero of the function, the imaginary part of which is ``ZERO_OF_H`` or ``ZERO_OF_COSH``.

Source: Weideman, SIAM J. Numer. Anal. 31, 1497 (1994), for the expansion and its coefficients.
"""

from __future__ import annotations

import cmath
import math

import numpy as np

from saddle.kernels.special import _compiled

ZERO_OF_H = 2.8163
"""Imaginary part of the zeros of the Gaussian tail that are closest to the real axis (real part -1.9160)."""
ZERO_OF_COSH = 0.5 * math.pi
"""Imaginary part of the zeros of the hyperbolic cosine that are closest to the real axis."""

_TERMS = 48
_SCALE = math.sqrt(_TERMS / math.sqrt(2.0))
_ROOT_PI = 1.7724538509055160
_ROOT_TWO = 1.4142135623730951
_ROOT_HALF_PI = 1.2533141373155003
_OVERFLOWING = 300.0


def _coefficients() -> tuple[float, ...]:
    """The coefficients of the expansion, by Fourier transform."""
    size = 2 * _TERMS
    t = _SCALE * np.tan(0.5 * math.pi * np.arange(-size + 1, size) / size)
    values = np.concatenate([[0.0], np.exp(-t * t) * (_SCALE * _SCALE + t * t)])
    found = np.real(np.fft.fft(np.fft.fftshift(values))) / (2 * size)
    return tuple(float(a) for a in found[1 : _TERMS + 1])


_EXPANSION = _coefficients()


@_compiled
def _scaled_erfc(s: complex) -> complex:
    """The scaled complementary error function in the right half-plane."""
    ratio, total = (_SCALE - s) / (_SCALE + s), 0.0 * s
    for n in range(_TERMS - 1, -1, -1):
        total = total * ratio + _EXPANSION[n]
    return (1.0 / _ROOT_PI + 2.0 * total / (_SCALE + s)) / (_SCALE + s)


@_compiled
def complex_log_h_mills_excess(x: complex) -> tuple[complex, complex, complex]:
    r"""Return :math:`(\ln H(x),\, M(x),\, M(x) - x)`."""
    if x.real >= 0.0:
        scaled = _scaled_erfc(x / _ROOT_TWO)
        mills = 1.0 / (_ROOT_HALF_PI * scaled)
        return cmath.log(0.5 * scaled) - 0.5 * x * x, mills, mills - x
    scaled, exponent = _scaled_erfc(-x / _ROOT_TWO), -0.5 * x * x
    mirrored = 1.0 / (_ROOT_HALF_PI * scaled)
    if exponent.real > _OVERFLOWING:
        return cmath.log(-0.5 * scaled) + exponent, -mirrored, -mirrored - x
    lower = 0.5 * scaled * cmath.exp(exponent)
    mills = mirrored * lower / (1.0 - lower)
    return cmath.log(1.0 - lower), mills, mills - x


@_compiled
def complex_one_edge(x: complex, l0: float, l1: float) -> tuple[complex, complex, complex, complex, complex]:
    r"""Return what :func:`saddle.kernels.edges.one_edge` returns, for :math:`S = e^{l_0} [1 - H(x)] + e^{l_1} H(x)`."""
    tail, mills, _ = complex_log_h_mills_excess(x)
    if l1 + tail.real >= l0:
        log_s = l1 + tail + cmath.log(1.0 + math.exp(l0 - l1) * (cmath.exp(-tail) - 1.0))
    else:
        log_s = l0 + cmath.log(1.0 + math.expm1(l1 - l0) * cmath.exp(tail))
    share = cmath.exp(l1 + tail - log_s)
    edge = -math.expm1(l0 - l1) * share * mills
    return log_s, edge, edge - x, 1.0 - share, share


@_compiled
def complex_mills_and_excess(x: complex) -> tuple[complex, complex]:
    r"""Return :math:`(M(x),\, M(x) - x)`."""
    found = complex_log_h_mills_excess(x)
    return found[1], found[2]


@_compiled
def complex_log2cosh_tanh(x: complex) -> tuple[complex, complex]:
    r"""Return :math:`(\ln 2\cosh x, \tanh x)`."""
    sign = 1.0 if x.real >= 0.0 else -1.0
    decay = cmath.exp(-2.0 * sign * x)
    return sign * x + cmath.log(1.0 + decay), sign * (1.0 - decay) / (1.0 + decay)
