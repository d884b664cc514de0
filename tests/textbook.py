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
from textbook_integrals import GUARD, Number, Rule


class ReplicaSymmetric(NamedTuple):
    """A replica-symmetric saddle: order parameters, entropy, replicon eigenvalue (positive: stable)."""

    q: Any
    qhat: Any
    phi: Any
    replicon: Any
    one_minus_q: Any


def log_2cosh_and_tanh(x: Any) -> tuple[Any, Any]:
    """Return ln 2cosh(x) and tanh(x)."""
    e = mp.exp(-2 * abs(x))
    tanh = (1 - e) / (1 + e)
    return abs(x) + mp.log(1 + e), tanh if x >= 0 else -tanh


# ------------------------------------------------------------------------------------------------ building blocks


def binary_weights(qhat: Any, rule: Rule) -> tuple[Any, Any, Any, Any]:
    """Return int Dz ln 2cosh(sqrt(qhat) z), E T^2, E (1 - T^2) and E (1 - T^2)^2."""
    field = mp.sqrt(qhat)

    def integrand(z: Any) -> tuple[Any, ...]:
        x = field * z
        e = mp.exp(-2 * abs(x))
        rest = 4 * e / (1 + e) ** 2  # 1 - T^2 without cancellation
        return abs(x) + mp.log(1 + e), 1 - rest, rest, rest * rest

    a, b, c, d = rule.average(integrand, [(mp.zero, mp.pi / (2 * field))])
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


# -------------------------------------------------------------------------------------- Franz-Parisi, binary weights


class FranzParisi(NamedTuple):
    """The Franz-Parisi entropy at given overlaps and conjugates, its slope and its saddle residuals.

    ``residuals``: right minus left side of each saddle equation, under the name of the order parameter it determines.
    ``g`` is q - t^2/qr - b^2, the variance of the probe that reference and neighbours leave; ``q`` belongs to it.
    """

    phi: Any
    slope: Any
    residuals: dict[str, Any]
    q: Any
    g: Any


def franz_parisi_weights(
    qhat: Any, that: Any, phat: Any, qrhat: Any, p: Any, rule: Rule
) -> tuple[Any, Any, Any, Any, Any]:
    """Return G_S and the averages E T^2, E tanh(sqrt(qrhat) x) T, E s T - p, E (s T - p)^2.

    The sum over s = +-1 is twice its term s = 1, as (x, y, s) -> -(x, y, s) maps one onto the other.
    """
    load, noise = that / mp.sqrt(qrhat), mp.sqrt(qhat - that * that / qrhat)

    def outer(x: Any) -> list[Any] | None:
        field = mp.sqrt(qrhat) * x
        weight = 2 / (1 + mp.exp(-2 * field))  # 2 e^field / (2 cosh field)
        scale = weight * mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)
        if scale < rule.negligible:
            return None
        mean = load * x + phat - that
        reference = mp.tanh(field)

        def inner(y: Any) -> tuple[Any, ...]:
            log_cosh, tanh = log_2cosh_and_tanh(mean + noise * y)
            return log_cosh, tanh * tanh, tanh, tanh - p, (tanh - p) ** 2

        g, t2, t1, d1, d2 = rule.average(inner, [(-mean / noise, mp.pi / (2 * noise))], scale)
        return [weight * value for value in (g, t2, reference * t1, d1, d2)]

    kinks = [(mp.zero, mp.pi / (2 * mp.sqrt(qrhat))), ((that - phat) / load, mp.pi / (2 * load))]
    a, b, c, d, e = rule.average(outer, kinks)
    return a, b, c, d, e


