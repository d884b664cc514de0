r"""A model is weights x constraint x architecture; each part says how it enters the replicated average.

Models are plain data (nothing symbolic is built until :func:`replica.derive` asks for it), so that they can be named,
compared and written into the recipe of a compiled kernel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from replica.errors import InputError

if TYPE_CHECKING:
    from sympy import Expr, Symbol


class Weights(Protocol):
    """The measure of one weight.

    ``discrete`` weights enter through the trace over their ``values``; continuous ones (spherical) through the
    determinant of the overlap matrix.
    """

    @property
    def name(self) -> str: ...

    @property
    def discrete(self) -> bool: ...

    @property
    def values(self) -> tuple[int, ...]: ...

    @property
    def unit_norm(self) -> bool:
        """Whether ``|w|^2 = N``; otherwise the norm is an order parameter, see :class:`replica.DiscreteWeights`."""
        ...

    @property
    def entropy(self) -> float:
        """Entropy of all configurations."""
        ...

    @property
    def counts(self) -> bool:
        """Whether an entropy is the logarithm of a number of configurations, so that a negative one means none."""
        ...

    @property
    def scale(self) -> float:
        """The unit of distances, ``4 d scale N = |w - w'|^2``: 1 for weights of fixed norm."""
        ...

    def trace(self, fld: Expr) -> Expr:
        """Trace of ``exp(w fld)`` over one discrete weight (a norm that is free: of ``exp(w fld + curvature w^2/2)``)."""
        ...

    def distance_bound(self, d: float) -> float:
        """Entropy of all configurations at distance ``d`` from a given one: no probe entropy exceeds it."""
        ...


@dataclass(frozen=True)
class BinaryWeights:
    r"""Ising weights :math:`w = \pm 1`; entropies count configurations (:math:`\ln 2` without constraint)."""

    name: str = "binary"
    discrete: bool = True
    values: tuple[int, ...] = (-1, 1)
    unit_norm: bool = True
    counts: bool = True
    scale: float = 1.0
    entropy: float = math.log(2.0)

    def trace(self, fld: Expr) -> Expr:
        r""":math:`\mathrm{Tr}_w\, e^{w f} = 2\cosh f`."""
        from replica.expr import TwoCosh

        return TwoCosh(fld)

    def distance_bound(self, d: float) -> float:
        r""":math:`-d \ln d - (1-d) \ln(1-d)`."""
        return -d * math.log(d) - (1.0 - d) * math.log1p(-d)


@dataclass(frozen=True)
class SphericalWeights:
    r"""Weights on the sphere :math:`|w|^2 = N`; entropies are relative to the uniform measure."""

    name: str = "spherical"
    discrete: bool = False
    values: tuple[int, ...] = ()
    unit_norm: bool = True
    counts: bool = False
    scale: float = 1.0
    entropy: float = 0.0

    def trace(self, fld: Expr) -> Expr:
        """Refused: weights on a sphere enter through the determinant of their overlaps."""
        raise TypeError("spherical weights have no trace over single values")

    def distance_bound(self, d: float) -> float:
        r""":math:`\tfrac12 \ln(1 - p^2)` at overlap :math:`p = 1 - 2d`."""
        return 0.5 * math.log(4.0 * d * (1.0 - d))


@dataclass(frozen=True)
class GaussianWeights:
    r"""Weights with a Gaussian prior of variance 1; entropies are relative to it, and the norm is not fixed."""

    name: str = "gaussian"
    discrete: bool = False
    values: tuple[int, ...] = ()
    unit_norm: bool = False
    counts: bool = False
    scale: float = 1.0
    entropy: float = 0.0

    def trace(self, fld: Expr) -> Expr:
        """Refused: Gaussian weights enter through the determinant of their overlaps."""
        raise TypeError("Gaussian weights have no trace over single values")

    def log_prior(self, norm: Expr) -> Expr:
        r"""What the prior adds per weight to half the logarithm of the determinant: :math:`(1 - Q)/2`."""
        return (1 - norm) / 2

    def distance_bound(self, d: float) -> float:
        r"""Measure of a ball of squared radius ``4 d``, which is largest at the origin."""
        return 0.5 * (math.log(4.0 * d) + 1.0 - 4.0 * d) if d < 0.25 else 0.0


