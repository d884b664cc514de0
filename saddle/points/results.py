"""Frozen results: what was computed, how well, and what it means.

A number never travels alone.  Every point carries the *undamped* residual of its saddle equations, the quadrature
error (the same point evaluated by a refined rule), the total absolute error, a stable status code and a sentence.
A point without a value has ``free_entropy = nan`` *and* a status that says why: nothing is ever silently missing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from saddle.points.averages import Average

Number = float | int | bool | str | None
OWN_ERRORS = ("energy_error", "entropy_error", "local_entropy_error", "internal_entropy_error", "complexity_error")
"""Columns with the absolute errors of the observables that have one of their own."""


class Status(str, Enum):
    """Stable outcome codes; the value is what JSON and CSV show."""

    CONVERGED = "converged"
    NEGATIVE_ENTROPY = "negative-entropy"
    NO_SADDLE = "no-saddle"
    BRANCH_END = "branch-end"
    ABSENT = "absent"
    NOT_CONVERGED = "not-converged"

    @property
    def has_value(self) -> bool:
        """Whether a point of this status carries numbers."""
        return self in (Status.CONVERGED, Status.NEGATIVE_ENTROPY)

    @property
    def is_answer(self) -> bool:
        """Whether this is what physics says (a value, or the statement that none exists), not a failure of ours."""
        return self is not Status.NOT_CONVERGED

    def __str__(self) -> str:
        return self.value


class Iteration(NamedTuple):
    """One step of a solver: the undamped residual before it and the fraction of the step that was taken."""

    step: int
    residual: float
    damping: float
    method: str


_ADVICE = {
    Status.CONVERGED: "Nothing to do.",
    Status.NEGATIVE_ENTROPY: (
        "The saddle is solved; a negative entropy of discrete weights means that typically no such configuration "
        "exists. Lower the load or the margin, or look for the zero with capacity or max_margin."
    ),
    Status.NO_SADDLE: (
        "There is no saddle here to converge to: ask for a parameter on one of the branches that the message names."
    ),
    Status.BRANCH_END: "The branch ends before this point: ask for a distance on it, or a larger reference margin.",
    Status.ABSENT: "It does not exist at these parameters: the message says why; ask at others.",
    Status.NOT_CONVERGED: (
        "Give start= from a neighbouring converged point, follow the branch from there in small steps, or loosen "
        "tolerance=. If the residuals stall at a small value, the quadrature limits the point."
    ),
}


class Fixed(dict[Any, Any]):
    """A mapping of a result, which nobody changes: a changed order parameter would no longer be that of the value."""

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise TypeError("a result cannot be changed; dataclasses.replace makes another one")

    __setitem__ = __delitem__ = __ior__ = update = pop = popitem = clear = setdefault = _refuse

    def __reduce__(self) -> tuple[type[Fixed], tuple[dict[Any, Any]]]:
        return Fixed, (dict(self),)


def _fix(result: Any) -> None:
    """Replace the mappings of a result by such that cannot be changed."""
    for name in ("parameters", "order_parameters", "observables", "options", "where"):
        if type(getattr(result, name, None)) not in (Fixed, type(None)):
            object.__setattr__(result, name, Fixed(getattr(result, name)))


@dataclass(frozen=True, kw_only=True)
class SaddlePoint:
    """A saddle point of a free entropy, or the reason why there is none.

    Attributes
    ----------
    model, ansatz : str
        Names as on the command line.
    parameters : mapping
        Every parameter as resolved, e.g. ``alpha, kappa, reference_kappa, distance``.
    order_parameters : mapping
        By symbol: RS ``q, qhat``; Franz-Parisi ``q, qhat, t, that, p, phat, qr, qrhat``.
    free_entropy : float
        Nats per weight; nan where ``status.has_value`` is false.
    residual : float
        Largest undamped residual of the saddle equations.
    quadrature_error : float
        Difference to a refined and wider rule at the same point.
    error : float
        Absolute error of ``free_entropy`` from all sources.
    observables : mapping
        What the ansatz adds: ``overlap, distance, replicon, stable`` (RS), ``slope, bound, stable``
        (Franz-Parisi: the reference's saddle and the probes'); ``local_entropy`` or ``internal_entropy`` and ``complexity``
        of clusters, and at finite temperature ``energy`` and ``entropy``, each with its own error.
    window : pair of float or None
        Distances between which there is no saddle, where this point lies in such a window.
    options : mapping
        What the command line needs besides the model's name to mean it, e.g. ``activation``.
    deviation : float or None
        Standard deviation of a field in the units of the margins, by which a row divides them beside each of them; None
        where it is 1 by definition.
    target : pair or None
        The model and the ansatz that were solved.
    """

    model: str
    ansatz: str
    parameters: Mapping[str, float]
    order_parameters: Mapping[str, float]
    free_entropy: float
    residual: float
    quadrature_error: float
    error: float
    status: Status
    message: str
    iterations: tuple[Iteration, ...] = ()
    observables: Mapping[str, Number] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    window: tuple[float, float] | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    deviation: float | None = None
    kernel: str = ""
    rule: str = ""
    tolerance: float = math.nan
    target: tuple[Any, Any] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        _fix(self)

    @property
    def converged(self) -> bool:
        """Whether there is a value."""
        return self.status.has_value

    @property
    def value(self) -> float:
        """The number this result is about: the free entropy, or the local entropy of infinitely many replicas."""
        local = self.observables.get("local_entropy")
        return local if math.isnan(self.free_entropy) and isinstance(local, float) else self.free_entropy

    def __repr__(self) -> str:
        return _shown(self)

    def __getitem__(self, name: str) -> Number:
        return _entry(self, name)

    def row(self) -> dict[str, object]:
        """The row of this point as JSON and CSV show it, in order."""
        return {
            **with_normalized(self.parameters, self.deviation),
            "free_entropy": self.free_entropy,
            **self.observables,
            **_quality(self),
        }

    def average(self, expression: Any) -> Average:
        r"""Return the average of an expression in the local quantities of the replicas, e.g. ``"T**4"``.

        Parameters
        ----------
        expression : str or sympy expression
            In ``T``, the mean of a weight given its local field (:math:`\tanh` of the field ``f`` for weights
            :math:`\pm 1`), or in ``h``, the derivative of the logarithm of the constraint's factor in the mean ``u`` of a
            pattern's field, and ``dh``, the derivative of that; of an anchor its weight ``w`` or its ``stability``.  A
            species is appended where several have them (``w_ref*T_probe``), and the name of a node of the tree, called like
            a function, is the average inside of it: ``T**2`` is :math:`E\langle T^2\rangle` under 1RSB and
            ``state(T)**2`` is :math:`E\langle T\rangle^2`.

        Returns
        -------
        Average
            With ``value``, ``error`` and ``quadrature_error``.

        Raises
        ------
        InputError
            If the expression is not understood, or if there is no saddle here.
        """
        from saddle.points.averages import average

        return average(self, expression)

    def explain(self) -> str:
        """What happened and what to try, in sentences."""
        return _explain(self.message, self.status, self.iterations)


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """A parameter value at which something happens: a capacity, a maximal margin.

    ``name`` is the quantity (``capacity``, ``max_margin``), ``value`` the number with absolute ``error``;
    ``order_parameters`` are those at the threshold and ``warnings`` what limits its meaning; ``options`` and ``deviation``
    as those of a :class:`SaddlePoint`.
    """

    name: str
    model: str
    ansatz: str
    parameters: Mapping[str, float]
    value: float
    error: float
    residual: float
    quadrature_error: float
    order_parameters: Mapping[str, float]
    status: Status
    message: str
    iterations: tuple[Iteration, ...] = ()
    observables: Mapping[str, Number] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    deviation: float | None = None
    kernel: str = ""
    rule: str = ""
    tolerance: float = math.nan
    target: tuple[Any, Any] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        _fix(self)

    @property
    def converged(self) -> bool:
        """Whether there is a value."""
        return self.status.has_value

    def __float__(self) -> float:
        return self.value

    def __repr__(self) -> str:
        return _shown(self)

    def __getitem__(self, name: str) -> Number:
        return _entry(self, name)

    def row(self) -> dict[str, object]:
        """The row of this threshold as JSON and CSV show it, in order."""
        return {
            **with_normalized(self.parameters, self.deviation),
            "value": self.value,
            **normalized_value(self.name, self.value, self.deviation),
            **self.observables,
            **_quality(self),
        }

    def average(self, expression: Any) -> Average:
        """Return the average of an expression at the saddle of the threshold, see :meth:`SaddlePoint.average`."""
        from saddle.points.averages import average

        return average(self, expression)

    def explain(self) -> str:
        """What happened and what to try, in sentences."""
        return _explain(self.message, self.status, self.iterations)


Result = SaddlePoint | Threshold


def _entry(result: Result, name: str) -> Number:
    """A number of a result by its name in a row, or an order parameter by its symbol."""
    row = result.row()
    return row[name] if name in row else result.order_parameters[name]  # type: ignore[return-value]


def _shown(result: Result) -> str:
    """A result as a prompt shows it: a listing, without the iterations."""
    from saddle.reporting.curve import as_curve

    return repr(as_curve(result))


def _quality(result: Result) -> dict[str, object]:
    """The end of a row: where the result was found, and how good it is."""
    return {
        "order_parameters": dict(result.order_parameters),
        "residual": result.residual,
        "quadrature_error": result.quadrature_error,
        "error": result.error,
        "status": str(result.status),
        "message": result.message,
    }


def with_normalized(parameters: Mapping[str, object], deviation: float | None) -> dict[str, object]:
    """The parameters, behind every margin the same over the standard deviation of a field (if that is given)."""
    row: dict[str, object] = {}
    for name, value in parameters.items():
        row[name] = value
        if deviation is not None and _is_margin(name):
            row[f"{name}_normalized"] = value / deviation if isinstance(value, int | float) else value
    return row


def normalized_value(name: str, value: float, deviation: float | None) -> dict[str, object]:
    """The value of a threshold over the standard deviation of a field, if the threshold is a margin."""
    return {"value_normalized": value / deviation} if deviation is not None and _is_margin(name) else {}


def _is_margin(name: str) -> bool:
    return name.endswith(("kappa", "margin")) or (name.startswith("kappa_") and not name.endswith("_error"))


def _explain(message: str, status: Status, iterations: tuple[Iteration, ...]) -> str:
    text = [message]
    if iterations:
        first, last = iterations[0], iterations[-1]
        text.append(
            f"{len(iterations)} iterations ({last.method} last), residual {first.residual:.1e} -> {last.residual:.1e}."
        )
    text.append(_ADVICE[status])
    return " ".join(text)


def flat(row: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """The row with its order parameters lifted to columns of their own (CSV, pandas, numpy)."""
    for key, value in row.items():
        if key == "order_parameters" and isinstance(value, Mapping):
            yield from ((name, v) for name, v in value.items() if name not in row)
        else:
            yield key, value
