r"""The frozen solution of discrete weights: every state is a single configuration.

Where the factor of a pattern jumps, an overlap ``q1 = 1`` inside of states solves the saddle equations at any Parisi
parameter ``m``.  The ``m`` replicas of a state are then one configuration with the ``m``-th power of its weight.  The power
of a hard constraint is the constraint itself, and :math:`\Phi(m) = \phi_\mathrm{RS}`.  At inverse temperature
:math:`\beta` it is the same factor at :math:`m\beta`:

.. math::

    \Phi(m) = \phi_\mathrm{RS}(m\beta), \qquad e = e_\mathrm{RS}(m\beta), \qquad \Sigma = s_\mathrm{RS}(m\beta).

The complexity vanishes at :math:`m = \beta_c/\beta` with :math:`s_\mathrm{RS}(\beta_c) = 0`: below this temperature energy
and configurations are those at it, as in the random energy model, and :math:`\phi = -\beta e_\mathrm{RS}(\beta_c)`
(Krauth & Mezard, J. Phys. France 50, 3057 (1989)).  Above it ``m = 1``, and the free entropy is the replica-symmetric one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from replica.ansatz import conjugate
from replica.model import Model
from replica.parts.hardness import is_hard, scales_with_temperature
from saddle.points.clusters import observable_names
from saddle.points.outcome import without_value
from saddle.points.results import Number, SaddlePoint
from saddle.points.setting import Setting
from saddle.points.thermal import THERMAL, temperature

_UNSTABLE = "The frozen solution is unstable here (negative replicon): symmetry is broken between its states as well."
_COLDEST = 1e-4
"""Share of the inverse temperature down to which a positive entropy is sought."""


Symmetric = Callable[[Mapping[str, float], SaddlePoint | None], SaddlePoint]
"""The replica-symmetric saddle at the same parameters but for those given, from a start."""


def freezes(setting: Setting, values: Mapping[str, float]) -> bool:
    """Whether single configurations are states whose weights are powers of their own."""
    model, (name,) = setting.model, setting.ansatz.extremised
    alone = _is_cold(setting, values) and values.get(name, 1.0) == 1.0  # other powers of a prior are another prior
    return isolates(model) and (model.weights.counts or alone)


def isolates(model: Model) -> bool:
    """Whether single configurations are states: discrete weights, and a factor of a pattern that jumps."""
    return model.weights.discrete and (is_hard(model) or scales_with_temperature(model))


def frozen_point(setting: Setting, values: Mapping[str, float], symmetric: Symmetric, tolerance: float) -> SaddlePoint:
    """The frozen solution at the Parisi parameter asked for, or at that without complexity (at most 1)."""
    hot, (name,) = temperature(setting), setting.ansatz.extremised
    if _is_cold(setting, values):
        m, point = values.get(name, 1.0), symmetric({}, None)
    elif name in values:
        m = values[name]
        point = symmetric({hot: m * values[hot]}, None)
    else:
        point = _freezing(symmetric, hot, values[hot])
        m = point.parameters[hot] / values[hot]
    if not point.converged:
        return without_value(setting, values, point.status, f"Replica symmetry: {point.message}", (), tolerance)
    return _result(setting, values, point, m, tolerance)


def _is_cold(setting: Setting, values: Mapping[str, float]) -> bool:
    """Whether the constraint is hard at these parameters."""
    return math.isinf(values.get(temperature(setting), math.inf))


def _entropy(point: SaddlePoint) -> float:
    """The entropy of a replica-symmetric point: at finite temperature that of its energy."""
    return float(point.observables.get("entropy", point.free_entropy))  # type: ignore[arg-type]


def _freezing(symmetric: Symmetric, hot: str, beta: float) -> SaddlePoint:
    """The replica-symmetric point at a temperature, or at the higher one at which its entropy vanishes."""
    from scipy.optimize import brentq

    first = here = symmetric({}, None)
    above, b = None, beta
    while not here.converged or _entropy(here) < 0.0:
        above = here if here.converged else above
        b /= 2.0
        if b < _COLDEST * beta:
            return first
        here = symmetric({hot: b}, None)
    if above is None:
        return here if b == beta else first
    found = [here, above]

    def entropy(log_beta: float) -> float:
        near = min(found, key=lambda point: abs(math.log(point.parameters[hot]) - log_beta))
        point = symmetric({hot: math.exp(log_beta)}, near)
        found.append(point)
        if not point.converged:
            raise ArithmeticError(point.message)
        return _entropy(point)

    try:
        brentq(entropy, math.log(b), math.log(above.parameters[hot]), xtol=1e-15, rtol=1e-15)
    except ArithmeticError:
        return found[-1]
    return min(found, key=lambda point: abs(_entropy(point)))


def _result(
    setting: Setting, values: Mapping[str, float], symmetric: SaddlePoint, m: float, tolerance: float
) -> SaddlePoint:
    (name,), complexity, error = setting.ansatz.extremised, _entropy(symmetric), symmetric.error
    observables: dict[str, Number] = {}
    if hot := temperature(setting):
        energy, of_energy, _, error = (float(symmetric[key]) for key in THERMAL)  # type: ignore[arg-type]
        if name not in values and m < 1.0:
            # beta_c is a zero of the entropy, which grows by beta de
            of_energy += (abs(complexity) + error) / symmetric.parameters[hot]
        observables = dict(zip(THERMAL, (energy, of_energy, complexity / m, error / m), strict=True))
    counted = setting.model.weights.counts
    split = (0.0, 0.0, complexity, error) if counted else (None,) * 4
    observables |= dict(zip(observable_names(setting), split, strict=False))
    return SaddlePoint(
        **setting.identity,
        parameters=dict(values),
        order_parameters={**_order_parameters(setting, symmetric, m), name: m},
        free_entropy=symmetric.free_entropy / m,
        residual=symmetric.residual,
        quadrature_error=symmetric.quadrature_error / m,
        error=symmetric.error / min(m, 1.0),
        status=symmetric.status,
        message=_message(setting, values, symmetric, m),
        iterations=symmetric.iterations,
        observables=observables | {k: symmetric.observables[k] for k in ("replicon", "stable")},
        warnings=(_UNSTABLE,) if symmetric.observables["stable"] is False else (),
        rule=str(setting.rule),
        tolerance=tolerance,
    )


def _message(setting: Setting, values: Mapping[str, float], symmetric: SaddlePoint, m: float) -> str:
    """What was found, in sentences."""
    what = "the complexity is the replica-symmetric entropy"
    if not _is_cold(setting, values):
        hot = temperature(setting)
        what += f" at the inverse temperature m {hot} = {m * values[hot]:.10g}"
        if setting.ansatz.extremised[0] not in values:
            what += ", where it vanishes" if m < 1.0 else ", positive: m = 1 and the free entropy is replica-symmetric"
    return (
        "The solution is frozen: every state is one configuration (inner overlap 1, internal entropy 0), and "
        f"{what}. {symmetric.message}"
    )


def _order_parameters(setting: Setting, symmetric: SaddlePoint, m: float) -> dict[str, float]:
    """Overlaps of states are the replica-symmetric ones; the field of a state is shared by its ``m`` replicas."""
    known, root = symmetric.order_parameters, setting.ansatz.tree.name
    outermost, parameters = next(iter(known), ""), dict[str, float]()
    for (node, *species), name in {**setting.ansatz.names(), **setting.ansatz.zero_names()}.items():
        norm = setting.norms[name] or ""
        if node != root:
            parameters |= {name: known.get(norm or name, 1.0), conjugate(name): math.inf}
        elif len({*species}) == 2:  # with a teacher, who is no copy
            parameters |= {name: known[name], conjugate(name): known[conjugate(name)] / m}
        else:
            parameters |= {name: known.get(outermost, 0.0), conjugate(name): known.get(conjugate(outermost), 0.0) / m**2}
    return parameters
