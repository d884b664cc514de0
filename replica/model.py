r"""A model is weights x constraint x architecture; each part says how it enters the replicated average.

Models are plain data (nothing symbolic is built until :func:`replica.derive` asks for it), so that they can be named,
compared and written into the recipe of a compiled kernel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from replica.errors import InputError

if TYPE_CHECKING:
    from sympy import Expr, Symbol

    from replica.parts.correlations import Kernel


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

    @property
    def normalized(self) -> bool:
        """Whether margins are in units of the field already; else each is also given over the deviation of a field."""
        ...

    def covariance(self, overlap: Expr) -> Expr:
        """Covariance of the fields of two replicas at this overlap (at 1: the variance of a field)."""
        ...

    def gap(self, missing: Expr) -> Expr:
        """What the covariance at the overlap ``1 - missing`` lacks to the variance, without cancellation."""
        ...

    def slopes_at_one(self) -> tuple[Expr, Expr]:
        """The first and second derivative of the covariance at overlap 1; infinite where they diverge."""
        ...

    def covariance_error(self, overlap: Expr) -> Expr | None:
        """A bound of the absolute error of the covariance at an overlap, None where it is exact."""
        ...


@dataclass(frozen=True)
class Perceptron:
    r"""A single unit: the fields :math:`w \cdot \xi / \sqrt N` have the overlap as covariance."""

    name: str = "perceptron"
    odd: bool = True
    any_norm: bool = True
    normalized: bool = True

    def covariance(self, overlap: Expr) -> Expr:
        """The overlap itself."""
        return overlap

    def gap(self, missing: Expr) -> Expr:
        """What the overlap lacks to 1."""
        return missing

    def slopes_at_one(self) -> tuple[Expr, Expr]:
        """1 and 0."""
        import sympy as sp

        return sp.Integer(1), sp.Integer(0)

    def covariance_error(self, overlap: Expr) -> Expr | None:
        """None: exact."""
        return None


@dataclass(frozen=True)
class TreeCommittee:
    r"""A tree committee machine with :math:`K \to \infty` hidden units of an activation ``g``.

    The output is :math:`\mathrm{sgn}\big(K^{-1/2} \sum_l c_l\, g(\lambda_l)\big)` with balanced signs :math:`c_l`.  By the
    central limit theorem its fields are Gaussian, with the kernel of the activation as covariance,
    :math:`\Delta_g(q) = E[g(u) g(v)] - E[g]^2` (Barkai, Hansel & Sompolinsky 1992; Baldassi, Malatesta & Zecchina 2019).

    Parameters
    ----------
    activation : str
        A name of :data:`replica.parts.activations.NAMED`, ``leaky-relu(SLOPE)``, or an expression in ``x``.
    """

    activation: str = "relu"
    name: str = "tree-committee"
    any_norm: bool = False
    normalized: bool = False

    @property
    def odd(self) -> bool:
        """Whether fields change sign with the weights, as those of an odd activation do (of which only a few are known)."""
        return self.activation in ("linear", "sign", "erf", "erf-sqrt2", "tanh")

    def covariance(self, overlap: Expr) -> Expr:
        """The kernel of the activation."""
        return self._kernel.value(overlap)

    def gap(self, missing: Expr) -> Expr:
        """What the kernel lacks to its value at overlap 1."""
        return self._kernel.gap(missing)

    def slopes_at_one(self) -> tuple[Expr, Expr]:
        """:math:`E[g'^2]` and :math:`E[g''^2]`."""
        return self._kernel.slope_at_one, self._kernel.curvature_at_one

    def covariance_error(self, overlap: Expr) -> Expr | None:
        """What a series leaves out, None for a closed form."""
        error = self._kernel.error
        return None if error is None else error(overlap)

    @property
    def _kernel(self) -> Kernel:
        from replica.parts.activations import kernel_of

        return kernel_of(self.activation)


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
    options : tuple of (name, value)
        What the command line needs besides the name to mean this model, e.g. ``("activation", "relu")``.
    reference : Model or None
        Whose solutions the reference is one of where an ansatz has a reference with parameters of its own (the species with
        a prefix); None for the same model.  :meth:`around` sets it.
    """

    name: str
    weights: Weights
    constraint: Constraint = field(default_factory=Threshold)
    architecture: Architecture = field(default_factory=Perceptron)
    description: str = ""
    teacher: bool = False
    options: tuple[tuple[str, str], ...] = ()
    reference: Model | None = None

    def __post_init__(self) -> None:
        for part, value in (("weights", self.weights), ("constraint", self.constraint), ("architecture", self.architecture)):
            try:
                hash(value)
            except TypeError:
                raise InputError(
                    f"The {part} of the model {self.name} can change ({type(value).__name__} has no hash); make it a "
                    "frozen dataclass."
                ) from None

    def around(self, reference: Model | str) -> Model:
        """The same model for probes around a solution of another one, which differs in its constraint only.

        Raises
        ------
        InputError
            If the other model has other weights, another architecture or another teacher, or is none.
        """
        from replica import zoo

        reference = zoo.as_model(reference)
        for part in ("weights", "architecture", "teacher"):
            if getattr(self, part) != getattr(reference, part):
                raise InputError(
                    f"The reference of {self.name} may have another constraint, but not another {part} as {reference.name} "
                    "has."
                )
        own = ((f"reference_{name}", value) for name, value in reference.options if name == "loss")
        kept = (option for option in self.options if not option[0].startswith("reference_"))
        options = (*kept, ("reference_model", reference.name), *own)
        return replace(self, reference=replace(reference, reference=None), options=options)

    def obeyed(self, prefix: str) -> Model:
        """The model that a species obeys whose parameters have this prefix."""
        return self.reference if prefix and self.reference is not None else replace(self, reference=None)

    def recipe(self) -> str:
        """The parts as text: equal recipes have equal equations."""
        from replica.parts.recipe import recipe_of

        own = recipe_of(self.weights, self.constraint, self.architecture) + (" teacher" if self.teacher else "")
        return own if self.reference is None else f"{own} around {self.reference.recipe()}"
