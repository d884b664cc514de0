r"""Evaluate any expression of a derivation to any number of digits, with mpmath: the oracle of the compiled kernels.

Nothing is shared with the generated kernels but the expression: every average is its own loop over a trapezoid in
:math:`t` after :math:`z = c + 2 w \sinh t`, centred on the narrowest kink of its integrand (the root of a special
function's argument; the width is one over its slope, smeared by the inner variables).  The step is chosen for the digits
asked for, the range likewise; both are settable, so that the error can be read off a refinement.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import mpmath
import sympy as sp

from replica.expr import Average, SiteSum, Step, slope_and_rest
from replica.limits.maximum import AtMaximum, Maximum
from replica.limits.maximum_evaluation import evaluator as maximum_evaluator
from replica.parts.losses import places, written_out
from replica.parts.noisy_losses import as_averages
from replica.parts.pieces import BARE
from replica.passes import crossings, has_edges, linear_arguments
from replica.tilted_nodes import NEAR, is_tilted, mass_of_tail, peaks, pulls

_SHARED = 0.7
"""Kinks, or a kink and a peak, that share nodes leave the integrand a narrower strip: the step is finer by this factor."""

Environment = dict[sp.Symbol, Any]
Evaluator = Callable[[Environment], Any]


@dataclass(frozen=True)
class OracleRule:
    """Working digits, step and range (in standard deviations) of the trapezoid."""

    digits: int
    step: float
    reach: float

    @classmethod
    def for_digits(cls, digits: int) -> OracleRule:
        """A rule whose error is below the last digit: :math:`e^{-4.25/h}` from the step, a Gaussian tail from the reach."""
        decimals = 2.302585 * (digits + 2)
        return cls(digits, 4.25 / decimals, float(mpmath.sqrt(2 * decimals)) + 4.0)


def evaluate(
    expr: sp.Expr,
    values: Mapping[str, Any],
    definitions: Mapping[sp.Symbol, sp.Expr] | None = None,
    digits: int = 30,
    rule: OracleRule | None = None,
) -> Any:
    """Return the number (an mpf) of an expression.

    Parameters
    ----------
    expr : sympy expression
        With averages and site sums.
    values : mapping of str to number
        Every free symbol by name; strings and mpf keep all their digits.
    definitions : mapping, optional
        Named subexpressions in order.
    digits : int
        Decimal digits of the result; the arithmetic keeps ten more.
    rule : OracleRule, optional
        Overrides the quadrature.
    """
    rule = rule or OracleRule.for_digits(digits)
    with mpmath.workdps(rule.digits + 10):
        environment: Environment = {sp.Symbol(name): mpmath.mpf(value) for name, value in values.items()}
        for symbol, definition in (definitions or {}).items():
            if definition.free_symbols <= environment.keys() and symbol not in environment:
                environment[symbol] = _compile(definition, rule)(environment)
        expr = as_averages(sp.sympify(expr))
        missing = expr.free_symbols - environment.keys()
        if missing:
            raise KeyError(f"no value for {', '.join(sorted(s.name for s in missing))}")
        return _compile(expr, rule)(environment)


def _h(x: Any) -> Any:
    return mpmath.erfc(x / mpmath.sqrt(2)) / 2


def _mills(x: Any) -> Any:
    return mpmath.exp(-x * x / 2) / mpmath.sqrt(2 * mpmath.pi) / _h(x)


def _mills_excess(x: Any) -> Any:
    with mpmath.extradps(int(2 * mpmath.log10(2 + abs(x)))):
        return _mills(x) - x


def _log_h(x: Any) -> Any:
    return mpmath.log(_h(x)) if x > -2 else mpmath.log1p(-_h(-x))


def _log_2cosh(x: Any) -> Any:
    return abs(x) + mpmath.log1p(mpmath.exp(-2 * abs(x)))


def _pieces(*arguments: Any) -> Any:
    """``S`` of a piecewise constant factor, as a sum of positive terms."""
    return mpmath.fsum(_piece(j, *arguments) for j in range(len(arguments) // 2 + 1))


def _piece(j: int, *arguments: Any) -> Any:
    """The weight of one piece, with digits to spare for a difference of two tails."""
    k = len(arguments) // 2
    x = [-mpmath.inf, *arguments[:k], mpmath.inf]
    low, high, weight = x[j], x[j + 1], mpmath.exp(arguments[k + j])
    if weight == 0:
        return mpmath.mpf(0)
    if low + high < 0:
        low, high = -high, -low
    with mpmath.extradps(20):
        return weight * (_h(low) - (_h(high) if high < mpmath.inf else 0))


def _edge(*arguments: Any) -> Any:
    *parameters, j = arguments
    k, j = len(parameters) // 2, int(j)
    x, jump = parameters[j - 1], mpmath.exp(parameters[k + j]) - mpmath.exp(parameters[k + j - 1])
    return jump * mpmath.exp(-x * x / 2) / mpmath.sqrt(2 * mpmath.pi) / _pieces(*parameters)


def _edge_excess(*arguments: Any) -> Any:
    x = arguments[int(arguments[-1]) - 1]
    with mpmath.extradps(int(2 * mpmath.log10(2 + abs(x)))):
        return _edge(*arguments) - x


def _moment(f: Any, g: Any, levels: Any, k: Any = 0) -> Any:
    terms = [p * mpmath.exp(v * f + g * v * v / 2) for v, p in levels]
    return mpmath.fsum(v ** int(k) * t for (v, _), t in zip(levels, terms, strict=True)) / mpmath.fsum(terms)


def _trace(f: Any, g: Any, levels: Any) -> Any:
    return mpmath.fsum(p * mpmath.exp(v * f + g * v * v / 2) for v, p in levels)


FUNCTIONS = {
    "Softplus": lambda x: max(x, 0) + mpmath.log1p(mpmath.exp(-abs(x))),
    "Pieces": _pieces,
    "LogPieces": lambda *arguments: mpmath.log(_pieces(*arguments)),
    "Edge": _edge,
    "EdgeExcess": _edge_excess,
    "Share": lambda *arguments: _piece(int(arguments[-1]), *arguments[:-1]) / _pieces(*arguments[:-1]),
    "Trace": _trace,
    "LogTrace": lambda f, g, levels: mpmath.log(_trace(f, g, levels)),
    "Moment": _moment,
    "H": _h,
    "Mills": _mills,
    "MillsExcess": _mills_excess,
    "LogH": _log_h,
    "TwoCosh": lambda x: 2 * mpmath.cosh(x),
    "Log2Cosh": _log_2cosh,
}


def _compile(expr: sp.Expr, rule: OracleRule) -> Evaluator:
    """A function of the environment: averages and sums become evaluators of their own, the rest plain arithmetic."""
    nodes = _outermost(expr)
    names = {node: sp.Dummy() for node in nodes}
    plain = written_out(expr.xreplace(names))
    symbols = sorted(plain.free_symbols - set(names.values()), key=lambda s: s.name)
    function = sp.lambdify([*symbols, *names.values()], plain, modules=[FUNCTIONS, "mpmath"], cse=True)
    inner = [_bound(node, rule) for node in nodes]

    def run(environment: Environment) -> Any:
        return function(*(environment[s] for s in symbols), *(f(environment) for f in inner))

    return run


def _bound(node: sp.Expr, rule: OracleRule) -> Evaluator:
    """The evaluator of a node with a variable of its own."""
    if isinstance(node, (AtMaximum, Maximum)):
        return maximum_evaluator(node, lambda inner: _compile(inner, rule))
    return _average(node, rule) if isinstance(node, Average) else _site_sum(node, rule)


def _outermost(expr: sp.Expr) -> list[sp.Expr]:
    if isinstance(expr, (Average, AtMaximum, Maximum, SiteSum)):
        return [expr]
    found: dict[sp.Expr, None] = {}
    for arg in expr.args:
        found.update(dict.fromkeys(_outermost(arg)))
    return list(found)


def _site_sum(node: SiteSum, rule: OracleRule) -> Evaluator:
    body = _compile(node.body, rule)

    def run(environment: Environment) -> Any:
        return mpmath.fsum(body({**environment, node.variable: mpmath.mpf(v.p) / v.q}) for v in node.values)

    return run


def _average(node: Average, rule: OracleRule) -> Evaluator:
    steps, smooth = _steps(node)
    if smooth.has(*BARE):
        raise ValueError(f"{smooth} is not evaluated; average its steps first")
    body, variance = _compile(smooth, rule), _compile(node.variance, rule)
    written = smooth.replace(lambda e: isinstance(e, SiteSum), lambda e: e.expanded())
    linear = linear_arguments(written, node.variable)
    kinks = [
        # an inner average of a power may have zeros as close to the real axis as the power is large
        [_compile(part, rule) for part in (sp.Max(1, power) * slope, sp.Max(1, power) * rest, sp.Add(*spread))]
        for slope, rest, spread, _, power in linear
    ]
    beside = [
        ([_compile(part, rule) for part in (slope, rest, sp.Add(*spread), loss)], side)
        for slope, rest, spread, side, loss, _ in crossings(written, node.variable)
    ]
    features = [
        (_compile(rest, rule), _compile(sp.Add(*spread), rule), width)
        for rest, spread, width in places(written, node.variable)
    ]
    borders = [[_compile(part, rule) for part in slope_and_rest(step.args[0], node.variable)] for step in steps]
    z, several, tilted = node.variable, has_edges(written, node.variable), is_tilted(smooth, node.variable)
    tails = [kink for kink, (*_, tail, _) in zip(kinks, linear, strict=True) if tail and not smooth.has(Average)]
    pulled = [_compile(pull, rule) for pull in pulls(smooth, z)] if tilted else []

    def run(environment: Environment) -> Any:
        v = variance(environment)
        if v == 0:
            return _compile(node.body.subs(z, 0), rule)(environment)
        if v < 0:
            raise ValueError(f"the variance {node.variance} of {z} is negative: the overlap matrix is not positive")
        found = [tuple(f(environment) for f in kink) for kink in kinks]
        window = _window(mpmath.sqrt(v), found, rule.reach)
        step = rule.step * (_SHARED if several else 1)
        if borders:
            nodes = _half_line(window, [tuple(f(environment) for f in border) for border in borders], step)
        else:
            sd = mpmath.sqrt(v)
            for rest, spread, sharpest in features:
                width = max(mpmath.sqrt(spread(environment)), sharpest * sd * mpmath.mpf(10) ** -mpmath.mp.dps)
                found.append((1 / width, rest(environment) / width, 0))
            found += [_crossing([f(environment) for f in parts], side) for parts, side in beside]
            centres = _narrow(window, mpmath.sqrt(v), found) if several else []
            far = tilted and _is_far(sd, found, [f(environment) for f in pulled])
            masses = [mass_of_tail(sd, tuple(f(environment) for f in tail)) for tail in tails]
            far = far or any(_is_missed(mass, sd, window) for mass in masses)
            if far:
                window, centres = _around_peaks(lambda at: body({**environment, z: at}), v, found, rule)
                centres = centres if tilted else _spanning(centres)
                window, step = (*centres[0], *window[2:]), rule.step * (_SHARED if tilted or len(centres) > 1 else 1)
            elif len(centres) == 2:  # a loss or the side of an edge has the one narrow kink, which the window does not know
                window = (*centres[1], *window[2:])
            # one narrow kink has the nodes around it, and those around the bulk are dense enough for wide ones
            many = (far and (tilted or len(centres) > 1)) or len(centres) > 2
            nodes = _many_centres(window, centres, step) if many else _whole_line(window, step)
        total, local = mpmath.mpf(0), dict(environment)
        for local[z], weight in nodes:
            total += weight * mpmath.exp(-(local[z] ** 2) / (2 * v)) * body(local)
        return total * step / mpmath.sqrt(2 * mpmath.pi * v)

    return run


def _steps(node: Average) -> tuple[list[Step], sp.Expr]:
    """The step factors that cut the variable of an average, and the rest of its body."""
    steps = [f for f in sp.Mul.make_args(node.body) if isinstance(f, Step) and f.has(node.variable)]
    return steps, node.body / sp.Mul(*steps)


def _whole_line(window: tuple[Any, Any, Any, Any], step: float) -> Iterator[tuple[Any, Any]]:
    r"""Nodes and weights of :math:`z = c + 2 w \sinh t`, ``w`` the narrowest width."""
    centre, width, low, high = window
    first = int(mpmath.ceil(mpmath.asinh((low - centre) / (2 * width)) / step))
    last = int(mpmath.floor(mpmath.asinh((high - centre) / (2 * width)) / step))
    for j in range(first, last + 1):
        t = mpmath.mpf(j) * step
        yield centre + 2 * width * mpmath.sinh(t), 2 * width * mpmath.cosh(t)


def _crossing(parts: list[Any], side: Any) -> tuple[Any, Any, Any]:
    """A kink beside an edge, where the tail has fallen to ``exp(-loss)``, as slope, rest and spread of an argument."""
    slope, rest, spread, loss = parts
    x = mpmath.sqrt(2 * max(loss - mpmath.log(1 + mpmath.sqrt(4 * mpmath.pi * loss)), 0))
    return slope * (1 + x), (rest - side * x) * (1 + x), spread


def _narrow(window: tuple[Any, Any, Any, Any], sd: Any, kinks: list[tuple[Any, ...]]) -> list[tuple[Any, Any]]:
    """Centres and widths: the bulk, and every kink inside the range that is narrower than it."""
    centres = [(mpmath.mpf(0), sd)]
    for slope, rest, spread in kinks:
        if slope != 0:
            root, width = -rest / slope, mpmath.sqrt(1 + spread) / abs(slope)
            if window[2] < root < window[3] and width < sd / 2:
                centres.append((root, width))
    return centres


def _is_far(sd: Any, kinks: list[tuple[Any, ...]], pulled: list[Any]) -> bool:
    """Whether a power may move the mass farther than a range has to spare."""
    roots = [abs(rest / slope) for slope, rest, *_ in kinks if slope != 0]
    return max(roots, default=0) > NEAR * sd or max(map(abs, pulled), default=0) * sd > NEAR


def _is_missed(mass: tuple[Any, Any], sd: Any, window: tuple[Any, Any, Any, Any]) -> bool:
    """Whether a tail moves the mass of an average far out, or to where the nodes of a window are too coarse."""
    return abs(mass[0]) > NEAR * sd or len(_spanning([window[:2], mass])) > 1


def _around_peaks(
    body: Callable[[Any], Any], variance: Any, kinks: list[tuple[Any, ...]], rule: OracleRule
) -> tuple[tuple[Any, Any, Any, Any], list[tuple[Any, Any]]]:
    """The window of an average whose mass is moved, and its centres: the peaks, and kinks that the mass reaches."""
    sd = mpmath.sqrt(variance)
    found = peaks(body, variance, rule.reach, mpmath.log(10) * (rule.digits + 4))
    low, high = (sign * (rule.reach * sd + max(sign * c for c, _ in found)) for sign in (-1, 1))
    beside = [
        (root, width)
        for root, width in _narrow((0, sd, low, high), sd, kinks)[1:]
        if any(abs(root - c) < rule.reach * w for c, w in found)
    ]
    return (*found[0], low, high), [*found, *beside]


def _spanning(features: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """The narrowest features, and those that nodes around these leave too coarse: more than two widths away."""
    centres: list[tuple[Any, Any]] = []
    for x, width in sorted(features, key=lambda feature: feature[1]):
        if all(mpmath.hypot(x - c, 2 * w) > 2 * width for c, w in centres):
            centres.append((x, width))
    return centres


def _many_centres(
    window: tuple[Any, Any, Any, Any], centres: list[tuple[Any, Any]], step: float
) -> Iterator[tuple[Any, Any]]:
    r"""Nodes and weights of :math:`\sum_k \mathrm{asinh}\,[(z - c_k) / 2 w_k] = t`: as dense as all centres together ask."""
    low, high = window[2], window[3]
    rough = [(float(c), float(2 * w)) for c, w in centres]
    z, goal = low, mpmath.fsum(mpmath.asinh((low - c) / (2 * w)) for c, w in centres)
    while z < high:
        density = mpmath.fsum(1 / mpmath.hypot(z - c, 2 * w) for c, w in centres)
        yield z, 1 / density
        goal += step
        z = mpmath.mpf(_at_density(rough, float(z + step / density), float(goal)))
        for _ in range(40):
            miss = mpmath.fsum(mpmath.asinh((z - c) / (2 * w)) for c, w in centres) - goal
            move = miss / mpmath.fsum(1 / mpmath.hypot(z - c, 2 * w) for c, w in centres)
            z -= move
            if abs(move) < mpmath.mpf(10) ** (-mpmath.mp.dps // 2) * (high - low):
                break


def _at_density(centres: list[tuple[float, float]], z: float, goal: float) -> float:
    """A node to the digits of a float, from which Newton's method needs two steps of many digits."""
    for _ in range(8):
        miss = math.fsum(math.asinh((z - c) / w) for c, w in centres) - goal
        z -= miss / math.fsum(1 / math.hypot(z - c, w) for c, w in centres)
    return z


