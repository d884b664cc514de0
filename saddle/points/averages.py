r"""Any average at a saddle: an expression in the local quantities of the replicas, with its error.

The average is derived (:mod:`replica.averages`) and integrated by the nodes of the kernels, as plain Python: there is
nothing to wait for.  Since it is not stationary in the order parameters, the saddle is moved to that of a refined rule by
one more step of Newton's method; value and error are those of the refined rule there, and the difference to the plain one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from replica.averages import PATTERNS, local_average
from replica.derivation import derive
from replica.errors import InputError
from replica.expr import SINGULAR, Step
from replica.expr import Average as AverageNode
from saddle.kernels.kernel_source import observable_source
from saddle.kernels.quadrature import Rule
from saddle.points.newton import followed
from saddle.points.setting import Setting
from saddle.points.solving import DEFAULT_TOLERANCE, problem_of, reference_point

if TYPE_CHECKING:
    from saddle.points.problem import Problem, State
    from saddle.points.results import Result

_ROUNDING = 64 * float(np.finfo(float).eps)
_UNDEFINED = (ZeroDivisionError, ValueError, OverflowError)


@dataclass(frozen=True)
class Average:
    """The average of an expression at a saddle.

    Attributes
    ----------
    expression : str
        What was averaged.
    value, error : float
        The average and its absolute error: that of the quadrature, here and in the equations of the saddle, and rounding.
    quadrature_error : float
        Difference to the plain rule at the saddle of the plain rule.
    """

    expression: str
    value: float
    error: float
    quadrature_error: float

    def __float__(self) -> float:
        return self.value


def average(result: Result, expression: Any) -> Average:
    """Return the average of an expression in local quantities at a result; see :meth:`saddle.SaddlePoint.average`."""
    if not result.converged:
        raise InputError(f"There is no saddle to average at: {result.message}")
    if result.target is None:
        raise InputError("A result that was read from a file does not know its model; solve the point anew.")
    setting = Setting.of(result.target)
    values = _parameters(setting, result)
    known = result.order_parameters
    if any(not math.isfinite(value) for value in (*values.values(), *known.values())):
        raise InputError("At a saddle with infinite conjugates or multiplicities averages are not evaluated: it is a limit.")
    side, function = _function(setting, str(expression))
    tolerance = result.tolerance if math.isfinite(result.tolerance) else DEFAULT_TOLERANCE
    problem = problem_of(setting, values, reference_point(setting, values, tolerance))
    full = [name for name in problem.pivots if known.get(name) == 1.0 and name not in problem.shape.norm_of]
    if full or not {*problem.unknown} <= known.keys():
        raise InputError("At a threshold without a saddle, where an overlap reaches 1, averages are not evaluated.")
    plain, refined = setting.rule, setting.rule.refined()
    state = problem.state(problem.to_coordinates(known), plain)
    better = None if state is None else followed(problem, state, refined)
    if state is None or better is None:
        raise InputError("The saddle cannot be found again at its order parameters; solve it anew.")
    found = _at(problem, better, side, function, refined)
    quadrature = abs(found - _at(problem, state, side, function, plain))
    if not math.isfinite(found + quadrature):
        raise InputError(f"The average of {expression} has no finite value here.")
    return Average(str(expression), found, quadrature + _ROUNDING * max(1.0, abs(found)), quadrature)


def _parameters(setting: Setting, result: Result) -> dict[str, float]:
    """The parameters of a result; at a threshold its value is that of the one that was sought."""
    known: Mapping[str, float] = {**result.order_parameters, **result.parameters}
    names = setting.parameter_names()
    values = {name: known[name] for name in names if name in known}
    missing = [name for name in names if name not in values]
    if len(missing) == 1:
        values[missing[0]] = result.value
    elif missing:
        raise InputError(f"The result says nothing about {missing[0]}; averages are taken at saddle points.")
    return values


@lru_cache(maxsize=64)
def _function(setting: Setting, expression: str) -> tuple[str, Callable[..., None]]:
    """The side of an average, and the function that integrates it."""
    free_entropy = derive(setting.model, setting.ansatz)
    found = local_average(free_entropy, expression)
    cut = {Step(a.variable) for a in found.expression.atoms(AverageNode)}
    if found.expression.atoms(*SINGULAR) - cut:
        raise InputError(f"{expression} depends on where a stability is cut off; such averages are not evaluated.")
    known = free_entropy.definitions
    apart = {s: type(s)(f"{s.name}_here") for s, e in found.definitions.items() if s in known and known[s] != e}
    own = {apart.get(s, s): e.xreplace(apart) for s, e in found.definitions.items()}
    named = replace(free_entropy, definitions={**known, **own})
    try:
        source = observable_source(named, found.expression.xreplace(apart), found.side == PATTERNS)
    except KeyError:
        taken = "overlaps" if found.side == PATTERNS else "conjugates"
        raise InputError(f"{expression} is an average over the {found.side}, which may contain {taken} only.") from None
    space: dict[str, Any] = {"_compiled": lambda function: function}
    exec(compile(source, "<average>", "exec"), space)  # made from a parsed expression
    return found.side, space["observable"]


def _at(problem: Problem, state: State, side: str, function: Callable[..., None], rule: Rule) -> float:
    """The average at a state, nan where it is undefined."""
    arguments = (
        problem.energetic_arguments(state.place)
        if side == PATTERNS
        else problem.weights_arguments(state.place, state.conjugates)
    )
    out = [math.nan]
    sinh, cosh, *rest = rule.nodes()
    try:
        function([float(a) for a in arguments], sinh.tolist(), cosh.tolist(), *rest, out)
    except _UNDEFINED:
        return math.nan
    return float(out[0])
