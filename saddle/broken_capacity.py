r"""The capacity under broken replica symmetry, from the replica-symmetric one and from the limit of vanishing states.

Discrete weights: states are single configurations (``q1 = 1``, a frozen solution); what counts them is the
replica-symmetric entropy, so that the capacity is where this vanishes, as long as the replica-symmetric saddle is stable
there.  Continuous weights: the load at which the last states disappear (:mod:`saddle.sat_unsat`), which is the
replica-symmetric capacity where that saddle is stable up to it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from replica.ansatz import Ansatz, conjugate
from replica.errors import InputError
from saddle.results import Status, Threshold

if TYPE_CHECKING:
    from saddle.capacities import Line

_NEARLY_STABLE = 1e-3
"""Size of a negative replicon below which the broken value differs from the symmetric one by less than its cube."""


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
            "is unstable, so that the solution with broken symmetry is not the frozen one; its capacity is not computed."
        )
        return _repeated(line, symmetric, message, {}, status=Status.NOT_CONVERGED, error=math.nan)
    overlap = next(value for name, value in symmetric.order_parameters.items() if not name.endswith("hat"))
    found = _collapsed(line.setting.ansatz, overlap, 1.0)
    found |= {name: 1.0 for name in line.setting.ansatz.multiplicities}
    for key, name in line.setting.ansatz.names().items():
        if key[0] == line.setting.ansatz.tree.name:
            found[conjugate(name)] = symmetric.order_parameters[conjugate("q")]
    message = (
        "The solution is frozen: every state is one configuration (inner overlap 1), so that the capacity is the load at "
        f"which the replica-symmetric entropy vanishes. {symmetric.message}"
    )
    return _repeated(line, symmetric, message, found)


def _last_states(line: Line, symmetric: Threshold) -> Threshold:
    """The smallest load of the limit in which states shrink, or the replica-symmetric one where it is stable."""
    from saddle.sat_unsat import SatProblem, minimum

    setting = line.setting
    if setting.kernel.META["sat_limit"] is None:
        raise InputError(f"The ansatz {setting.ansatz.name} has no limit of vanishing states to take the capacity from.")
    replicon = float(symmetric.observables["replicon"] or 0.0)
    problem = SatProblem(setting.kernel, {name: line.value for name in setting.kernel.META["constraint"]})
    found = minimum(problem, setting.rule, line.tolerance, symmetric.value)
    if found is None and symmetric.observables["stable"]:
        message = (
            "Replica symmetry is stable up to its capacity, so that the broken value is the same. " + symmetric.message
        )
        return _repeated(line, symmetric, message, _collapsed(setting.ansatz, 1.0, 1.0))
    if found is None and replicon > -_NEARLY_STABLE:
        message = (
            f"Replica symmetry is broken (replicon {replicon:.1e}), but the load of the last states differs from the "
            "replica-symmetric capacity by less than its error."
        )
        error = symmetric.error + symmetric.value * abs(replicon) ** 3
        return _repeated(line, symmetric, message, _collapsed(setting.ansatz, 1.0, 1.0), error=error)
    if found is None:
        message = "Not converged: no minimum of the load below the replica-symmetric value was found."
        return _repeated(line, symmetric, message, {}, status=Status.NOT_CONVERGED, error=math.nan)
    message = (
        f"The last states disappear here, below the replica-symmetric value {symmetric.value:.10g}; the load is minimal "
        f"with residual {found.residual:.1e}. Whether the states break up further is not computed in this limit."
    )
    return line.result(
        found.load.value,
        found.error,
        Status.CONVERGED,
        message,
        residual=found.residual,
        quadrature_error=found.quadrature_error,
        order_parameters=problem.order_parameters(found.load.coordinates),
        iterations=found.iterations,
        observables={"replicon": None, "stable": None},
    )
