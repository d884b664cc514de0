"""Whether a constraint allows a pattern or forbids it, with nothing in between."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica.model import Model


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
