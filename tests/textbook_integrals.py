r"""Gaussian integrals at any precision, for the hand-typed reference formulas of ``textbook.py``.

Nothing here knows the package under test. Two ingredients:

* :class:`Tail`: :math:`\ln H(x)` and the Mills ratio :math:`M = G/H` from a table of Taylor series of
  :math:`R = H/G`. As :math:`R' = x R - 1`, the coefficients about :math:`x_0` obey
  :math:`(n+1) c_{n+1} = x_0 c_n + c_{n-1}`, so that one ``erfc`` for each centre is all that is ever needed. This is
  ten times faster than ``mpmath.erfc`` at 30 digits.
* :class:`Rule`: the trapezoid rule in a variable in which every kink of the integrand has width one,
  :math:`\tau(u) = \sum_k \mathrm{asinh}((u - c_k) / w_k)`. For one kink it is :math:`u = c + w \sinh\tau`, for two the
  inverse is found by Newton's method. The error of a trapezoid rule on an analytic, decaying integrand is
  :math:`\epsilon(h) \sim e^{-2 \pi a / h}`, hence :math:`\epsilon(h) \approx \epsilon(2 h)^2`, and the nodes of step
  :math:`2h` are every second node of step :math:`h`: each sum comes with its own error estimate at no cost, and
  :meth:`Rule.converge` refines the step until the digits asked for are there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from mpmath import mp, mpf
from mpmath.libmp import from_man_exp, to_fixed

Number = Any  # what mpmath takes: int, float, str or mpf
SPACING = 8  # Taylor centres of the tail function lie at multiples of 1 / SPACING
FAR = 40  # beyond it the asymptotic series of R has more digits than anyone asks for: e^-800
WIDE = 0.5  # kinks of this width, in standard deviations, need no nodes of their own beside another
GUARD = 10  # working digits beyond those asked for


def log_2cosh_and_tanh(x: Any) -> tuple[Any, Any]:
    """Return ln 2cosh(x) and tanh(x)."""
    e = mp.exp(-2 * abs(x))
    tanh = (1 - e) / (1 + e)
    return abs(x) + mp.log(1 + e), tanh if x >= 0 else -tanh


class Tail:
    """Gaussian tail functions at the precision that is current when the table is made."""

    def __init__(self) -> None:
        self.bits = mp.prec + 16
        self.half_log_2pi = mp.log(2 * mp.pi) / 2
        self.negligible = 2 * (mp.dps + 5) * math.log(10)  # x^2 for which G(x) vanishes at this precision
        self._series: dict[int, tuple[Any, list[Any]]] = {}

    def _coefficients(self, index: int) -> tuple[Any, list[Any]]:
        """Return the centre ``index / SPACING`` and the Taylor coefficients there, as integers scaled by 2^bits."""
        with mp.workprec(self.bits + 60):
            centre = mpf(index) / SPACING
            ratio = mp.sqrt(mp.pi / 2) * mp.exp(centre**2 / 2) * mp.erfc(centre / mp.sqrt(2))
            values = [ratio, centre * ratio - 1]
            reach = mpf(1) / (2 * SPACING)
            while abs(values[-1]) * reach ** (len(values) - 1) > mpf(2) ** -self.bits:
                n = len(values) - 1
                values.append((centre * values[n] + values[n - 1]) / (n + 1))
            fixed = [to_fixed(value._mpf_, self.bits) for value in reversed(values)]
            return to_fixed(centre._mpf_, self.bits), fixed

    def ratio(self, x: Any) -> Any:
        """Return R(x) = H(x) / G(x) for x >= 0."""
        if x > FAR:
            term = total = 1 / x
            n = 1
            while abs(term) > mpf(2) ** -self.bits * total:
                term *= -(2 * n - 1) / x**2
                total += term
                n += 1
            return total
        index = int(x * SPACING + 0.5)
        if index not in self._series:
            self._series[index] = self._coefficients(index)
        centre, coefficients = self._series[index]
        bits = self.bits
        e = to_fixed(x._mpf_, bits) - centre
        total = coefficients[0]
        for coefficient in coefficients[1:]:  # Horner's scheme in integers
            total = (total * e >> bits) + coefficient
        return mp.make_mpf(from_man_exp(total, -bits, mp.prec, "n"))

    def log_h_and_mills(self, x: Any) -> tuple[Any, Any]:
        """Return ln H(x) and M(x) = G(x) / H(x)."""
        square = x * x
        if x >= 0:
            ratio = self.ratio(x)
            return mp.log(ratio) - square / 2 - self.half_log_2pi, 1 / ratio
        if square > self.negligible:
            return mp.zero, mp.zero
        density = mp.exp(-square / 2 - self.half_log_2pi)
        tail = 1 - density * self.ratio(-x)
        return mp.log(tail), density / tail

    def log_h(self, x: Any) -> Any:
        """Return ln H(x)."""
        return self.log_h_and_mills(x)[0]

    def mills(self, x: Any) -> Any:
        """Return M(x) = G(x) / H(x)."""
        return self.log_h_and_mills(x)[1]


class Rule:
    """Trapezoid sums for the kinks given, and the largest error estimate among them.

    Parameters
    ----------
    digits
        Absolute accuracy of the sums, in decimal digits; mpmath's working precision must exceed it.
    step
        Step in the mapped variable to begin with.
    """

    def __init__(self, digits: int, step: float | None = None) -> None:
        self.digits = digits
        self.step = mpf(step if step is not None else 1.55 / (digits + 4))
        self.reach = mp.sqrt(2 * mp.log(10) * (digits + 8))  # 13.2 standard deviations at 30 digits
        self.log_negligible = -mp.log(10) * (digits + 6)  # of a weight, against the digits asked for
        self.negligible = mp.exp(self.log_negligible)
        self.spread = mp.zero
        self.tail = Tail()
        self._hyperbolic: dict[int, tuple[Any, Any]] = {}

    def converge(self, compute: Callable[[], Any]) -> Any:
        """Return ``compute()``, its sums repeated with smaller steps until their errors are below 10^-digits."""
        wanted = self.digits / 2 + 1.5  # digits in the spread, as epsilon(h) is about epsilon(2 h)^2
        for _ in range(6):
            self.spread = mp.zero
            result = compute()
            if self.spread < mpf(10) ** -wanted:
                return result
            have = -mp.log10(self.spread) if self.spread < 0.1 else 1
            self.step *= max(mpf(1) / 4, min(have / wanted, mpf(1)) * 0.95)
            self._hyperbolic.clear()
        raise ArithmeticError(f"the trapezoid rule does not settle: spread {mp.nstr(self.spread, 3)}")

    def average(
        self, f: Callable[[Any], Sequence[Any] | None], kinks: Sequence[tuple[Any, Any]] = (), scale: Any = 1
    ) -> list[Any]:
        """Return the averages of the components of ``f(z)`` over a standard Gaussian z."""
        norm = mp.sqrt(2 * mp.pi)

        def weighted(z: Any) -> list[Any] | None:
            values = f(z)
            if values is None:
                return None
            density = mp.exp(-z * z / 2) / norm
            return [density * value for value in values]

        return self.integral(weighted, kinks, -self.reach, self.reach, scale)

    def integral(
        self,
        f: Callable[[Any], Sequence[Any] | None],
        kinks: Sequence[tuple[Any, Any]],
        low: Any,
        high: Any,
        scale: Any = 1,
        bulk: Any = 0,
    ) -> list[Any]:
        """Return the integrals of the components of ``f`` from low to high, at whose ends f is negligible.

        ``kinks`` are pairs (position, width); ``f`` returns None where it is negligible; ``scale`` is the weight of
        this integral in the final result; ``bulk`` is where the mass of the integral lies.
        """
        kinks = _relevant(kinks, low, high, bulk)
        nodes = self._one_kink(*kinks[0], low, high) if len(kinks) == 1 else self._several_kinks(kinks, low, high)
        sums: list[list[Any]] = [[], []]
        for index, u, weight in nodes:
            values = f(u)
            if values is None:
                continue
            part = sums[index % 2]
            if not part:
                part.extend([mp.zero] * len(values))
            for i, value in enumerate(values):
                part[i] += weight * value
        even, odd = (part or [mp.zero] * max(len(sums[0]), len(sums[1])) for part in sums)
        for a, b in zip(even, odd, strict=True):
            self.spread = max(self.spread, abs(a - b) * self.step * scale)
        return [self.step * (a + b) for a, b in zip(even, odd, strict=True)]

    def _one_kink(self, centre: Any, width: Any, low: Any, high: Any) -> list[tuple[int, Any, Any]]:
        """Return (index, u, du/dtau) for u = centre + width sinh(tau)."""
        nodes = []
        step = float(self.step)
        first = math.floor(math.asinh((low - centre) / width) / step)
        last = math.ceil(math.asinh((high - centre) / width) / step)
        for j in range(first, last + 1):
            if j not in self._hyperbolic:
                e = mp.exp(j * self.step)
                self._hyperbolic[j] = ((e - 1 / e) / 2, (e + 1 / e) / 2)
            sinh, cosh = self._hyperbolic[j]
            nodes.append((j, centre + width * sinh, width * cosh))
        return nodes

    def _several_kinks(self, kinks: Sequence[tuple[Any, Any]], low: Any, high: Any) -> list[tuple[int, Any, Any]]:
        """Return (index, u, du/dtau) for tau = sum of asinh((u - c_k) / w_k), narrowest kink first."""
        # The unknown is a = (u - c) / w of the narrowest kink, near which floats would lose u - c.
        c, w = kinks[0]
        terms = [((c - c_k) / w_k, w / w_k) for c_k, w_k in kinks]
        terms_ = [(float(shift), float(factor)) for shift, factor in terms]
        start, stop = (sum(mp.asinh((end - c_k) / w_k) for c_k, w_k in kinks) for end in (low, high))
        nodes = []
        a_, step = float((low - c) / w), float(self.step)
        for j in range(math.floor(start / step), math.ceil(stop / step) + 1):
            a_ = _invert(j * step, a_, terms_)
            a, target, accuracy, weight = mpf(a_), mp.exp(j * self.step), 13, mp.zero
            while accuracy < mp.dps - GUARD + 2:
                a, weight = _refine(a, target, terms)
                accuracy *= 3
            nodes.append((j, c + w * a, w * weight))
        return nodes


def _refine(a: Any, target: Any, terms: Sequence[tuple[Any, Any]]) -> tuple[Any, Any]:
    """Return a better root of sum of asinh(shift + factor a) = ln(target), and da/dtau there, both to third order."""
    product, first, second, third = 1 / target, mp.zero, mp.zero, mp.zero
    for shift, factor in terms:
        b = shift + factor * a
        square = 1 + b * b
        root = mp.sqrt(square)
        product = product * (b + root) if b > 0 else product / (root - b)
        slope = factor / root  # of asinh; its logarithmic slope is -ratio
        ratio = factor * b / square
        first += slope
        second -= slope * ratio
        third += slope * (3 * ratio * ratio - factor * factor / square)
    excess = product - 1
    excess -= excess * excess / 2
    step = -excess / first
    step -= step * step * second / (2 * first)
    return a + step, 1 / (first + step * (second + step * third / 2))


def _relevant(kinks: Sequence[tuple[Any, Any]], low: Any, high: Any, bulk: Any) -> list[tuple[Any, Any]]:
    """Return centres and scales of the map, narrowest first: the kinks that matter, and the bulk if none is near it.

    A scale is twice a width: the zeros of H lie 2.8 widths away and the poles of tanh, by choice of its width, 2.
    Farther off all that counts is that ``exp(-u^2/2)`` decays along the image of the line Im tau = pi/4.
    """
    inside = sorted(((c, 2 * min(w, mpf(1))) for c, w in kinks if low < c < high), key=lambda kink: kink[1])
    near = [kink for i, kink in enumerate(inside) if kink[1] < 2 * WIDE or i == 0]
    if all(abs(c - bulk) > 2 for c, _ in near):
        near.append((mpf(bulk), mpf(1)))
    return near


def _invert(tau: float, start: float, terms: Sequence[tuple[float, float]]) -> float:
    """Return a with sum of asinh(shift + factor a) = tau to 12 digits: Newton's method from ``start``."""
    a = start
    for _ in range(200):
        excess, slope, scale = -tau, 0.0, math.inf
        for shift, factor in terms:
            b = shift + factor * a
            excess += math.asinh(b)
            slope += factor / math.sqrt(1 + b * b)
            scale = min(scale, max(1.0, abs(b)) / factor)
        step = excess / slope
        # Steps no longer than the distance to the nearest kink cannot overshoot by much on a monotone function.
        a -= max(-scale, min(scale, step))
        if abs(step) < 1e-12 * scale:
            return a
    raise ArithmeticError("the map of the trapezoid rule could not be inverted")
