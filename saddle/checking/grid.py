r"""Expressions with averages on a product grid in double precision: an evaluation of its own, fast at generic points.

Every average is a uniform trapezoid in standard deviations, or on a half line in :math:`t` after :math:`e^{t - e^{-t}}`.
The integrands are analytic in a strip of two or more standard deviations around the real axis unless a point is close to
the border of its domain, so that a step of 0.35 leaves 1e-10 where one average has most of the variance and 1e-13 where
several share it.  Neither nodes nor special functions are those of the kernels or of the oracle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from saddle.checking.noisy_grid import named, panels, written

if TYPE_CHECKING:
    import sympy as sp

_LARGEST = 2_000_000
"""Elements of an array beyond which the outermost average runs node by node."""
_TINIEST = 1e-100
"""A tail is no smaller: beyond 21 deviations it has no weight, but its negative powers would overflow."""

Environment = dict[Any, Any]
Evaluator = Callable[[Environment], Any]


@dataclass(frozen=True)
class Trapezoid:
    """Step and reach of every average, in standard deviations."""

    step: float
    reach: float

    @property
    def nodes(self) -> np.ndarray:
        """Where the integrand is evaluated, in standard deviations."""
        last = math.floor(self.reach / self.step)
        return self.step * np.arange(-last, last + 1)

    @property
    def weights(self) -> np.ndarray:
        """The Gaussian measure of the nodes."""
        return self.step * np.exp(-0.5 * self.nodes**2) / math.sqrt(2.0 * math.pi)


_BY_NESTING = {0: Trapezoid(0.35, 10.5), 1: Trapezoid(0.1, 12.0), 2: Trapezoid(0.2, 11.0), 3: Trapezoid(0.35, 10.5)}
_COARSE = Trapezoid(0.5, 9.0)
_HALF_STEP = 0.1


def on_grid(expr: sp.Expr, values: Mapping[str, float], definitions: Mapping[sp.Symbol, sp.Expr]) -> float:
    """Return the number of an expression; ``values`` has every free symbol by name."""
    import sympy as sp

    rule = _BY_NESTING.get(nesting(sp.sympify(expr)), _COARSE)
    environment: Environment = {sp.Symbol(name): value for name, value in values.items()}
    for symbol, definition in definitions.items():
        if definition.free_symbols <= environment.keys() and symbol not in environment:
            environment[symbol] = _compile(definition, 0, rule)(environment)
    return float(_compile(sp.sympify(expr), 0, rule)(environment))


def nesting(expr: Any) -> int:
    """How many averages are nested in an expression."""
    from replica.expr import Average

    return max((nesting(arg) for arg in expr.args), default=0) + isinstance(expr, Average)


def _compile(expr: sp.Expr, depth: int, rule: Trapezoid) -> Evaluator:
    """A function of the environment, whose arrays have one axis per enclosing average."""
    import sympy as sp

    from replica.expr import SiteSum
    from replica.parts.losses import written_out
    from replica.parts.noisy_losses import as_averages

    expr = expr.replace(lambda e: isinstance(e, SiteSum), lambda e: e.expanded())
    nodes = _outermost(expr)
    names = {node: sp.Dummy() for node in nodes}
    plain, losses = named(expr.xreplace(names))
    plain = written_out(as_averages(plain))
    symbols = sorted(plain.free_symbols - set(names.values()), key=lambda s: s.name)
    function = sp.lambdify([*symbols, *names.values()], plain, modules=[{**_functions(), **losses}, "numpy"], cse=True)
    inner = [_average(node, depth, rule) for node in nodes]

    def run(environment: Environment) -> Any:
        return function(*(environment[s] for s in symbols), *(f(environment) for f in inner))

    return run


def _average(node: Any, depth: int, rule: Trapezoid) -> Evaluator:
    import sympy as sp

    from replica.expr import Step
    from replica.parts.noisy_losses import COSTS

    costs = [cost for cost in node.body.atoms(*COSTS) if cost.has(node.variable)]
    if costs:
        return _between_kinks(node, costs, depth, rule)
    steps = [f for f in sp.Mul.make_args(node.body) if isinstance(f, Step) and f.has(node.variable)]
    if steps:
        return _half_line(node, steps, depth, rule)
    body, variance = _compile(node.body, depth + 1, rule), _compile(node.variance, depth, rule)
    z, nodes, weights = node.variable, rule.nodes, rule.weights
    whole = depth > 0 or len(nodes) ** nesting(node) <= _LARGEST

    def run(environment: Environment) -> Any:
        deviation = np.sqrt(np.asarray(variance(environment), dtype=float))[..., None]
        inside = {s: np.asarray(x)[..., None] for s, x in environment.items()}
        if whole:
            return np.sum(body({**inside, z: deviation * nodes}) * weights, axis=-1)
        pieces = (np.sum(body({**inside, z: deviation * t}) * w) for t, w in zip(nodes, weights, strict=True))
        return sum(pieces)

    return run


def _half_line(node: Any, steps: list[Any], depth: int, rule: Trapezoid) -> Evaluator:
    """An average that one step cuts off: nodes on its side of the border, which may depend on outer variables."""
    from replica.expr import slope_and_rest

    (step,) = steps
    z = node.variable
    slope, rest = (_compile(part, depth, rule) for part in slope_and_rest(step.args[0], z))
    body, variance = _compile(node.body / step, depth + 1, rule), _compile(node.variance, depth, rule)
    t = np.arange(-3.7, math.log(2.0 * rule.reach), _HALF_STEP)
    distances, stretch = np.exp(t - np.exp(-t)), 1.0 + np.exp(-t)

    def run(environment: Environment) -> Any:
        v = np.asarray(variance(environment), dtype=float)[..., None]
        b, a = (np.asarray(f(environment), dtype=float)[..., None] for f in (slope, rest))
        distance = np.sqrt(v) * distances
        points = -a / b + np.sign(b) * distance
        weights = _HALF_STEP * distance * stretch * np.exp(-(points**2) / (2.0 * v)) / np.sqrt(2.0 * math.pi * v)
        inside = {s: np.asarray(x)[..., None] for s, x in environment.items()}
        return np.sum(body({**inside, z: points}) * weights, axis=-1)

    return run


def _between_kinks(node: Any, costs: list[Any], depth: int, rule: Trapezoid) -> Evaluator:
    """An average over the noise of a loss that has not been averaged before: nodes between the kinks."""
    from replica.expr import slope_and_rest

    (cost,) = costs
    z, kinks = node.variable, written(cost.args[2])[1]
    _, offset = slope_and_rest(cost.args[0], z)
    rest, variance = _compile(offset, depth, rule), _compile(node.variance, depth, rule)
    body = _compile(node.body, depth + 1, rule)

    def run(environment: Environment) -> Any:
        deviation = float(np.ravel(variance(environment))[0]) ** 0.5
        inside = {s: np.asarray(x)[..., None] for s, x in environment.items()}
        total: Any = 0.0
        for points, weights in panels(np.asarray(rest(environment), dtype=float), deviation, kinks):
            density = weights * np.exp(-0.5 * points**2) / math.sqrt(2.0 * math.pi)
            total = total + np.sum(body({**inside, z: deviation * points}) * density, axis=-1)
        return total

    return run


def _outermost(expr: Any) -> list[Any]:
    from replica.expr import Average

    if isinstance(expr, Average):
        return [expr]
    found: dict[Any, None] = {}
    for arg in expr.args:
        found.update(dict.fromkeys(_outermost(arg)))
    return list(found)


def _functions() -> dict[str, Callable[..., Any]]:
    from scipy.special import erfcx, log_ndtr, ndtr

    def mills(x: Any) -> Any:
        return math.sqrt(2.0 / math.pi) / erfcx(np.maximum(x, -37.0) / math.sqrt(2.0))

    def log_trace(f: Any, g: Any, levels: Any) -> Any:
        return np.log(_sum(f, g, levels, 0))

    return {
        "H": lambda x: np.maximum(ndtr(-x), _TINIEST),
        "LogH": lambda x: log_ndtr(-x),
        "Mills": mills,
        "MillsExcess": lambda x: mills(x) - x,
        "TwoCosh": lambda x: 2.0 * np.cosh(x),
        "Log2Cosh": lambda x: np.logaddexp(x, -x),
        "Trace": lambda f, g, levels: np.exp(log_trace(f, g, levels)),
        "LogTrace": log_trace,
        "Moment": lambda f, g, levels, k: _sum(f, g, levels, int(k)) / _sum(f, g, levels, 0),
        "Softplus": lambda x: np.logaddexp(0.0, x),
        **_piecewise(),
    }


def _sum(f: Any, g: Any, levels: Any, power: int) -> Any:
    """The sum over the levels of a weight of a power of it."""
    return sum(float(p) * float(v) ** power * np.exp(float(v) * f + float(v) ** 2 * g / 2.0) for v, p in levels)


def _piecewise() -> dict[str, Callable[..., Any]]:
    """The family of :mod:`replica.parts.pieces`, from differences of tails; far tails are not needed at generic points."""
    from scipy.special import ndtr

    def piece(j: int, *arguments: Any) -> Any:
        k = len(arguments) // 2
        low = arguments[j - 1] if j > 0 else -np.inf
        high = arguments[j] if j < k else np.inf
        weight = np.exp(arguments[k + j])
        return weight * np.where(low + high > 0, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low)) if weight else 0.0

    def whole(*arguments: Any) -> Any:
        return np.maximum(sum(piece(j, *arguments) for j in range(len(arguments) // 2 + 1)), _TINIEST)

    def edge(*arguments: Any) -> Any:
        *parameters, j = arguments
        k, x = len(parameters) // 2, parameters[int(j) - 1]
        jump = np.exp(parameters[k + int(j)]) - np.exp(parameters[k + int(j) - 1])
        return jump * np.exp(-0.5 * np.square(x)) / math.sqrt(2.0 * math.pi) / whole(*parameters)

    return {
        "Pieces": whole,
        "LogPieces": lambda *arguments: np.log(whole(*arguments)),
        "Edge": edge,
        "EdgeExcess": lambda *arguments: edge(*arguments) - arguments[int(arguments[-1]) - 1],
        "Share": lambda *arguments: piece(int(arguments[-1]), *arguments[:-1]) / whole(*arguments[:-1]),
    }
