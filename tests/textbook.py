r"""Textbook formulas of the perceptron, typed by hand for tests, at any precision.

They are written down from the literature (Gardner 1988; Krauth and Mezard 1989; Franz and Parisi 1995; the wide flat
minima of arXiv 2107.01163) without the derivation engine: saddle equations by the usual rules, the Franz-Parisi
entropy in its form with a double integral. Numbers are taken exactly as passed (a float is its binary value), results
are mpmath numbers with ``digits`` correct decimals (absolute, for entropies and residuals at the point given).

Notation: ``Dz`` Gaussian measure, ``H`` its upper tail, ``M = G/H``, ``T`` the tanh of a weight's local field,
``h = M((kappa - u) / sqrt(1 - q)) / sqrt(1 - q)``. Entropies in nats per weight.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from mpmath import mp, mpf
from textbook_franz_parisi import FranzParisi, franz_parisi, franz_parisi_saddle
from textbook_integrals import GUARD, Number, Rule, log_2cosh_and_tanh

__all__ = [
    "FranzParisi",
    "OneStep",
    "ReplicaSymmetric",
    "capacity",
    "franz_parisi",
    "franz_parisi_saddle",
    "gardner_capacity",
    "max_margin",
    "one_rsb",
    "rs_entropy",
    "rs_residuals",
    "rs_saddle",
    "spherical_entropy",
    "spherical_one_rsb_entropy",
    "spherical_saddle",
]


class ReplicaSymmetric(NamedTuple):
    """A replica-symmetric saddle: order parameters, entropy, replicon eigenvalue (positive: stable)."""

    q: Any
    qhat: Any
    phi: Any
    replicon: Any
    one_minus_q: Any


# ------------------------------------------------------------------------------------------------ building blocks


def binary_weights(qhat: Any, rule: Rule) -> tuple[Any, Any, Any, Any]:
    """Return int Dz ln 2cosh(sqrt(qhat) z), E T^2, E (1 - T^2) and E (1 - T^2)^2."""
    field = mp.sqrt(qhat)

    def integrand(z: Any) -> tuple[Any, ...]:
        x = field * z
        e = mp.exp(-2 * abs(x))
        rest = 4 * e / (1 + e) ** 2  # 1 - T^2 without cancellation
        return abs(x) + mp.log(1 + e), 1 - rest, rest, rest * rest

    a, b, c, d = rule.average(integrand, [(mp.zero, mp.pi / (4 * field))])
    return a, b, c, d


def threshold(q: Any, one_minus_q: Any, kappa: Any, rule: Rule) -> tuple[Any, Any, Any, Any]:
    """Return int Dz ln H(x), E h^2, E h'^2 and E h at x = (kappa - sqrt(q) z) / sqrt(1 - q)."""
    scale, spread = mp.sqrt(one_minus_q), mp.sqrt(q)

    def integrand(z: Any) -> tuple[Any, ...]:
        x = (kappa - spread * z) / scale
        log_h, mills = rule.tail.log_h_and_mills(x)
        return log_h, mills * mills, (mills * (mills - x)) ** 2, mills

    a, b, c, d = rule.average(integrand, [(kappa / spread, scale / spread)])
    return a, b / one_minus_q, c / one_minus_q**2, d / scale


def _root(f: Callable[[Any], Any], low: Any, high: Any, accuracy: Any) -> Any:
    """Return the root of f between low and high, where f changes sign (regula falsi, Illinois variant)."""
    f_low, f_high = f(low), f(high)
    for _ in range(200):
        x = (low * f_high - high * f_low) / (f_high - f_low)
        value = f(x)
        if abs(value) < accuracy or abs(high - low) < accuracy:
            return x
        if (value > 0) == (f_high > 0):
            high, f_high, f_low = x, value, f_low / 2
        else:
            low, f_low, f_high = x, value, f_high / 2
    raise ArithmeticError("no convergence in 200 steps")


def _polished_root(make: Callable[[Rule], Callable[[Any], Any]], grid: list[Any], digits: int) -> Any:
    """Return the root of ``make(rule)``: bracketed on the grid at 12 digits, then secant steps at full precision."""
    rough = make(Rule(12))
    values = [rough(x) for x in grid]
    changes = [i for i in range(len(grid) - 1) if values[i] * values[i + 1] < 0]
    if len(changes) != 1:
        raise ValueError(f"{len(changes)} saddles between {mp.nstr(grid[0], 3)} and {mp.nstr(grid[-1], 3)}")
    x0 = _root(rough, grid[changes[0]], grid[changes[0] + 1], mpf(10) ** -11)
    fine_rule = Rule(digits + 4)
    fine = make(fine_rule)
    x1 = x0 + mpf(10) ** -8
    f0, f1 = fine(x0), fine_rule.converge(lambda: fine(x1))
    for _ in range(20):
        if abs(f1) < mpf(10) ** (-digits - 2) or f1 == f0:
            return x1
        x0, f0, x1 = x1, f1, x1 - f1 * (x1 - x0) / (f1 - f0)
        f1 = fine(x1)
    raise ArithmeticError("the secant steps do not converge")


