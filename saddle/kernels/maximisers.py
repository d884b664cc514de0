r"""The source of functions that find the maximum of ``f(z) - z**2/(2 v)``, for kernels with a maximum in an integrand.

The objective is scanned between the ends of an interval that is doubled until it falls there; every local maximum of the
scan is refined by Newton's method on :math:`z = v f'(z)`, kept inside its bracket, and the largest is taken, over all
values of a discrete weight too.  The scan is what makes the maximum global: functions that enter have one well for every
level of a weight at most, and more points the more levels there are.  For negative ``v`` the objective changes its sign,
which continues the maximum analytically; over the values of a discrete weight it is the maximum all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import sympy as sp

from replica.expr import Average
from replica.limits.maximum import AtMaximum, Maximum
from replica.parts.levels import LevelFunction
from saddle.kernels.loss_source import inherited, table_arguments
from saddle.kernels.tilts import outermost
from saddle.kernels.window import NO_VARIANCE

if TYPE_CHECKING:
    from saddle.kernels.codegen import KernelWriter
    from saddle.kernels.scopes import Loop

_TEMPLATE = '''

@_compiled
def {name}({parameters}, v):
    sign = math.copysign(1.0, v)
    spread = abs(v)
    best, best_z, best_s = -math.inf, math.nan, {first}
    if not spread < math.inf:
        return best_z, best_s
    for s in {values}:
        if spread < 1e-290:
            value = {name}_value({parameters}, 0.0, s)
            if value > best:
                best, best_z, best_s = value, 0.0, s
            continue
        top, top_z = -math.inf, math.nan
        reach = math.sqrt(spread)
        middle = sign * {name}_value({parameters}, 0.0, s)
        for _ in range(200):
            above = sign * {name}_value({parameters}, reach, s) - reach * reach / (2.0 * spread)
            below = sign * {name}_value({parameters}, -reach, s) - reach * reach / (2.0 * spread)
            if not (above >= middle - 0.5 or below >= middle - 0.5):
                break
            reach *= 2.0
        step = reach / {half}
        before, here = -math.inf, -math.inf
        for i in range(-{half} - 1, {half} + 3):
            z = i * step
            after = sign * {name}_value({parameters}, z, s) - z * z / (2.0 * spread)
            if here >= before and here > after:
                low, high, z = (i - 2) * step, i * step, (i - 1) * step
                for _ in range(100):
                    slope, curvature = {name}_slopes({parameters}, z, s)
                    miss, rate = z - v * slope, 1.0 - v * curvature
                    if miss > 0.0:
                        high = z
                    else:
                        low = z
                    last = z
                    z = z - miss / rate if rate != 0.0 else math.inf
                    if low <= z <= high and abs(z - last) <= 1e-10 * (abs(z) + 1e-6 * reach):
                        break
                    if not low < z < high:
                        z = 0.5 * (low + high)
                    if not high - low > 1e-16 * reach:
                        break
                value = sign * {name}_value({parameters}, z, s) - z * z / (2.0 * spread)
                if value > top - {tie} * (1.0 + abs(value)):
                    top, top_z = value, z
            before, here = here, after
        if sign * top > best and top > -math.inf:
            best, best_z, best_s = sign * top, top_z, s
    return best_z, best_s
'''
_TIE = 1e-14
"""Relative height up to which two wells count as equally high: then the upper one is taken, which wins as a field grows."""
_SCAN = 12
"""Points of the scan on each side of the origin, for two wells."""


def maximiser_source(
    name: str,
    parameters: list[sp.Symbol],
    values: tuple[float, ...],
    evaluator: Callable[[str, list[sp.Symbol], list[sp.Expr]], str],
    functions: tuple[sp.Expr, sp.Expr, sp.Expr],
    variables: tuple[sp.Symbol, sp.Symbol],
) -> str:
    """Return the source of ``name(*parameters, v) -> (z, s)`` and of the functions that it calls.

    Parameters
    ----------
    name : str
    parameters : list of sympy symbols
        What the objective depends on besides its variables.
    values : tuple of float
        Values of the discrete weight, one of no consequence if there is none.
    evaluator : callable
        ``evaluator(name, arguments, expressions)``: the source of a function that returns these expressions.
    functions : tuple of sympy expressions
        The function without its quadratic cost, its first and its second derivative in the variable.
    variables : tuple of sympy symbols
        The variable, and the discrete weight.
    """
    arguments = [*parameters, *variables]
    source = evaluator(f"{name}_value", arguments, [functions[0]])
    source += evaluator(f"{name}_slopes", arguments, list(functions[1:]))
    return source + _TEMPLATE.format(
        name=name,
        parameters=", ".join(f"_{p.name}" for p in parameters),
        values="(" + ", ".join(f"{float(v)!r}" for v in values) + ",)",
        first=f"{float(values[0])!r}",
        tie=_TIE,
        half=_SCAN * max([1, *(len(f.args[2]) - 1 for f in functions[0].atoms(LevelFunction))]),
    )


def at_maxima(writer: KernelWriter, exprs: Sequence[sp.Expr]) -> list[sp.Expr]:
    """The expressions with maxima found by a call each, and what is taken at a maximiser written out there."""
    found: dict[sp.Expr, sp.Expr] = {}
    for expr in exprs:
        for node in outermost(expr, (Average, AtMaximum, Maximum)):
            if isinstance(node, Maximum):
                (found[node],) = at_maxima(writer, [node.at_maximiser()])
            elif isinstance(node, AtMaximum):
                found[node] = _at_maximum(writer, node)
    return [expr.xreplace(found) for expr in exprs]


def _at_maximum(writer: KernelWriter, node: AtMaximum) -> sp.Expr:
    from saddle.kernels.python_text import text

    key = sp.Tuple(*node.problem)
    known = next((scope.known[key] for scope in writer.scopes if key in scope.known), None)
    if known is None:
        free = sorted(node.body.free_symbols - node.bound, key=lambda s: s.name)
        name = maximiser(writer, node, free)
        scope = writer.scope_of(sp.Tuple(*free, node.variance))
        known = sp.Tuple(writer.fresh("max"), writer.fresh("site"))
        arguments = ", ".join([*map(text, free), *table_arguments(writer, node.body), text(node.variance)])
        scope.add(f"{text(known[0])}, {text(known[1])} = {name}({arguments})")
        scope.known[key] = known
        scope.symbols |= set(known)
    site = {node.site[0]: known[1]} if node.site else {}
    return node.value.xreplace({node.variable: known[0], **site})


def maximiser(writer: KernelWriter, node: AtMaximum, free: list[sp.Symbol]) -> str:
    """The name of the function that finds a maximiser, written the first time."""
    from saddle.kernels.codegen import KernelWriter as Writer

    key = node.problem
    if key not in writer.maximisers:
        writer.maximisers[key] = f"{writer.name}_maximiser_{len(writer.maximisers) + 1}"
        z = node.variable
        site, values = node.site if node.site else (writer.fresh("site"), (0,))
        slope = sp.diff(node.body, z)
        writer.helpers.append(
            maximiser_source(
                writer.maximisers[key],
                [*free, *inherited(node.body)],
                tuple(map(float, values)),
                lambda name, arguments, exprs: Writer(name, [a.name for a in arguments], {}, exprs).function(),
                (node.body, slope, sp.diff(slope, z)),
                (z, site),
            )
        )
    return writer.maximisers[key]


def emit_half_window(writer: KernelWriter, loop: Loop, tag: str) -> None:
    r"""The range of a loop over positive values, :math:`z = \sigma\, e^{t - e^{-t}}`, as statements before it."""
    from saddle.kernels.python_text import text

    scope = writer.scopes[-1]
    variance = text(writer.define(loop.variance, "v"))
    for line in (
        f"half_{tag} = 0.0",
        f"sd_{tag} = 0.0",
        f"norm_{tag} = math.nan",
        f"first_{tag} = origin",
        f"last_{tag} = origin",
        f"stride_{tag} = 4",
        f"if {variance} > {NO_VARIANCE}:",
        f"    half_{tag} = 0.5 / {variance}",
        f"    sd_{tag} = math.sqrt({variance})",
        f"    mesh_{tag} = stride_{tag} * quarter_step",
        f"    first_{tag} = origin - stride_{tag} * math.ceil(math.log(4.0 * reach) / mesh_{tag})",
        f"    last_{tag} = origin + stride_{tag} * math.ceil((math.log(reach) + 0.1) / mesh_{tag})",
        f"    norm_{tag} = mesh_{tag} / (2.5066282746310002 * sd_{tag})",
    ):
        scope.add(line)
