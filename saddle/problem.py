r"""The saddle-point problem of a compiled kernel: coordinates, residuals and Jacobian at fixed parameters.

Let ``Q`` be the overlaps and ``A(Q)``, ``W(Qhat)`` the marked averages of the two sides.  For discrete weights the
conjugates of the free overlaps are explicit, :math:`\hat Q = \alpha A(Q)`; unknown are the free overlaps and
the conjugates of the imposed ones, and the residuals are :math:`Q - W(\hat Q)`, which Newton's method sees relative to
:math:`1 - |Q|`: near 1 both sides agree for no reason.  For spherical weights the overlaps alone
are unknown and the residuals are :math:`(\alpha A(Q) - \hat Q(Q)) / (1 + |\hat Q|)`.

Coordinates keep the overlap matrix positive: an overlap that adds a variance to the regression is replaced by the logit
of its pivot relative to what was left to explain.  Everything is by name of the order parameters; nothing here knows an
ansatz.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from replica.ansatz import conjugate
from saddle.quadrature import Rule

Vector = np.ndarray
_LARGEST_LOGIT = 600.0
_EPS = float(np.finfo(float).eps)
_LARGEST_NOISE = 1e-5
"""Rounding of the relative residuals beyond which a point has no digits: an overlap within 1e-9 of 1."""
_IDENTITY = 1e-5
"""Difference of two overlaps that are equal by an identity: a solved saddle is far closer, another branch far off."""
_PLAIN = Rule()


@dataclass(frozen=True)
class Place:
    """The overlaps at some coordinates.

    ``pivots`` and ``remaining`` (what is left to 1) are free of cancellation; ``chain`` is the derivative of the unknowns
    (free overlaps, imposed conjugates) in the coordinates.
    """

    overlaps: dict[str, float]
    pivots: dict[str, float]
    remaining: dict[str, float]
    chain: Vector


@dataclass(frozen=True)
class State:
    """All quantities at one point in coordinates.

    ``residuals`` are undamped, ``relative`` the same relative to what an overlap has left to 1; ``jacobian`` is of the
    latter with respect to the coordinates (None if it was not asked for); ``noise`` is its rounding error;
    ``orientation`` is the sign of its determinant relative to no patterns: negative past a fold.
    """

    coordinates: Vector
    place: Place
    conjugates: dict[str, float]
    free_entropy: float
    scale: float
    energetic: float
    energetic_pairs: dict[str, float]
    residuals: Vector
    relative: Vector
    noise: float
    jacobian: Vector | None
    orientation: float = 1.0

    @property
    def singularity(self) -> float:
        """Smallest singular value of the Jacobian with normalised columns: 0 where a branch folds or freezes."""
        assert self.jacobian is not None
        columns = np.maximum(np.linalg.norm(self.jacobian, axis=0), np.finfo(float).tiny)
        return float(np.linalg.svd(self.jacobian / columns, compute_uv=False)[-1])

    @property
    def overlaps(self) -> dict[str, float]:
        """The overlaps by name."""
        return self.place.overlaps

    @property
    def pivots(self) -> dict[str, float]:
        """The pivots by the name of their overlap."""
        return self.place.pivots

    @property
    def residual(self) -> float:
        """The largest undamped residual; infinite outside the domain."""
        largest = float(np.max(np.abs(self.residuals), initial=0.0))
        return largest if math.isfinite(largest) and math.isfinite(self.free_entropy) else math.inf

    def solved(self, tolerance: float) -> bool:
        """Whether the relative residuals are below the tolerance, or below their own rounding error."""
        if not math.isfinite(self.residual) or self.noise > _LARGEST_NOISE:
            return False
        return float(np.max(np.abs(self.relative), initial=0.0)) <= max(tolerance, self.noise)


class Problem:
    """The equations of one kernel at fixed parameters.

    Parameters
    ----------
    kernel : module
        See :mod:`saddle.kernel`.
    parameters : mapping
        ``alpha``, the constraint's parameters, multiplicities that stay, and imposed overlaps by name.
    given : mapping
        Overlaps and conjugates that the reference determines.
    """

    def __init__(self, kernel: ModuleType, parameters: Mapping[str, float], given: Mapping[str, float]) -> None:
        self.kernel, self.meta = kernel, kernel.META
        self.parameters, self.given = dict(parameters), dict(given)
        self.alpha = self.parameters["alpha"]
        meta = self.meta
        self.discrete: bool = meta["discrete"]
        self.active: list[str] = meta["active"]
        self.free: list[str] = meta["free"]
        self.imposed: list[str] = meta["imposed"]
        self.pivots: list[str] = meta["pivots"]
        self.unknown = self.free + ([conjugate(k) for k in self.imposed] if self.discrete else [])
        self._own_pivots: list[str] = meta["own_pivots"]
        self._index = {name: i for i, name in enumerate(self.active)}
        self._free_at = np.array([self._index[k] for k in self.free], dtype=int)
        self._free_rows = self._free_at[:, None]
        self._imposed_at = np.array([self._index[k] for k in self.imposed], dtype=int)
        self._as_columns = np.concatenate([self._free_at, self._imposed_at])
        self._unit_columns = np.eye(len(self.active))[:, self._free_at]
        self._tail = [self.parameters[k] for k in meta["multiplicities"]]
        self._constraint = [self.parameters[k] for k in meta["constraint"]]
        self._given_overlaps = [self.given[k] for k in meta["given"]]
        self._given_conjugates = [self.given[conjugate(k)] for k in meta["given"]]

    def call(self, name: str, arguments: list[float], size: int, rule: Rule) -> Vector:
        """Run a kernel function."""
        sinh, cosh, origin = rule.tables()
        out = np.full(size, math.nan)
        try:
            getattr(self.kernel, name)(np.array(arguments), sinh, cosh, origin, rule.step / 4, rule.reach, out)
        except (ZeroDivisionError, ValueError, OverflowError):
            return np.full(size, math.nan)
        return out

    def energetic_arguments(self, place: Place) -> list[float]:
        """The parameter array of the energetic functions."""
        return [*self._overlap_arguments(place), *self._tail, *self._constraint]

    def weights_arguments(self, place: Place, conjugates: Mapping[str, float]) -> list[float]:
        """The parameter array of the weights functions."""
        if not self.discrete:
            return [*self._overlap_arguments(place), *self._tail]
        return [*(conjugates[conjugate(k)] for k in self.active), *self._given_conjugates, *self._tail]

    def _overlap_arguments(self, place: Place) -> list[float]:
        """Overlaps, pivots that are arguments of their own, and what is left to 1."""
        return [
            *(place.overlaps[k] for k in self.active),
            *self._given_overlaps,
            *(place.pivots[k] for k in self._own_pivots),
            *(place.remaining[k] for k in self.pivots),
        ]

    def raw_place(self, overlaps: Mapping[str, float]) -> Place:
        """The place of overlaps as they are, inside the domain or not (pivots are then differences)."""
        table = self._pivot_table(overlaps)
        pivots = {k: overlaps[k] - table[i][0] for i, k in enumerate(self.pivots)}
        remaining = {k: 1.0 - overlaps[k] for k in self.pivots}
        return Place(dict(overlaps), pivots, remaining, np.eye(len(self.unknown)))

    def _pivot_table(self, overlaps: Mapping[str, float]) -> list[tuple[float, float, list[float]]]:
        """For every pivot: explained variance, what is left, gradient of the explained in the free overlaps."""
        width = 2 + len(self.free)
        given = (overlaps.get(k, value) for k, value in zip(self.meta["given"], self._given_overlaps, strict=True))
        arguments = [*(overlaps.get(k, 0.0) for k in self.active), *given]
        values = self.call("pivots", arguments, width * len(self.pivots), _PLAIN).tolist()
        return [
            (values[i], values[i + 1], values[i + 2 : i + width]) for i in range(0, width * len(self.pivots), width)
        ]

    def explained_gradient(self, x: Vector) -> Vector:
        """Gradient, in the free overlaps, of the variance that the pivots find already explained."""
        overlaps = {k: self.parameters[k] for k in self.imposed} | dict(zip(self.free, x.tolist(), strict=True))
        return np.sum([gradient for _, _, gradient in self._pivot_table(overlaps)], axis=0)

    def place(self, x: Vector) -> Place | None:
        """The overlaps at these coordinates; None outside the domain."""
        overlaps = {k: self.parameters[k] for k in self.imposed}
        coordinates = x.tolist()
        overlaps.update(zip(self.free, coordinates, strict=False))
        pivots: dict[str, float] = {}
        remaining = {k: 1.0 - abs(overlaps[k]) for k in self.imposed}
        chain, m = np.eye(len(x)), len(self.free)
        for level, name in enumerate(self.pivots):
            explained, left, gradient = self._pivot_table(overlaps)[level]
            beyond = self._beyond(name)
            left -= beyond
            if not left > 0.0:
                return None
            i = self.free.index(name)
            ratio = _sigmoid(coordinates[i])
            pivots[name] = ratio * left
            remaining[name] = _sigmoid(-coordinates[i]) * left + beyond
            overlaps[name] = explained + pivots[name]
            chain[i, :m] = (1.0 - ratio) * np.array(gradient)
            chain[i, i] = ratio * (1.0 - ratio) * left
        return Place(overlaps, pivots, remaining, chain)

    def _beyond(self, name: str) -> float:
        """The part of what a pivot could explain that an imposed overlap further down keeps from it."""
        ceiling = self.meta["ceilings"].get(name)
        return 0.0 if ceiling is None else 1.0 - self.parameters[ceiling]

    def to_coordinates(self, values: Mapping[str, float]) -> Vector:
        """Coordinates of a set of order parameters (free overlaps, and conjugates of imposed ones).

        Values may come from other parameters of the problem: where they hold their own imposed and given overlaps, the
        coordinates are those of that point, so that a neighbour's solution stays inside the domain.  Overlaps on or outside
        the border are moved just inside.
        """
        overlaps = {k: self.parameters[k] for k in self.imposed} | {
            k: values[k] for k in (*self.active, *self.meta["given"]) if k in values
        }
        table = dict(zip(self.pivots, self._pivot_table(overlaps), strict=True))
        x = []
        for name in self.free:
            if name in self.pivots:
                explained, left, _ = table[name]
                left -= self._beyond(name)
                x.append(_logit((overlaps[name] - explained) / left if left > 0 else 0.5))
            else:
                x.append(overlaps[name])
        if self.discrete:
            x += [values[conjugate(k)] for k in self.imposed]
        return np.array(x)

    def state(self, x: Vector, rule: Rule, jacobian: bool = True) -> State | None:
        """Everything at these coordinates, None outside the domain."""
        place = self.place(x)
        if place is None:
            return None
        overlaps = place.overlaps
        n = len(self.active)
        size = 1 + n + (n * n if jacobian else 0)
        name = "energetic_jacobian" if jacobian else "energetic"
        energetic = self.call(name, self.energetic_arguments(place), size, rule)
        pairs = energetic[1 : n + 1]
        conjugates = {conjugate(k): self.alpha * float(pairs[i]) for i, k in enumerate(self.active)}
        for i, k in enumerate(self.imposed):
            if self.discrete:
                conjugates[conjugate(k)] = float(x[len(self.free) + i])
        weights = self._weights(place, conjugates, rule, jacobian)
        build = self._discrete if self.discrete else self._continuous
        residuals, matrix, orientation = build(overlaps, pairs, energetic[n + 1 :], weights, jacobian)
        if not self.discrete:
            for k in self.imposed:
                conjugates[conjugate(k)] = float(weights[1 + self._index[k]])
        left = np.array([place.remaining.get(k, 1.0) for k in self.active])
        relative, noise = residuals, 32 * _EPS / float(np.min(left, initial=1.0))
        if self.discrete:
            relative = residuals / left
        if matrix is not None:
            matrix = matrix @ place.chain
            if self.discrete:
                matrix = matrix / left[:, None]
                for row, k in enumerate(self.free):
                    if k in self.pivots:
                        matrix[self._index[k]] += relative[self._index[k]] / left[self._index[k]] * place.chain[row]
        interaction, scale = self._interaction(overlaps, conjugates)
        terms = (interaction, float(weights[0]), self.alpha * float(energetic[0]))
        return State(
            coordinates=np.array(x, dtype=float),
            place=place,
            conjugates=conjugates,
            free_entropy=sum(terms),
            scale=scale + abs(terms[1]) + abs(terms[2]),
            energetic=float(energetic[0]),
            energetic_pairs={k: float(pairs[i]) for i, k in enumerate(self.active)},
            residuals=residuals,
            relative=relative,
            noise=noise,
            jacobian=matrix,
            orientation=orientation,
        )

    def _weights(self, place: Place, conjugates: dict, rule: Rule, jacobian: bool) -> Vector:
        n = len(self.active)
        columns = n if self.discrete else len(self.free)
        size = 1 + n + (n * columns if jacobian else 0)
        name = "weights_jacobian" if jacobian else "weights"
        return self.call(name, self.weights_arguments(place, conjugates), size, rule)

    def _discrete(
        self, overlaps: dict, pairs: Vector, slopes: Vector, weights: Vector, jacobian: bool
    ) -> tuple[Vector, Vector | None, float]:
        """Residuals ``Q - W(Qhat)`` and their derivatives in the free overlaps and the imposed conjugates."""
        n = len(self.active)
        residuals = np.array([overlaps[k] for k in self.active]) - weights[1 : n + 1]
        if not jacobian:
            return residuals, None, 1.0
        m = len(self.free)
        d_pairs = self.alpha * slopes.reshape(n, n)[self._free_rows, self._free_at]
        d_weights = weights[n + 1 :].reshape(n, n)
        matrix = np.empty((n, n))
        matrix[:, :m] = self._unit_columns - d_weights[:, self._free_at] @ d_pairs
        matrix[:, m:] = -d_weights[:, self._imposed_at]
        return residuals, matrix, math.copysign(1.0, (-1.0) ** (n - m) * np.linalg.det(matrix[self._as_columns]))

    def _continuous(
        self, overlaps: dict, pairs: Vector, slopes: Vector, weights: Vector, jacobian: bool
    ) -> tuple[Vector, Vector | None, float]:
        """Residuals ``alpha A(Q) - Qhat(Q)``, relative, and their derivatives in the free overlaps."""
        n = len(self.active)
        free = self._free_at
        target = weights[1 : n + 1][free]
        size = 1.0 + np.abs(target)
        residuals = (self.alpha * pairs[free] - target) / size
        if not jacobian:
            return residuals, None, 1.0
        d_pairs = self.alpha * slopes.reshape(n, n)[self._free_rows, free]
        d_target = weights[n + 1 :].reshape(n, len(free))[free]
        outer = (residuals * np.sign(target) / size)[:, None] * d_target
        orientation = float(np.sign(np.linalg.det(d_pairs - d_target) * np.linalg.det(-d_target)))
        return residuals, (d_pairs - d_target) / size[:, None] - outer, orientation

    def _interaction(self, overlaps: dict, conjugates: dict) -> tuple[float, float]:
        """The interaction term, and the sum of the sizes of its parts (for the rounding error)."""
        if not self.discrete:
            # The logarithm of a determinant rounds like a number of order 1, however small it is itself.
            return 0.0, 1.0
        arguments = [*(overlaps[k] for k in self.active), *self._given_overlaps]
        arguments += [*(conjugates[conjugate(k)] for k in self.active), *self._given_conjugates, *self._tail]
        values = self.call("interaction", arguments, 1 + len(self.active), _PLAIN).tolist()
        parts = [abs(values[1 + i] * overlaps[k] * conjugates[conjugate(k)]) for i, k in enumerate(self.active)]
        return values[0], sum(parts)

    def obeys_identities(self, state: State) -> bool:
        """Whether overlaps that are equal by an exact identity here are equal at this state."""
        where, equal = self.meta["nishimori"]
        if not equal or any(self.parameters[name] != value for name, value in where.items()):
            return True
        return all(abs(state.overlaps[a] - state.overlaps[b]) <= _IDENTITY for a, b in equal)

    def load_derivative(self, state: State, rule: Rule) -> Vector:
        """Derivative of the relative residuals in the load, which enters through the conjugates of free overlaps."""
        n, free = len(self.active), self._free_at
        pairs = np.array([state.energetic_pairs[k] for k in self.active])[free]
        weights = self._weights(state.place, state.conjugates, rule, True)
        if not self.discrete:
            return pairs / (1.0 + np.abs(weights[1 : n + 1][free]))
        left = np.array([state.place.remaining.get(k, 1.0) for k in self.active])
        return -(weights[n + 1 :].reshape(n, n)[:, free] @ pairs) / left

    def slope(self, state: State, name: str) -> float:
        """Derivative of the free entropy in an imposed overlap, at a saddle."""
        arguments = [*(state.overlaps[k] for k in self.active), *self._given_overlaps]
        arguments += [*(state.conjugates[conjugate(k)] for k in self.active), *self._given_conjugates, *self._tail]
        weight = self.call("interaction", arguments, 1 + len(self.active), _PLAIN)[1 + self._index[name]]
        energetic = self.alpha * state.energetic_pairs[name]
        return float(weight) * (energetic - state.conjugates[conjugate(name)])

    def internal(self, state: State, rule: Rule) -> dict[str, float]:
        r"""Derivative of the free entropy of all copies in each multiplicity that stays, at fixed order parameters.

        :math:`\partial_m (m \phi)` for ``m`` replicas of a state, :math:`\partial_y \Phi` for ``y`` real replicas: the
        entropy of one of them.
        """
        names = self.meta["multiplicities"]
        energetic = self.call("energetic_multiplicities", self.energetic_arguments(state.place), len(names), rule)
        arguments = self.weights_arguments(state.place, state.conjugates)
        weights = self.call("weights_multiplicities", arguments, len(names), rule)
        closed = self._closed("multiplicities", state, 2 * len(names))[len(names) :] if self.discrete else [0.0] * len(names)
        return {
            name: float(closed[i] + weights[i] + self.alpha * energetic[i]) for i, name in enumerate(names)
        }

    def copies(self, state: State) -> dict[str, float]:
        """How often the free entropy is to be taken for all replicas that each multiplicity counts."""
        names = self.meta["multiplicities"]
        return dict(zip(names, map(float, self._closed("multiplicities", state, 2 * len(names))), strict=False))

    def _closed(self, name: str, state: State, size: int) -> Vector:
        """A closed form of all order parameters."""
        arguments = [*(state.overlaps[k] for k in self.active), *self._given_overlaps]
        arguments += [*(state.conjugates[conjugate(k)] for k in self.active), *self._given_conjugates, *self._tail]
        return self.call(name, arguments, size, _PLAIN)

    def observables(self, state: State, rule: Rule) -> dict[str, Any]:
        """Replicons (1 - alpha times both factors) and explicit derivatives of the energetic term, by name."""
        names, constraint = self.meta["replicons"], self.meta["constraint"]
        energetic = self.call(
            "energetic_observables", self.energetic_arguments(state.place), len(names) + len(constraint), rule
        )
        arguments = self.weights_arguments(state.place, state.conjugates)
        weights = self.call("weights_observables", arguments, len(names), rule)
        replicons = {k: 1.0 - self.alpha * float(energetic[i] * weights[i]) for i, k in enumerate(names)}
        derivatives = {k: self.alpha * float(energetic[len(names) + i]) for i, k in enumerate(constraint)}
        return {"replicons": replicons, "derivatives": derivatives}


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x > -_LARGEST_LOGIT else 0.0


def _logit(ratio: float) -> float:
    ratio = min(max(ratio, 1e-12), 1.0 - 1e-12)
    return math.log(ratio) - math.log1p(-ratio)
