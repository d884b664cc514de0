r"""The source of functions that find the maximum of ``f(z) - z**2/(2 v)``, for kernels with a maximum in an integrand.

The objective is scanned between the ends of an interval that is doubled until it falls there; every local maximum of the
scan is refined by Newton's method on :math:`z = v f'(z)`, kept inside its bracket, and the largest is taken, over all
values of a discrete weight too.  The scan is what makes the maximum global: functions that enter have one well on each
side of the origin at most.  For negative ``v`` the objective changes its sign, which continues the maximum analytically.
"""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp

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
            value = sign * {name}_value({parameters}, 0.0, s)
            if value > best:
                best, best_z, best_s = value, 0.0, s
            continue
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
                if value > best:
                    best, best_z, best_s = value, z, s
            before, here = here, after
    return best_z, best_s
'''
_SCAN = 12
"""Points of the scan on each side of the origin."""


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
        half=_SCAN,
    )