def _half_line(
    window: tuple[Any, Any, Any, Any], borders: list[tuple[Any, Any]], step: float
) -> Iterator[tuple[Any, Any]]:
    r"""Nodes and weights of :math:`z = a \pm w\, e^{t - e^{-t}}` on the side of the border where all steps are 1."""
    _, width, low, high = window
    above = [-rest / slope for slope, rest in borders if slope > 0]
    below = [-rest / slope for slope, rest in borders if slope < 0]
    if above and below:
        raise ValueError("two steps that leave an interval are not evaluated; average one of them first")
    border, sign, end = (max(above), 1, high) if above else (min(below), -1, low)
    length = sign * (end - border)
    if length <= 0:
        return
    j = int(-mpmath.log(mpmath.mp.dps * mpmath.log(10)) / step) - 1
    while (t := mpmath.mpf(j) * step) - mpmath.exp(-t) < mpmath.log(length / width):
        distance = width * mpmath.exp(t - mpmath.exp(-t))
        yield border + sign * distance, distance * (1 + mpmath.exp(-t))
        j += 1


def _window(sd: Any, kinks: list[tuple[Any, ...]], reach: float) -> tuple[Any, Any, Any, Any]:
    """Centre, width and range: the narrowest kink inside the range; tilts may move the mass out to a kink."""
    low, high = -reach * sd, reach * sd
    centre, width = mpmath.mpf(0), sd
    for slope, rest, spread in kinks:
        if slope == 0:
            continue
        root, w = -rest / slope, mpmath.sqrt(1 + spread) / abs(slope)
        if abs(root) < 30 * sd:
            low, high = min(low, root - reach * sd), max(high, root + reach * sd)
            if w < width:
                centre, width = root, w
    return centre, width, low, high