# ------------------------------------------------------------------------------------------------- binary weights


def rs_entropy(q: Number, qhat: Number, alpha: Number, kappa: Number, *, digits: int = 30) -> Any:
    """Return phi(q, qhat) = -qhat (1-q)/2 + int Dz ln 2cosh(sqrt(qhat) z) + alpha int Dz ln H(x), at any q and qhat."""
    with mp.workdps(digits + GUARD):
        q, qhat, alpha, kappa = mpf(q), mpf(qhat), mpf(alpha), mpf(kappa)
        rule = Rule(digits)

        def value() -> Any:
            weights = binary_weights(qhat, rule)[0]
            return -qhat * (1 - q) / 2 + weights + alpha * threshold(q, 1 - q, kappa, rule)[0]

        return rule.converge(value)


def rs_residuals(q: Number, qhat: Number, alpha: Number, kappa: Number, *, digits: int = 30) -> dict[str, Any]:
    """Return E T^2 - q and alpha E h^2 - qhat under the names of the order parameters."""
    with mp.workdps(digits + GUARD):
        q, qhat, alpha, kappa = mpf(q), mpf(qhat), mpf(alpha), mpf(kappa)
        rule = Rule(digits)

        def value() -> dict[str, Any]:
            energy = alpha * threshold(q, 1 - q, kappa, rule)[1]
            return {"q": binary_weights(qhat, rule)[1] - q, "qhat": energy - qhat}

        return rule.converge(value)


def rs_saddle(alpha: Number, kappa: Number, *, digits: int = 30) -> ReplicaSymmetric:
    """Return the saddle of the binary perceptron, from q = E T^2(qhat) and the root of ln qhat = ln(alpha E h^2).

    Raises ValueError if no qhat in [1e-13, 1e3] is a saddle (loads far beyond capacity).
    """
    with mp.workdps(digits + GUARD):
        alpha, kappa = mpf(alpha), mpf(kappa)

        def make(rule: Rule) -> Callable[[Any], Any]:
            def excess(log_qhat: Any) -> Any:
                _, q, rest, _ = binary_weights(mp.exp(log_qhat), rule)
                return log_qhat - mp.log(alpha * threshold(q, rest, kappa, rule)[1])

            return excess

        qhat = mp.exp(_polished_root(make, [mpf(j) for j in range(-30, 8)], digits))
        rule = Rule(digits)
        return rule.converge(lambda: _binary_point(qhat, alpha, kappa, rule))


def _binary_point(qhat: Any, alpha: Any, kappa: Any, rule: Rule) -> ReplicaSymmetric:
    """Return everything at q = E T^2 for the qhat given."""
    weights, q, rest, rest2 = binary_weights(qhat, rule)
    energy, _, slope2, _ = threshold(q, rest, kappa, rule)
    return ReplicaSymmetric(q, qhat, -qhat * rest / 2 + weights + alpha * energy, 1 - alpha * rest2 * slope2, rest)


def capacity(kappa: Number, *, digits: int = 30) -> Any:
    """Return the load of zero entropy: phi = 0 along alpha(qhat) = qhat / E h^2, q = E T^2, a root in one unknown."""
    with mp.workdps(digits + GUARD):
        kappa = mpf(kappa)

        def load_and_entropy(log_qhat: Any, rule: Rule) -> tuple[Any, Any]:
            qhat = mp.exp(log_qhat)
            weights, q, rest, _ = binary_weights(qhat, rule)
            energy, slope2, _, _ = threshold(q, rest, kappa, rule)
            alpha = qhat / slope2
            return alpha, -qhat * rest / 2 + weights + alpha * energy

        def make(rule: Rule) -> Callable[[Any], Any]:
            return lambda log_qhat: load_and_entropy(log_qhat, rule)[1]

        root = _polished_root(make, [mpf(j) / 2 for j in range(-12, 14)], digits)
        rule = Rule(digits)
        return rule.converge(lambda: load_and_entropy(root, rule)[0])


