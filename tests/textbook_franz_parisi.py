r"""The Franz-Parisi entropy of the binary perceptron, typed by hand for tests, at any precision.

A reference solution at margin ``reference_kappa`` (saddle ``qr, qrhat``) and a probe at margin ``kappa`` at overlap
``p = 1 - 2 distance`` with it, ``t`` with the other reference replicas and ``q`` among probes. Two-dimensional form
of arXiv 2107.01163: the noises of reference and probe enter through one Gaussian variable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mpmath import mp, mpf
from textbook_integrals import GUARD, Number, Rule, log_2cosh_and_tanh


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

        g, t2, t1, d1, d2 = rule.average(inner, [(-mean / noise, mp.pi / (4 * noise))], scale)
        return [weight * value for value in (g, t2, reference * t1, d1, d2)]

    kinks = [(mp.zero, mp.pi / (4 * mp.sqrt(qrhat)))]
    if load:
        kinks.append(((that - phat) / load, mp.pi / (4 * abs(load))))
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
    spread, width, both = mp.sqrt(g), mp.sqrt(1 - q), mp.sqrt(b * b + g)
    tail = rule.tail

    def outer(x: Any) -> list[Any] | None:
        scale = mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)
        if scale < rule.negligible:
            return None
        c = (reference_kappa - root * x) / rest
        log_norm, mills_c = tail.log_h_and_mills(c)
        m = kappa - t * x / root  # what the probe's noise has to exceed

        def inner(u: Any) -> tuple[Any, ...] | None:
            step = (c * both - b * u) / spread
            exponent = -u * u / 2 - log_norm - tail.half_log_2pi
            if exponent - (step * step / 2 if step > 0 else 0) < rule.log_negligible:
                return None
            weight = mp.exp(exponent + tail.log_h(step))
            log_h, mills = tail.log_h_and_mills((m - both * u) / width)
            return weight * log_h, weight * mills, weight * mills * mills

        kinks = [(m / both, width / both)] + ([(c * both / b, spread / abs(b))] if b else [])
        bulk = b * mills_c / both  # the mean of u
        low, high = bulk - rule.reach, bulk + rule.reach
        # Before the step the weight is exp(-l^2 (u - b c/l)^2 / (2 g) - c^2/2) / H(c) or less: cut where it vanishes.
        edge = spread / both * mp.sqrt(max(-2 * rule.log_negligible - c * c - 2 * log_norm, 0))
        if b > 0 and b * c / both - edge < c * both / b:
            low = max(low, b * c / both - edge)
        if b < 0 and b * c / both + edge > c * both / b:
            high = min(high, b * c / both + edge)
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


def _lost_digits(g: Number) -> int:
    """Return the digits that arguments of relative size sqrt(g) lose."""
    return max(0, int(-mp.log10(mpf(g)) / 2) + 1)


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
    with mp.workdps(digits + GUARD + (_lost_digits(g) if g is not None else 0)):
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


def franz_parisi_saddle(
    start: Mapping[str, Number],
    reference: Mapping[str, Number],
    *,
    alpha: Number,
    reference_kappa: Number,
    kappa: Number,
    distance: Number,
    digits: int = 30,
) -> dict[str, Any]:
    """Return the saddle nearest to ``start``: q, t, p, qhat, that, phat, qr, qrhat, g, phi and slope.

    ``start`` has t, phat and g (or q), ``reference`` has qr and qrhat to the digits wanted. The unknowns are those in
    which small distances do no harm: ln g, rho = (t - p qr)/sqrt(g qr (1-qr)) and phat - atanh p. With conjugates from
    the energetic averages, the weights give g = E (s T - p)^2 - (t - p qr)^2 / (qr (1-qr)), t and p again. Newton's
    method at 11 digits; its last Jacobian then serves for the full precision. Raises ArithmeticError on failure.
    """
    with mp.workdps(digits + GUARD + (_lost_digits(start["g"]) if "g" in start else 0)):
        alpha, reference_kappa, kappa = mpf(alpha), mpf(reference_kappa), mpf(kappa)
        p, qr, qrhat = 1 - 2 * mpf(distance), mpf(reference["qr"]), mpf(reference["qrhat"])
        variance = qr * (1 - qr)

        def overlaps(v: Any) -> tuple[Any, Any]:
            g = mp.exp(v[0])
            return g, v[1] * mp.sqrt(g * variance)

        def excess(v: Any, rule: Rule) -> Any:
            g, tau = overlaps(v)
            _, h2, cross, _ = franz_parisi_threshold(p * qr + tau, g, p, qr, reference_kappa, kappa, rule)
            phat = mp.atanh(p) + v[2]
            _, _, t, first, second = franz_parisi_weights(alpha * h2, alpha * cross, phat, qrhat, p, rule)
            tau = t - p * qr
            g = second - tau * tau / variance
            return mp.matrix([mp.log(g) - v[0], tau / mp.sqrt(g * variance) - v[1], -first / (1 - p * p)])

        t = mpf(start["t"])
        g = mpf(start["g"]) if "g" in start else mpf(start["q"]) - t * t / qr - (p - t) ** 2 / (1 - qr)
        v = mp.matrix([mp.log(g), (t - p * qr) / mp.sqrt(g * variance), mpf(start["phat"]) - mp.atanh(p)])
        v = _newton(excess, v, digits)
        g, tau = overlaps(v)
        t = p * qr + tau
        rule = Rule(digits)
        _, h2, cross, _ = franz_parisi_threshold(t, g, p, qr, reference_kappa, kappa, rule)
        qhat, that, phat = alpha * h2, alpha * cross, mp.atanh(p) + v[2]
        common = {"p": p, "qr": qr, "qrhat": qrhat}
        parameters = {"alpha": alpha, "reference_kappa": reference_kappa, "kappa": kappa}
        point = franz_parisi(0, t, qhat, that, phat, g=g, digits=digits, **common, **parameters)
        orders = {"q": point.q, "t": t, "qhat": qhat, "that": that, "phat": phat, "g": g}
        return orders | common | {"phi": point.phi, "slope": point.slope}


def _newton(excess: Any, v: Any, digits: int) -> Any:
    """Return the zero of ``excess(v, rule)``: Newton's method at 11 digits, then chord steps at all digits."""
    rough, fine = Rule(11), Rule(digits)
    jacobian = None
    for _ in range(30):
        value = excess(v, rough)
        size = mp.norm(value, mp.inf)
        if jacobian is None or size > mpf(10) ** -6:
            jacobian = mp.matrix(3, 3)
            for j in range(3):
                moved = v.copy()
                moved[j] += mpf(10) ** -6
                jacobian[:, j] = (excess(moved, rough) - value) * mpf(10) ** 6
        if size < mpf(10) ** -10:
            break
        step = mp.lu_solve(jacobian, -value)
        v += step / max(1, mp.norm(step, mp.inf))
    for _ in range(12):
        value = fine.converge(lambda: excess(v, fine))  # noqa: B023
        v += mp.lu_solve(jacobian, -value)
        if mp.norm(value, mp.inf) < mpf(10) ** (-digits + 4):
            return v
    raise ArithmeticError("the saddle was not found from this start")
