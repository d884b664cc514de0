r"""Energy and entropy of a saddle at finite temperature.

The free entropy is stationary in what is solved for, so that its explicit derivative is the whole one: with
:math:`\Phi(m, \beta)` the free entropy of ``m`` replicas together, each has the energy :math:`e = -\partial_\beta \Phi/m`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from saddle.kernels.quadrature import Rule
from saddle.points.problem import Problem, State
from saddle.points.setting import Setting


def temperature(setting: Setting) -> str:
    """The name of the inverse temperature of what is solved for, empty where the constraint has none."""
    return str(getattr(setting.model.constraint, "temperature", ""))


def energy(setting: Setting, problem: Problem, state: State, rule: Rule) -> float:
    """The energy per weight of one replica at a saddle; 0 at zero temperature, where patterns are not violated."""
    name = temperature(setting)
    if not name or not math.isfinite(problem.parameters[name]):
        return 0.0
    total = -problem.observables(state, rule)["derivatives"][name]
    if not setting.ansatz.multiplicities:
        return total
    copies = setting.ansatz.multiplicities[0]
    return problem.copies(state)[copies] * total / problem.parameters[copies]


def heat(setting: Setting, values: Mapping[str, float], energy: float) -> float:
    r""":math:`\beta e`, 0 at zero temperature."""
    return values[temperature(setting)] * energy if energy else 0.0