def max_margin(alpha: Number, *, start: Number = 0, digits: int = 30) -> Any:
    """Return the margin of zero entropy by Newton's method from ``start``: d phi / d kappa = -alpha E h."""
    with mp.workdps(digits + GUARD):
        alpha, kappa = mpf(alpha), mpf(start)
        rough = True
        for _ in range(60):
            wanted = 12 if rough else digits
            saddle = rs_saddle(alpha, kappa, digits=wanted)
            slope = -alpha * threshold(saddle.q, saddle.one_minus_q, kappa, Rule(wanted))[3]
            step = -saddle.phi / slope
            kappa += step
            if not rough and abs(step) < mpf(10) ** (-digits // 2):
                return kappa
            rough = rough and abs(step) > mpf(10) ** -9
        raise ArithmeticError("Newton's method does not converge")


# ---------------------------------------------------------------------------------------------- spherical weights


def spherical_entropy(q: Number, alpha: Number, kappa: Number, *, digits: int = 30) -> Any:
    """Return phi(q) = [ln(1-q) + q/(1-q)]/2 + alpha int Dz ln H(x), relative to the uniform measure, at any q."""
    with mp.workdps(digits + GUARD):
        q, alpha, kappa = mpf(q), mpf(alpha), mpf(kappa)
        rule = Rule(digits)

        def value() -> Any:
            return (mp.log(1 - q) + q / (1 - q)) / 2 + alpha * threshold(q, 1 - q, kappa, rule)[0]

        return rule.converge(value)


def spherical_saddle(alpha: Number, kappa: Number, *, digits: int = 30) -> ReplicaSymmetric:
    """Return the saddle of the spherical perceptron, q/(1-q)^2 = alpha E h^2 = qhat, solved in ln(q/(1-q)).

    Raises ValueError at and beyond the Gardner capacity (and where 1 - q is below e^-25).
    """
    with mp.workdps(digits + GUARD):
        alpha, kappa = mpf(alpha), mpf(kappa)

        def make(rule: Rule) -> Callable[[Any], Any]:
            def excess(logit: Any) -> Any:
                rest = 1 / (1 + mp.exp(logit))
                q = 1 / (1 + mp.exp(-logit))
                return mp.log(q / rest**2) - mp.log(alpha * threshold(q, rest, kappa, rule)[1])

            return excess

        logit = _polished_root(make, [mpf(j) for j in range(-25, 26)], digits)
        rest, q = 1 / (1 + mp.exp(logit)), 1 / (1 + mp.exp(-logit))
        rule = Rule(digits)

        def point() -> ReplicaSymmetric:
            energy, _, slope2, _ = threshold(q, rest, kappa, rule)
            phi = (mp.log(rest) + q / rest) / 2 + alpha * energy
            return ReplicaSymmetric(q, q / rest**2, phi, 1 - alpha * rest**2 * slope2, rest)

        return rule.converge(point)


def gardner_capacity(kappa: Number, *, digits: int = 30) -> Any:
    """Return 1 / int_{-kappa}^inf Dz (z + kappa)^2 = 1 / [(1 + kappa^2) H(-kappa) + kappa G(kappa)]."""
    with mp.workdps(digits + GUARD):
        kappa = mpf(kappa)
        density = mp.exp(-kappa * kappa / 2) / mp.sqrt(2 * mp.pi)
        return 1 / ((1 + kappa * kappa) * mp.erfc(-kappa / mp.sqrt(2)) / 2 + kappa * density)


# ------------------------------------------------------------------------------------------------------- one-step RSB


class OneStep(NamedTuple):
    """The 1RSB entropy phi(m) at given order parameters, and its saddle residuals (right minus left side)."""

    phi: Any
    residuals: dict[str, Any]


def tilted_weights(q0hat: Any, q1hat: Any, m: Any, rule: Rule) -> tuple[Any, Any, Any]:
    """Return int Dz0 ln int Dz1 (2cosh)^m, E <T^2>, E <T>^2 at the field sqrt(q0hat) z0 + sqrt(q1hat - q0hat) z1."""
    spread = mp.sqrt(q1hat - q0hat)

    def outer(z0: Any) -> list[Any] | None:
        mean = mp.sqrt(q0hat) * z0
        shift = abs(mean) + m * spread * spread / 2  # the exponent per m of one of the two humps, at +- m spread

        def inner(z1: Any) -> tuple[Any, ...]:
            log_cosh, tanh = log_2cosh_and_tanh(mean + spread * z1)
            weight = mp.exp(m * (log_cosh - shift) - z1 * z1 / 2) / mp.sqrt(2 * mp.pi)
            return weight, weight * tanh, weight * tanh * tanh

        reach = rule.reach + m * spread
        kinks = [(-mean / spread, mp.pi / (4 * spread))]
        total, t1, t2 = rule.integral(inner, kinks, -reach, reach, mp.exp(-z0 * z0 / 2), m * spread * mp.sign(mean))
        return [m * shift + mp.log(total), t2 / total, (t1 / total) ** 2]

    a, b, c = rule.average(outer, [(mp.zero, mp.pi / (4 * mp.sqrt(q0hat)))])
    return a, b, c


def tilted_threshold(q0: Any, q1: Any, m: Any, kappa: Any, rule: Rule) -> tuple[Any, Any, Any]:
    """Return int Dz0 ln int Dz1 H^m(x), E <h^2>, E <h>^2 at x = (kappa - sqrt(q0) z0 - sqrt(q1-q0) z1)/sqrt(1-q1)."""
    width, spread = mp.sqrt(1 - q1), mp.sqrt(q1 - q0)
    ratio = spread / width

    def outer(z0: Any) -> list[Any] | None:
        mean = kappa - mp.sqrt(q0) * z0
        # For H = exp(-x^2/2) the mass lies at this z1; the exponent there is taken out.
        bulk = m * ratio * max(mean / width, 0) / (1 + m * ratio * ratio)
        shift = m * rule.tail.log_h((mean - spread * bulk) / width) - bulk * bulk / 2

        def inner(z1: Any) -> tuple[Any, ...]:
            log_h, mills = rule.tail.log_h_and_mills((mean - spread * z1) / width)
            weight = mp.exp(m * log_h - z1 * z1 / 2 - shift) / mp.sqrt(2 * mp.pi)
            return weight, weight * mills, weight * mills * mills

        low, high = bulk - rule.reach, bulk + rule.reach
        total, h1, h2 = rule.integral(inner, [(mean / spread, 1 / ratio)], low, high, mp.exp(-z0 * z0 / 2), bulk)
        return [shift + mp.log(total), h2 / total / width**2, (h1 / total / width) ** 2]

    a, b, c = rule.average(outer, [(kappa / mp.sqrt(q0), mp.sqrt((1 - q0) / q0))])
    return a, b, c


def one_rsb(
    q0: Number,
    q1: Number,
    q0hat: Number,
    q1hat: Number,
    m: Number,
    *,
    alpha: Number,
    kappa: Number,
    digits: int = 30,
) -> OneStep:
    """Return phi(m) of binary weights at any point 0 < q0 < q1 < 1, 0 < q0hat < q1hat, m > 0 (m not extremised).

    phi = -(m-1)/2 q1 q1hat + m/2 q0 q0hat - q1hat/2 + [int Dz0 ln int Dz1 (2cosh)^m + alpha int Dz0 ln int Dz1 H^m]/m.
    """
    with mp.workdps(digits + GUARD):
        q0, q1, q0hat, q1hat, m, alpha, kappa = (mpf(x) for x in (q0, q1, q0hat, q1hat, m, alpha, kappa))
        rule = Rule(digits)

        def point() -> OneStep:
            weights, t2, tt = tilted_weights(q0hat, q1hat, m, rule)
            energy, h2, hh = tilted_threshold(q0, q1, m, kappa, rule)
            interaction = -(m - 1) / 2 * q1 * q1hat + m / 2 * q0 * q0hat - q1hat / 2
            residuals = {"q0": tt - q0, "q1": t2 - q1, "q0hat": alpha * hh - q0hat, "q1hat": alpha * h2 - q1hat}
            return OneStep(interaction + (weights + alpha * energy) / m, residuals)

        return rule.converge(point)


def spherical_one_rsb_entropy(
    q0: Number, q1: Number, m: Number, *, alpha: Number, kappa: Number, digits: int = 30
) -> Any:
    """Return [ln(1-q1) + ln(D/(1-q1))/m + q0/D]/2 + alpha/m int Dz0 ln int Dz1 H^m, D = 1 - q1 + m (q1 - q0)."""
    with mp.workdps(digits + GUARD):
        q0, q1, m, alpha, kappa = (mpf(x) for x in (q0, q1, m, alpha, kappa))
        rule = Rule(digits)
        d = 1 - q1 + m * (q1 - q0)
        entropic = (mp.log(1 - q1) + mp.log(d / (1 - q1)) / m + q0 / d) / 2
        return rule.converge(lambda: entropic + alpha / m * tilted_threshold(q0, q1, m, kappa, rule)[0])
