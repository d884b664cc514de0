r"""What the error of a covariance that is a series does to entropies at a saddle.

Only the free entropy is stationary: with :math:`w_k` its derivative in the covariance of the overlap :math:`q_k`, which is
known at most :math:`\epsilon(q_k)` off, its error is :math:`\sum_k |w_k|\,\epsilon(q_k)`.  The entropy inside of a cluster
of ``m`` replicas is the derivative of that of all of them along the saddle, :math:`\Phi'(m)` (and an energy is one in an
inverse temperature), so that its error is

.. math:: \sum_k \big|w_k'(m)\big|\,\epsilon(q_k) + \big|w_k\, q_k'(m)\big|\,\epsilon'(q_k),

and in the complexity :math:`\Phi - m\,\Phi'` both meet.  What a series leaves out has positive coefficients only: it is
convex, and its slope at most that of a chord of its bound, :math:`\epsilon' \le \epsilon(q + s)/s` for any ``s``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from saddle.kernels.quadrature import Rule
from saddle.points.newton import followed
from saddle.points.problem import Problem, State, Vector

_STEP = 1e-4
"""Relative change of a parameter for differences: they are good to about as much, enough for an error."""
_CHORDS = tuple(2.0**-k for k in range(16))
"""Lengths of chords, in parts of what an overlap leaves to 1."""


@dataclass(frozen=True)
class Response:
    """Derivatives of the free entropy in the covariances and their errors; the last is that of the variance of a field.

    A change of the variance is one of all covariances and, by scaling, half a relative one of the margins.
    """

    slopes: Vector
    errors: Vector

    @property
    def of_free_entropy(self) -> float:
        """The error of the free entropy, which is stationary in all else."""
        return float(np.abs(self.slopes) @ self.errors) if len(self.slopes) else 0.0


_EXACT = Response(np.zeros(0), np.zeros(0))


def response(problem: Problem, state: State, rule: Rule) -> Response:
    """How the free entropy at a state depends on the covariances; without any where these are exact."""
    if not problem.meta["covariance_error"]:
        return _EXACT
    derivatives, bounds, of_variance = _covariances(problem, state, rule, 0.0)
    pairs = problem.alpha * np.array([state.energetic_pairs[k] for k in problem.active]) * problem.interaction_weights
    # a covariance that does not depend on its overlap has no average either
    slopes = np.divide(pairs, derivatives, out=np.zeros(len(pairs)), where=derivatives != 0.0)
    moved = problem.observables(state, rule)["derivatives"]
    scaled = sum(abs(problem.parameters[c] * derivative) for c, derivative in moved.items())
    last = 0.5 * scaled / problem.meta["field_variance"]
    return Response(np.append(slopes, last), np.append(bounds + of_variance, of_variance))


def errors_of_derivative(problem: Problem, state: State, rule: Rule, name: str) -> tuple[float, float, float]:
    """The errors of the free entropy, of its derivative in a parameter, and of it less the parameter times that.

    In a multiplicity that is the entropy inside of a cluster and the complexity, of the free entropy of all copies.  All are
    0 where covariances are exact.  ``state`` has a Jacobian.
    """
    here = response(problem, state, rule)
    if not len(here.slopes):
        return 0.0, 0.0, 0.0
    m, copies = problem.parameters[name], _copies(problem, state, name)
    there = Problem(problem.kernel, {**problem.parameters, name: m * (1.0 + _STEP)}, problem.given)
    shifted = followed(there, state, rule)
    if shifted is None:
        return here.of_free_entropy, np.inf, np.inf
    slopes = copies * here.slopes
    rates = (_copies(there, shifted, name) * response(there, shifted, rule).slopes - slopes) / (_STEP * m)
    moves = np.array([abs(shifted.overlaps[k] - state.overlaps[k]) for k in problem.active]) / (_STEP * m)
    of_move = float(np.abs(slopes[:-1]) @ (moves * _steepness(problem, state, rule)))
    slope = float(np.abs(rates) @ here.errors) + of_move
    return here.of_free_entropy, slope, float(np.abs(slopes - m * rates) @ here.errors) + m * of_move


def _copies(problem: Problem, state: State, name: str) -> float:
    """How often the free entropy is taken where it is differentiated in a parameter."""
    return problem.copies(state)[name] if name in problem.meta["multiplicities"] else 1.0


def _covariances(problem: Problem, state: State, rule: Rule, share: float) -> tuple[Vector, Vector, float]:
    """Derivatives and errors of the covariances of overlaps moved towards 1 by a share, and the error of the variance."""
    overlaps = [*(state.overlaps[k] for k in problem.active), *(problem.given[k] for k in problem.shape.given)]
    moved = [q + share * (1.0 - q) for q in map(abs, overlaps)] if share else overlaps
    found = problem.call("covariance_error", moved, 2 * len(problem.active) + 1, rule)
    return found[:-1:2], found[1:-1:2], float(found[-1])


def _steepness(problem: Problem, state: State, rule: Rule) -> Vector:
    """Bounds of how fast the errors of the covariances grow with the overlaps."""
    left = 1.0 - np.abs([state.overlaps[k] for k in problem.active])
    chords = [_covariances(problem, state, rule, share)[1] / (share * left) for share in _CHORDS]
    found: Vector = np.min(chords, axis=0)
    return found