class Constraint(Protocol):
    """What a pattern asks of the stability; ``parameters`` are its symbols.

    Optional attributes: ``even`` (the factor is even in the stability; default False), ``harder`` (the sign of a change of
    the first parameter that makes it harder; default +1) and ``positive`` (parameters that must be positive).
    """

    @property
    def name(self) -> str: ...

    @property
    def parameters(self) -> tuple[str, ...]: ...

    def factor(self, fld: Expr, parameters: dict[str, Symbol]) -> Expr:
        """The weight of a pattern with stability ``fld``."""
        ...

    def implies(self, inner: dict[str, float], outer: dict[str, float]) -> bool:
        """Whether a pattern that fulfils the constraint at ``inner`` does so with room to spare at ``outer``."""
        ...


@dataclass(frozen=True)
class Threshold:
    r"""The stability exceeds the margin, :math:`\theta(\Delta - \kappa)`."""

    name: str = "threshold"
    parameters: tuple[str, ...] = ("kappa",)
    even: bool = False
    harder: int = 1
    positive: tuple[str, ...] = ()
    allowed: tuple[bool, ...] = (False, True)

    def edges(self, parameters: Mapping[str, Symbol]) -> tuple[Expr, ...]:
        """The margin."""
        return (parameters["kappa"],)

    def factor(self, fld: Expr, parameters: dict[str, Symbol]) -> Expr:
        r""":math:`\theta(\Delta - \kappa)`."""
        from replica.expr import Step

        return Step(fld - parameters["kappa"])

    def implies(self, inner: dict[str, float], outer: dict[str, float]) -> bool:
        """Whether the first margin is the larger one."""
        return inner["kappa"] > outer["kappa"]


class Architecture(Protocol):
    """How the overlap of two weight vectors becomes the covariance of their fields."""

    @property
    def name(self) -> str: ...

    @property
    def any_norm(self) -> bool:
        """Whether the covariance of two fields is a function of the overlap alone for weights of any norm."""
        ...

    def covariance(self, overlap: Expr) -> Expr:
        """Covariance of the fields of two replicas at this overlap (at 1: the variance of a field)."""
        ...


@dataclass(frozen=True)
class Perceptron:
    r"""A single unit: the fields :math:`w \cdot \xi / \sqrt N` have the overlap as covariance."""

    name: str = "perceptron"
    odd: bool = True
    any_norm: bool = True

    def covariance(self, overlap: Expr) -> Expr:
        """The overlap itself."""
        return overlap


@dataclass(frozen=True)
class Model:
    """A perceptron-like model.

    Parameters
    ----------
    name : str
        As on the command line.
    weights, constraint, architecture
        The parts; see :class:`BinaryWeights`, :class:`SphericalWeights`, :class:`Threshold`, :class:`Perceptron`.
    description : str
        One sentence for ``replica models``.
    teacher : bool
        Whether the labels are those of a teacher, a configuration drawn from the prior of the weights.
    """

    name: str
    weights: Weights
    constraint: Constraint = field(default_factory=Threshold)
    architecture: Architecture = field(default_factory=Perceptron)
    description: str = ""
    teacher: bool = False

    def __post_init__(self) -> None:
        for part, value in (("weights", self.weights), ("constraint", self.constraint), ("architecture", self.architecture)):
            try:
                hash(value)
            except TypeError:
                raise InputError(
                    f"The {part} of the model {self.name} can change ({type(value).__name__} has no hash); make it a "
                    "frozen dataclass."
                ) from None

    def recipe(self) -> str:
        """The parts as text: equal recipes have equal equations."""
        from replica.recipe import recipe_of

        return recipe_of(self.weights, self.constraint, self.architecture) + (" teacher" if self.teacher else "")
