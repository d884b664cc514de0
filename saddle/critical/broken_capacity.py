r"""Capacity and maximal margin under broken replica symmetry, from the symmetric ones and the limit of vanishing states.

Discrete weights: states are single configurations (``q1 = 1``, a frozen solution); what counts them is the
replica-symmetric entropy, so that the capacity is where this vanishes, as long as the replica-symmetric saddle is stable
there.  Continuous weights: the load at which the last states disappear (:mod:`saddle.critical.sat_unsat`), which is the
replica-symmetric capacity where that saddle is stable up to it.  The maximal margin at a load is the margin at which
that is the load of the last states: since the latter is minimal in everything else, its derivative in the margin is the
explicit one, and Newton's method finds it from above, from the replica-symmetric margin.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from replica.ansatz import Ansatz, conjugate
from replica.errors import InputError
from saddle.points.results import Iteration, Status, Threshold

if TYPE_CHECKING:
    from saddle.critical.capacities import Line
    from saddle.critical.sat_unsat import Minimum, SatProblem

_NEARLY_STABLE = 1e-3
"""Size of a negative replicon below which the broken value differs from the symmetric one by less than its cube."""
_MOST_STEPS = 40
_EPS = float(np.finfo(float).eps)


def broken_capacity(line: Line, symmetric: Threshold) -> Threshold:
    """Return the threshold of a line under an ansatz with a multiplicity that stays.

    Parameters
    ----------
    line : Line
        Where it is sought; its setting has the broken ansatz.
    symmetric : Threshold
        The replica-symmetric one.
    """
    if not symmetric.converged:
        return _repeated(line, symmetric, symmetric.message, {})
    if line.setting.model.weights.discrete:
        return _frozen(line, symmetric)
    return _last_states(line, symmetric)


def _repeated(line: Line, symmetric: Threshold, message: str, order_parameters: dict[str, float], **known: Any) -> Threshold:
    """The replica-symmetric number as the answer of the broken ansatz."""
    settings = {
        "residual": symmetric.residual,
        "quadrature_error": symmetric.quadrature_error,
        "iterations": symmetric.iterations,
        "observables": symmetric.observables,
        "error": symmetric.error,
        "status": symmetric.status,
        **known,
    }
    error, status = settings.pop("error"), settings.pop("status")
    value = symmetric.value if status.has_value else math.nan
    return line.result(value, error, status, message, order_parameters=order_parameters, **settings)


def _collapsed(ansatz: Ansatz, outer: float, inner: float) -> dict[str, float]:
    """One value for the overlaps that part at the root, another for those inside."""
    root = ansatz.tree.name
    return {name: outer if key[0] == root else inner for key, name in ansatz.names().items()}


def _frozen(line: Line, symmetric: Threshold) -> Threshold:
    """States of one configuration: the zero of the replica-symmetric entropy, if that saddle is stable."""
    if symmetric.observables.get("stable") is False:
        message = (
            f"At alpha = {line.at(symmetric.value)['alpha']:.10g}, where the replica-symmetric entropy vanishes, its saddle "
            "is unstable, so that the solution with broken symmetry is not the frozen one; its threshold is not computed."
        )
        return _repeated(line, symmetric, message, {}, status=Status.NOT_CONVERGED, error=math.nan)
    overlap = next(value for name, value in symmetric.order_parameters.items() if not name.endswith("hat"))
    found = _collapsed(line.setting.ansatz, overlap, 1.0)
    found |= {name: 1.0 for name in line.setting.ansatz.multiplicities}
    for key, name in line.setting.ansatz.names().items():
        if key[0] == line.setting.ansatz.tree.name:
            found[conjugate(name)] = symmetric.order_parameters[conjugate("q")]
    message = (
        "The solution is frozen: every state is one configuration (inner overlap 1), so that the threshold is where the "
        f"replica-symmetric entropy vanishes. {symmetric.message}"
    )
    return _repeated(line, symmetric, message, found)


def _last_states(line: Line, symmetric: Threshold) -> Threshold:
    """Where the last states disappear, or the replica-symmetric threshold where that saddle is stable."""
    setting = line.setting
    if setting.kernel.META["sat_limit"] is None:
        raise InputError(f"The ansatz {setting.ansatz.name} has no limit of vanishing states to take a threshold from.")
    lowest = LastStates(line)
    found = lowest.at(line.at(symmetric.value)["kappa"])
    if found is None:
        return _unbroken(line, symmetric)
    if line.sought == "alpha":
        return _at_last_states(line, symmetric, lowest, found, line.value)
    return _margin_of_last_states(line, symmetric, lowest, found)


def _unbroken(line: Line, symmetric: Threshold) -> Threshold:
    """The replica-symmetric threshold where no load of last states was found below it, as far as it holds."""
    replicon, ansatz = float(symmetric.observables["replicon"] or 0.0), line.setting.ansatz
    if symmetric.observables["stable"]:
        message = (
            "Replica symmetry is stable up to its threshold, so that the broken value is the same. " + symmetric.message
        )
        return _repeated(line, symmetric, message, _collapsed(ansatz, 1.0, 1.0))
    if replicon > -_NEARLY_STABLE:
        message = (
            f"Replica symmetry is broken (replicon {replicon:.1e}), but the threshold of the last states differs from the "
            "replica-symmetric one by less than its error."
        )
        at = line.at(symmetric.value)
        change = at["alpha"] * abs(replicon) ** 3
        if line.sought == "kappa":
            change /= abs(LastStates(line).symmetric(at["kappa"])[1])
        return _repeated(line, symmetric, message, _collapsed(ansatz, 1.0, 1.0), error=symmetric.error + change)
    message = "Not converged: no minimum of the load below the replica-symmetric value was found."
    return _repeated(line, symmetric, message, {}, status=Status.NOT_CONVERGED, error=math.nan)


class LastStates:
    """The smallest load of the limit in which states shrink, as a function of the margin."""

    def __init__(self, line: Line) -> None:
        self.line, self.rule = line, line.setting.rule

    def problem(self, kappa: float) -> SatProblem:
        """The load as a function of the order parameters."""
        from saddle.critical.sat_unsat import SatProblem

        kernel = self.line.setting.kernel
        return SatProblem(kernel, dict.fromkeys(kernel.META["constraint"], kappa))

    def symmetric(self, kappa: float) -> tuple[float, float]:
        """The replica-symmetric capacity and its derivative in the margin."""
        from saddle.critical.capacities import symmetric_load

        return symmetric_load(self.line.setting.model, kappa)

    def at(self, kappa: float, near: Minimum | None = None) -> Minimum | None:
        """The minimum at a margin; None if none lies below the replica-symmetric capacity."""
        from saddle.critical.sat_unsat import minimum

        start = None if near is None else near.load.coordinates
        return minimum(self.problem(kappa), self.rule, self.line.tolerance, self.symmetric(kappa)[0], start)


def _margin_of_last_states(line: Line, symmetric: Threshold, lowest: LastStates, found: Minimum) -> Threshold:
    """Newton on the logarithm of the smallest load, from the replica-symmetric margin down."""
    (name,) = line.setting.kernel.META["constraint"]
    kappa, unit, log = symmetric.value, line.setting.deviation or 1.0, []
    for count in range(_MOST_STEPS):
        miss = math.log(found.load.value / line.value)
        log.append(Iteration(count, abs(miss), 1.0, "newton"))
        step = -miss * found.load.value / found.load.slopes[name]
        if abs(step) <= 4 * _EPS * max(unit, abs(kappa)) or abs(miss) <= 2 * _EPS:
            break
        kappa += max(-unit, min(unit, step))
        moved = lowest.at(kappa, found)
        if moved is None:
            break
        found = moved
    checked = lowest.at(kappa)  # from a grid again: the minimum followed must still be the lowest one
    close = checked is not None and abs(checked.load.value - line.value) <= 1e-9 * line.value
    if not close or checked is None:
        message = f"Not converged: no margin with the load {line.value:g} of the last states was found near {kappa:g}."
        return _repeated(line, symmetric, message, {}, status=Status.NOT_CONVERGED, error=math.nan, iterations=tuple(log))
    return _at_last_states(line, symmetric, lowest, checked, kappa, iterations=tuple(log))


def _at_last_states(
    line: Line, symmetric: Threshold, lowest: LastStates, found: Minimum, kappa: float, **known: Any
) -> Threshold:
    """The threshold at a minimum of the load."""
    slope, value, error = 1.0, found.load.value, found.error
    if line.sought == "kappa":
        (name,) = line.setting.kernel.META["constraint"]
        slope, value = abs(found.load.slopes[name]), kappa
        error = (found.error + abs(found.load.value - line.value)) / slope + 4 * _EPS * abs(kappa)
    message = (
        f"The last states disappear here, below the replica-symmetric value {symmetric.value:.10g}; the load is minimal "
        f"with residual {found.residual:.1e}. Whether the states break up further is not computed in this limit."
    )
    settings = {
        "residual": found.residual,
        "quadrature_error": found.quadrature_error / slope,
        "order_parameters": lowest.problem(kappa).order_parameters(found.load.coordinates),
        "iterations": found.iterations,
        "observables": {"replicon": None, "stable": None},
        **known,
    }
    return line.result(value, error, Status.CONVERGED, message, **settings)