def franz_parisi_threshold(
    t: Any, g: Any, p: Any, qr: Any, reference_kappa: Any, kappa: Any, rule: Rule
) -> tuple[Any, Any, Any, Any]:
    """Return G_E, E h^2, E h_ref h and dG_E/dp.

    With l^2 = b^2 + g the average over the reference's and the probe's own noise is one integral,
    ``int_c^inf Dv int Dy f(b v + sqrt(g) y) = int Du H((c l - b u)/sqrt(g)) f(l u)``; dG_E/dp keeps v = c.
    """
    root, rest = mp.sqrt(qr), mp.sqrt(1 - qr)
    b = (p - t) / rest
    q = g + t * t / qr + b * b
    spread, width, l = mp.sqrt(g), mp.sqrt(1 - q), mp.sqrt(b * b + g)
    tail = rule.tail

    def outer(x: Any) -> list[Any] | None:
        scale = mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)
        if scale < rule.negligible:
            return None
        c = (reference_kappa - root * x) / rest
        log_norm, mills_c = tail.log_h_and_mills(c)
        m = kappa - t * x / root  # what the probe's noise has to exceed

        def inner(u: Any) -> tuple[Any, ...] | None:
            step = (c * l - b * u) / spread
            exponent = -u * u / 2 - log_norm - tail.half_log_2pi
            if exponent - (step * step / 2 if step > 0 else 0) < rule.log_negligible:
                return None
            weight = mp.exp(exponent + tail.log_h(step))
            log_h, mills = tail.log_h_and_mills((m - l * u) / width)
            return weight * log_h, weight * mills, weight * mills * mills

        kinks = [(m / l, width / l)] + ([(c * l / b, spread / abs(b))] if b else [])
        bulk = b * mills_c / l  # the mean of u
        low, high = bulk - rule.reach, bulk + rule.reach
        # Before the step the weight is exp(-l^2 (u - b c/l)^2 / (2 g) - c^2/2) / H(c) or less: cut where it vanishes.
        edge = spread / l * mp.sqrt(max(-2 * rule.log_negligible - c * c - 2 * log_norm, 0))
        if b > 0 and b * c / l - edge < c * l / b:
            low = max(low, b * c / l - edge)
        if b < 0 and b * c / l + edge > c * l / b:
            high = min(high, b * c / l + edge)
        energy, h1, h2 = rule.integral(inner, kinks, low, high, scale, bulk)
        at_c = m - b * c
        kinks = [(at_c / spread, width / spread)]
        (at_edge,) = rule.average(lambda y: (tail.mills((at_c - spread * y) / width),), kinks, scale)
        reference = mills_c / rest
        return [energy, h2 / width**2, reference * h1 / width, reference * at_edge / width]

    kinks = [(reference_kappa / root, rest / root)]
    if t > 0:
        kinks.append((kappa * root / t, mp.sqrt(1 - t * t / qr) * root / t))
    a, b2, c1, d = rule.average(outer, kinks)
    return a, b2, c1, d


def franz_parisi(
    q: Number,
    t: Number,
    qhat: Number,
    that: Number,
    phat: Number,
    *,
    p: Number,
    qr: Number,
    qrhat: Number,
    alpha: Number,
    reference_kappa: Number,
    kappa: Number,
    g: Number | None = None,
    digits: int = 30,
) -> FranzParisi:
    """Return phi_FP = -qhat (1-q)/2 - p phat + t that + G_S + alpha G_E, its slope and residuals, at any point.

    The slope is d phi_FP/dd = 2 (phat - alpha dG_E/dp), total only at a saddle. At small distances g is far below the
    resolution of q in double precision; pass it, and q is g + t^2/qr + b^2. Raises ValueError outside the domain
    g > 0, q < 1, qhat > that^2/qrhat.
    """
    with mp.workdps(digits + GUARD):
        t, qhat, that, phat, p, qr, qrhat = (mpf(x) for x in (t, qhat, that, phat, p, qr, qrhat))
        alpha, reference_kappa, kappa = mpf(alpha), mpf(reference_kappa), mpf(kappa)
        explained = t * t / qr + (p - t) ** 2 / (1 - qr)
        g = mpf(q) - explained if g is None else mpf(g)
        q = g + explained
        if not (g > 0 and q < 1 and qhat > that * that / qrhat):
            raise ValueError(f"outside the domain: g = {mp.nstr(g, 5)}, q = {mp.nstr(q, 20)}")
        rule = Rule(digits)

        def point() -> FranzParisi:
            weights, qq, tt, pp, _ = franz_parisi_weights(qhat, that, phat, qrhat, p, rule)
            energy, h2, cross, edge = franz_parisi_threshold(t, g, p, qr, reference_kappa, kappa, rule)
            phi = -qhat * (1 - q) / 2 - p * phat + t * that + weights + alpha * energy
            residuals = {"q": qq - q, "t": tt - t, "p": pp, "qhat": alpha * h2 - qhat, "that": alpha * cross - that}
            return FranzParisi(phi, 2 * (phat - alpha * edge), residuals, q, g)

        return rule.converge(point)
