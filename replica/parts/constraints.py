r"""Constraints beyond the threshold: a window, its complement, and errors that cost something instead of everything.

A constraint that is constant between edges says where they are and which intervals it allows (:class:`Regions`); hard, a
forbidden interval has weight 0, at inverse temperature :math:`\beta` it has :math:`e^{-\beta}`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from sympy import Expr, Symbol

    from replica.model import Constraint, Model


class Regions(Protocol):
    """A constraint that allows some intervals of the stability and forbids the others."""

    @property
    def name(self) -> str: ...

    @property
    def parameters(self) -> tuple[str, ...]: ...

    @property
    def even(self) -> bool: ...

    @property
    def harder(self) -> int: ...

    @property
    def positive(self) -> tuple[str, ...]: ...

    def edges(self, parameters: Mapping[str, Symbol]) -> tuple[Expr, ...]:
        """Where the intervals meet, in rising order."""
        ...

    @property
    def allowed(self) -> tuple[bool, ...]:
        """Which intervals are allowed, from below."""
        ...

    def implies(self, inner: dict[str, float], outer: dict[str, float]) -> bool:
        """Whether a pattern that fulfils the constraint at ``inner`` does so with room to spare at ``outer``."""
        ...


def piecewise(constraint: Regions, fld: Expr, parameters: Mapping[str, Symbol], log_weight: Expr) -> Expr:
    """The factor with this logarithm of the weight of what is forbidden."""
    import sympy as sp

    from replica.parts.pieces import Steps

    weights = (sp.Integer(0) if allowed else log_weight for allowed in constraint.allowed)
    return Steps(*(fld - edge for edge in constraint.edges(parameters)), *weights)


def lies_inside(inner: Constraint, at: Mapping[str, float], outer: Constraint, beyond: Mapping[str, float]) -> bool:
    """Return whether what one constraint allows at its parameters is allowed by another one with room to spare."""
    if type(inner) is type(outer):
        return inner.implies(dict(at), dict(beyond))
    kept, wide, end = _intervals(inner, at), _intervals(outer, beyond), sys.float_info.max
    return bool(kept) and all(any(a < max(c, -end) and min(d, end) < b for a, b in wide) for c, d in kept)


def _intervals(constraint: Constraint, at: Mapping[str, float]) -> list[tuple[float, float]]:
    """The intervals that a hard constraint allows; none for any other."""
    temperature = getattr(constraint, "temperature", "")
    regions: Any = getattr(constraint, "hard", constraint)
    if not hasattr(regions, "edges") or (temperature and at[temperature] != math.inf):
        return []
    edges: list[Any] = [-math.inf, *regions.edges(at), math.inf]
    return [(float(a), float(b)) for a, b, ok in zip(edges, edges[1:], regions.allowed, strict=False) if ok]


@dataclass(frozen=True)
class Window:
    r"""The stability is small, :math:`\theta(\kappa - |\Delta|)`: a higher margin is a smaller window."""

    name: str = "window"
    parameters: tuple[str, ...] = ("kappa",)
    even: bool = True
    harder: int = -1
    extreme: str = "smallest window"
    positive: tuple[str, ...] = ("kappa",)
    allowed: tuple[bool, ...] = (False, True, False)

    def edges(self, parameters: Mapping[str, Symbol]) -> tuple[Expr, ...]:
        r""":math:`\mp\kappa`."""
        return -parameters["kappa"], parameters["kappa"]

    def factor(self, fld: Expr, parameters: dict[str, Symbol]) -> Expr:
        r""":math:`\theta(\kappa - |\Delta|)`."""
        from sympy import S

        return piecewise(self, fld, parameters, S.NegativeInfinity)

    def implies(self, inner: dict[str, float], outer: dict[str, float]) -> bool:
        """Whether the first window is the smaller one."""
        return inner["kappa"] < outer["kappa"]


@dataclass(frozen=True)
class OutsideWindow:
    r"""The stability is large in size, :math:`\theta(|\Delta| - \kappa)` (the u-function)."""

    name: str = "u-function"
    parameters: tuple[str, ...] = ("kappa",)
    even: bool = True
    harder: int = 1
    extreme: str = "largest excluded interval"
    positive: tuple[str, ...] = ("kappa",)
    allowed: tuple[bool, ...] = (True, False, True)

    def edges(self, parameters: Mapping[str, Symbol]) -> tuple[Expr, ...]:
        r""":math:`\mp\kappa`."""
        return -parameters["kappa"], parameters["kappa"]

    def factor(self, fld: Expr, parameters: dict[str, Symbol]) -> Expr:
        r""":math:`\theta(|\Delta| - \kappa)`."""
        from sympy import S

        return piecewise(self, fld, parameters, S.NegativeInfinity)

    def implies(self, inner: dict[str, float], outer: dict[str, float]) -> bool:
        """Whether the first excluded interval is the larger one."""
        return inner["kappa"] > outer["kappa"]


@dataclass(frozen=True)
class ErrorCounting:
    r"""A constraint whose violation costs 1, at inverse temperature :math:`\beta`: :math:`\chi + e^{-\beta}(1 - \chi)`."""

    hard: Regions
    temperature: str = "beta"

    @property
    def name(self) -> str:
        """The name of the hard constraint, softened."""
        return f"soft {self.hard.name}"

    @property
    def parameters(self) -> tuple[str, ...]:
        """Those of the hard constraint and the inverse temperature."""
        return (*self.hard.parameters, self.temperature)

    @property
    def even(self) -> bool:
        """Whether the factor is even in the stability."""
        return self.hard.even

    @property
    def harder(self) -> int:
        """The sign of a change of the margin that makes the constraint harder."""
        return self.hard.harder

    @property
    def positive(self) -> tuple[str, ...]:
        """Parameters that must be positive."""
        return (*self.hard.positive, self.temperature)

    def factor(self, fld: Expr, parameters: dict[str, Symbol]) -> Expr:
        r""":math:`e^{-\beta}` where the hard constraint is violated, else 1."""
        return piecewise(self.hard, fld, parameters, -parameters[self.temperature])

    def implies(self, inner: dict[str, float], outer: dict[str, float]) -> bool:
        """Only at zero temperature: at a finite one some patterns of the reference are violated."""
        cold = inner[self.temperature] == float("inf")
        return cold and self.hard.implies(inner, outer)


@dataclass(frozen=True)
class Loss:
    r"""A loss of the stability instead of a constraint, :math:`e^{-\beta\,\ell(\Delta - \kappa)}`."""

    text: str
    temperature: str = "beta"
    even: bool = False
    harder: int = 1

    @property
    def name(self) -> str:
        """The loss as text."""
        return f"loss {self.text}"

    @property
    def parameters(self) -> tuple[str, ...]:
        """The margin, which is subtracted from the stability, and the inverse temperature."""
        return ("kappa", self.temperature)

    @property
    def positive(self) -> tuple[str, ...]:
        """Parameters that must be positive."""
        return (self.temperature,)

    def factor(self, fld: Expr, parameters: dict[str, Symbol]) -> Expr:
        r""":math:`e^{-\beta\,\ell(\Delta - \kappa)}`."""
        from replica.parts.noisy_losses import cost

        return cost(fld - parameters["kappa"], parameters[self.temperature], self.text)

    def implies(self, inner: dict[str, float], outer: dict[str, float]) -> bool:
        """Never: at a finite temperature a pattern may cost anything."""
        return False


def soft(model: Model | str, loss: str = "errors") -> Model:
    r"""Return a model at finite temperature: every pattern has the factor :math:`e^{-\beta\,\mathrm{loss}}`.

    Parameters
    ----------
    model : Model or str
        With the hard constraint, or the name of one.
    loss : str
        ``"errors"``: 1 for a pattern that violates the constraint, else 0.  ``"cross-entropy"``
        (:math:`\ln(1 + e^{-x})`), ``"hinge"`` (:math:`\max(0, -x)`) or an expression in ``x``, the stability minus
        ``kappa``; these take the place of the constraint.

    Raises
    ------
    InputError
        If the loss is unknown or does not go with the model.
    """
    from replica import zoo
    from replica.errors import InputError

    model = zoo.as_model(model)
    if hasattr(model.constraint, "temperature"):
        raise InputError(f"The model {model.name} has a temperature already.")
    if loss == "errors":
        if not hasattr(model.constraint, "edges"):
            raise InputError(f"The constraint of {model.name} has no errors to count: it is not made of intervals.")
        regions: Any = model.constraint
        return replace(model, constraint=ErrorCounting(regions))
    from replica.parts.losses import loss_function

    loss_function(loss)
    return replace(model, constraint=Loss(loss), options=(*model.options, ("loss", loss)))
