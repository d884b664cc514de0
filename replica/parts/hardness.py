"""What powers of the factor of a pattern are: the factor itself, or that at another temperature."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica.model import Model
    from replica.parts.losses import LossFunction


@lru_cache(maxsize=256)
def is_hard(model: Model) -> bool:
    """Return whether the factor of a pattern is 0 or 1: every power of it is the factor itself."""
    import sympy as sp

    from replica.expr import Step
    from replica.parts.pieces import Steps

    parameters = {name: sp.Symbol(name) for name in model.constraint.parameters}
    factor = model.constraint.factor(sp.Symbol("field"), parameters)
    if isinstance(factor, Steps):
        return all(weight in (0, -sp.oo) for weight in factor.log_weights)
    return isinstance(factor, Step)


@lru_cache(maxsize=256)
def scales_with_temperature(model: Model) -> bool:
    """Return whether the factor of a pattern jumps, and its powers are itself at multiples of the inverse temperature."""
    import sympy as sp

    from replica.parts.losses import JUMP, LossFunction
    from replica.parts.noisy_losses import as_averages
    from replica.parts.pieces import Steps

    constraint = model.constraint
    if not (name := getattr(constraint, "temperature", "")):
        return False
    parameters = {key: sp.Symbol(key) for key in constraint.parameters}
    beta, power = parameters[name], sp.Symbol("m")
    factor = as_averages(constraint.factor(sp.Symbol("field"), parameters))
    if isinstance(factor, Steps):
        logarithms = list(factor.log_weights)
    elif isinstance(factor, sp.exp) and any(_jumps(loss, JUMP) for loss in factor.atoms(LossFunction)):
        logarithms = [factor.args[0]]
    else:
        return False
    finite = [log for log in logarithms if log != -sp.oo]
    return all(sp.expand(log.subs(beta, power * beta) - power * log) == 0 for log in finite)


def _jumps(loss: LossFunction, jump: float) -> bool:
    """Whether a loss has a jump somewhere."""
    return any(width <= jump for _, width in loss.kinks)
