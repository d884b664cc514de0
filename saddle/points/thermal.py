r"""Energy and entropy of a saddle at finite temperature, with their errors.

The free entropy is stationary in what is solved for, so that its explicit derivative is the whole one: with
:math:`\Phi(m, \beta)` the free entropy of ``m`` replicas together, each has the energy :math:`e = -\partial_\beta \Phi/m`.

The energy itself is not stationary.  It is taken where one more step of Newton's method by the refined rule leads, and its
error is the change on the way there, the rounding of the order parameters, what the uncertainty of those of a reference
does to it, and what covariances that are series leave out.  The entropy is :math:`\phi + \beta e`, and so is its error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from saddle.kernels.quadrature import ROUGH, Rule
from saddle.points.newton import followed
from saddle.points.problem import Problem, State, Vector
from saddle.points.series_error import errors_of_derivative
from saddle.points.setting import Setting

THERMAL = ("energy", "energy_error", "entropy", "entropy_error")
"""The columns of a row at finite temperature."""
_ROUNDING = 64 * float(np.finfo(float).eps)
_SAFETY = 2.0
"""What the change to the refined rule is multiplied by: where the plain one is coarse, that sees most of its error."""
_STEP = 1e-5
"""A step of the coordinates for slopes that scale an error."""


@dataclass(frozen=True)
class Warmth:
    """The energy of one replica with its absolute error, and the weight of both in an entropy: the inverse temperature."""

    energy: float = 0.0
    error: float = 0.0
    beta: float = 0.0

    @property
    def heat(self) -> float:
        r""":math:`\beta e`."""
        return self.beta * self.energy

    def row(self, free_entropy: float, error: float, replicas: float = 1.0) -> dict[str, float]:
        """The columns where the free entropy with its error is that of so many replicas."""
        entropy = free_entropy + replicas * self.heat
        numbers = (self.energy, self.error, entropy, error + replicas * self.beta * self.error)
        return dict(zip(THERMAL, numbers, strict=True))


def temperature(setting: Setting) -> str:
    """The name of the inverse temperature of what is solved for, empty where the constraint has none."""
    return str(getattr(setting.model.constraint, "temperature", ""))


def energy(setting: Setting, problem: Problem, state: State, rule: Rule) -> float:
    """The energy per weight of one replica at a saddle; 0 at zero temperature, where patterns are not violated."""
    name = temperature(setting)
    if not name or not math.isfinite(problem.parameters[name]):
        return 0.0
    return -_share(setting, problem, state) * problem.observables(state, rule)["derivatives"][name]


def warmth(
    setting: Setting,
    problem: Problem,
    states: tuple[State, State | None],
    finer: Rule,
    uncertain: Mapping[str, float] | None = None,
) -> Warmth:
    """The energy at a saddle with its error.

    Parameters
    ----------
    setting, problem
    states : pair
        The saddle by the plain rule, and where a step by the refined rule leads (None: out of the domain).
    finer : Rule
        That rule.
    uncertain : mapping, optional
        The errors of the order parameters of a reference.
    """
    name = temperature(setting)
    if not name or not math.isfinite(problem.parameters[name]):
        return Warmth()
    state, better = states
    plain, beta = energy(setting, problem, state, setting.rule), problem.parameters[name]
    if better is None:
        return Warmth(plain, math.inf, beta)
    found = energy(setting, problem, better, finer)
    share = _share(setting, problem, state)
    size = abs(found) + share * abs(problem.alpha * state.energetic) / beta
    error = _SAFETY * abs(found - plain) + _ROUNDING * size + _of_rounding(setting, problem, state)
    error += share * errors_of_derivative(problem, state, setting.rule, name)[1]
    return Warmth(found, error + _of_reference(setting, problem, state, uncertain or {}), beta)


def _share(setting: Setting, problem: Problem, state: State) -> float:
    """By what the free entropy of one replica is that which is solved for."""
    if not setting.ansatz.multiplicities:
        return 1.0
    copies = setting.ansatz.multiplicities[0]
    return problem.copies(state)[copies] / problem.parameters[copies]


def _of_rounding(setting: Setting, problem: Problem, state: State) -> float:
    """What the rounding of the residuals does to the energy: it moves every coordinate."""
    moves = state.noise * np.abs(np.linalg.pinv(state.jacobian)).sum(axis=1)
    shifts = _STEP * np.vstack([np.zeros(len(moves)), np.eye(len(moves))])
    found = [(problem, problem.state(state.coordinates + shift, ROUGH, jacobian=False)) for shift in shifts]
    return _changes(setting, found) @ moves / _STEP


def _of_reference(setting: Setting, problem: Problem, state: State, uncertain: Mapping[str, float]) -> float:
    """What the uncertainty of the order parameters of a reference does to the energy, along the saddle."""
    steps = {name: 1e-6 * max(abs(problem.given[name]), 1e-3) for name in uncertain}
    given = [problem.given, *({**problem.given, name: problem.given[name] - step} for name, step in steps.items())]
    moved = [Problem(problem.kernel, problem.parameters, there) for there in given]
    moves = np.array([uncertain[name] / step for name, step in steps.items()])
    return _changes(setting, [(there, followed(there, state, ROUGH)) for there in moved]) @ moves if steps else 0.0


def _changes(setting: Setting, states: Sequence[tuple[Problem, State | None]]) -> Vector:
    """By how much the energy differs from that of the first state at each of the others; infinitely outside the domain."""
    here, *others = (math.inf if state is None else energy(setting, problem, state, ROUGH) for problem, state in states)
    return np.array([abs(there - here) if math.isfinite(there - here) else math.inf for there in others])
