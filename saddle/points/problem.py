r"""The saddle-point problem of a compiled kernel at fixed parameters: coordinates, states, and names for what they hold.

The equations themselves are in :mod:`saddle.kernels.assembly`, which is compiled with every kernel.  Coordinates keep the
overlap matrix positive: an overlap that adds a variance to the regression is replaced by the logit of its pivot relative
to what was left to explain.  Everything is by name of the order parameters; nothing here knows an ansatz.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from types import ModuleType

import numpy as np

from replica.ansatz import conjugate
from saddle.kernels.quadrature import Rule
from saddle.points.state import Place, State, Vector, shape_of

__all__ = ["Observables", "Place", "Problem", "State", "Vector"]

Observables = dict[str, dict[str, float]]
"""``replicons`` by the name of their overlap, ``derivatives`` of the energetic term by that of their parameter."""
_IDENTITY = 1e-5
"""Difference of two overlaps that are equal by an identity: a solved saddle is far closer, another branch far off."""
_BROKEN = (ZeroDivisionError, ValueError, OverflowError)
"""What a kernel raises outside the domain where it runs without a compiler."""
_EPS = float(np.finfo(float).eps)
_PLAIN = Rule()
_SMALLEST_ROOM = 5e-3
"""What an imposed overlap leaves to 1 from which a coarse rule has digits enough, relative to it."""


class Problem:
    """The equations of one kernel at fixed parameters.

    Parameters
    ----------
    kernel : module
        See :mod:`saddle.kernels.kernel`.
    parameters : mapping
        ``alpha``, the constraint's parameters, multiplicities that stay, and imposed overlaps by name.
    given : mapping
        Overlaps and conjugates that the reference determines.
    """

    def __init__(self, kernel: ModuleType, parameters: Mapping[str, float], given: Mapping[str, float]) -> None:
        self.kernel, self.meta, self.shape = kernel, kernel.META, shape_of(kernel)
        self.parameters, self.given = parameters, given
        self.alpha = parameters["alpha"]
        shape, meta = self.shape, self.meta
        self.discrete, self.active, self.free = shape.discrete, shape.active, shape.free
        self.imposed, self.pivots, self.unknown = shape.imposed, shape.pivots, shape.unknown
        self._tail = [parameters[k] for k in meta["multiplicities"]]
        self._constraint = [parameters[k] for k in meta["constraint"]]
        self._given_overlaps = [given[k] for k in shape.given]
        self._given_conjugates = [given[conjugate(k)] for k in shape.given]
        self.rooms: list[float] = []
        """What the imposed overlaps leave to 1, or to the norms."""
        fixed = [self.alpha, *(self._imposed() if self.imposed else ()), *self._given_overlaps, *self._given_conjugates]
        self._origin = self._origins(parameters) if shape.offsets else {}
        origins = [self._origin.get(k, 0.0) for k in self.free]
        self._fixed = np.array([*fixed, *self._tail, *self._constraint, *origins])

    def _imposed(self) -> list[float]:
        """Imposed overlaps (without what a free norm adds), their rooms, and how norms and they move together."""
        shape = self.shape
        values = [self.parameters[k] + sum(self._given_shares(k)) for k in self.imposed]
        if not shape.norms:
            self.rooms = [self._room(value) for value in values]
            return [*values, *self.rooms]
        shares = np.array([[0.5 * shape.imposed_norms[k].count(norm) for norm in shape.norms] for k in self.imposed])
        self.rooms = [-self.parameters[k] for k in self.imposed]
        return [*values, *self.rooms, *shares.ravel(), *self._ties(shares).ravel()]

    def _room(self, imposed: float) -> float:
        """What an imposed overlap keeps from those above it: up to itself, or up to where the overlap matrix is positive.

        With ``y`` replicas in a cluster that are farther apart than those of different clusters, its lowest eigenvalue is
        :math:`1 - q_1 + y (q_1 - q_0)`.
        """
        room = 1.0 - imposed
        return room * (1.0 - 1.0 / self._tail[0]) if self.meta["continued"] else room

    def _given_shares(self, imposed: str) -> list[float]:
        return [0.5 * self.given[norm] for norm in self.shape.imposed_norms[imposed] if norm in self.given]

    def _ties(self, shares: Vector) -> Vector:
        """At a fixed distance an imposed overlap moves with the norms: their stationarity holds along with its own."""
        weight = np.array(self.interaction_weights)
        imposed, norms = ([self.shape.index[k] for k in names] for names in (self.imposed, self.shape.norms))
        return shares * weight[imposed][:, None] / weight[norms]

    def impose(self, overlaps: dict[str, float]) -> dict[str, float]:
        """The overlaps with the imposed ones at their values: half the sum of two norms less what a distance takes off."""
        for k, norms in self.shape.imposed_norms.items():
            shares = (0.5 * (overlaps[norm] if norm in overlaps else self.given[norm]) for norm in norms)
            overlaps[k] = self.parameters[k] + sum(shares)
        return overlaps

    def call(self, name: str, arguments: list[float], size: int, rule: Rule) -> Vector:
        """Run a kernel function."""
        out = np.empty(size)
        try:
            getattr(self.kernel, name)(np.array(arguments, dtype=float), *rule.nodes(), out)
        except _BROKEN:
            out.fill(math.nan)
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
        """Overlaps, pivots that are arguments of their own, what is left to 1, and offsets."""
        return [
            *(place.overlaps[k] for k in self.active),
            *self._given_overlaps,
            *(place.pivots[k] for k in self.shape.own_pivots),
            *(place.remaining[k] for k in self.pivots),
            *(place.offsets[k] for k in self.shape.offsets),
        ]

    def raw_place(self, overlaps: Mapping[str, float]) -> Place:
        """The place of overlaps as they are, inside the domain or not (pivots are then differences)."""
        table = self._pivot_table(overlaps)
        pivots = {k: overlaps[k] - table[i][0] for i, k in enumerate(self.pivots)}
        remaining = {k: overlaps.get(self.shape.norm_of.get(k, ""), 1.0) - overlaps[k] for k in self.pivots}
        offsets = {k: overlaps[k] - origin for k, origin in self._origins(overlaps).items()}
        return Place(dict(overlaps), pivots, remaining, np.eye(len(self.unknown)), offsets)

    def _origins(self, overlaps: Mapping[str, float]) -> dict[str, float]:
        """Where the overlaps that have an origin are measured from, at these imposed and given overlaps."""
        names = self.shape.offsets
        if not names:
            return {}
        given = (overlaps.get(k, value) for k, value in zip(self.shape.given, self._given_overlaps, strict=True))
        arguments = [*(overlaps.get(k, 0.0) for k in self.active), *given]
        return dict(zip(names, self.call("origins", arguments, len(names), _PLAIN).tolist(), strict=True))

    def _pivot_table(self, overlaps: Mapping[str, float]) -> list[tuple[float, float, list[float]]]:
        """For every pivot: explained variance, what is left, gradient of the explained in the free overlaps."""
        width = 2 + len(self.free)
        given = (overlaps.get(k, value) for k, value in zip(self.shape.given, self._given_overlaps, strict=True))
        arguments = [*(overlaps.get(k, 0.0) for k in self.active), *given]
        values = self.call("pivots", arguments, width * len(self.pivots), _PLAIN).tolist()
        return [
            (values[i], values[i + 1], values[i + 2 : i + width]) for i in range(0, width * len(self.pivots), width)
        ]

    def explained_gradient(self, x: Vector) -> Vector:
        """Gradient, in the free overlaps, of the variance that the pivots find already explained."""
        measured = zip(self.free, x.tolist(), strict=True)
        overlaps = self.impose({k: self._origin.get(k, 0.0) + value for k, value in measured})
        return np.sum([gradient for _, _, gradient in self._pivot_table(overlaps)], axis=0)

    def place(self, x: Vector) -> Place | None:
        """The overlaps at these coordinates; None outside the domain."""
        record = np.empty(self.shape.record_size)
        try:
            inside = self.kernel.place(np.array(x, dtype=float), self._fixed, *_PLAIN.nodes(), record)
        except _BROKEN:
            return None
        return self.shape.place(record) if inside else None

    def to_coordinates(self, values: Mapping[str, float]) -> Vector:
        """Coordinates of a set of order parameters (free overlaps, and conjugates of imposed ones).

        Values may come from other parameters of the problem: where they hold their own imposed and given overlaps, the
        coordinates are those of that point, so that a neighbour's solution stays inside the domain.  Overlaps on or outside
        the border are moved just inside.
        """
        shape = self.shape
        overlaps = self.impose({k: values[k] for k in shape.norms}) if self.imposed else {}
        known = [values[k] if k in values else overlaps[k] for k in self.active]
        known += [values.get(k, value) for k, value in zip(shape.given, self._given_overlaps, strict=True)]
        x = np.empty(len(self.unknown))
        try:
            self.kernel.coordinates(np.array(known, dtype=float), self._fixed, *_PLAIN.nodes(), x)
        except _BROKEN:
            x.fill(math.nan)
        if self.discrete and self.imposed:
            x[len(self.free) :] = [values[conjugate(k)] for k in self.imposed]
        return x

    def state(self, x: Vector, rule: Rule, jacobian: bool = True) -> State | None:
        """Everything at these coordinates, None outside the domain."""
        x, record = np.array(x, dtype=float), np.empty(self.shape.record_size)
        try:
            inside = self.kernel.equations(x, self._fixed, *rule.nodes(), jacobian, record)
        except _BROKEN:
            return None
        return State(self.shape, x, record) if inside else None

    def newton(
        self, x: Vector, rule: Rule, tolerance: float, most: int, halvings: int
    ) -> tuple[State | None, list[float], bool]:
        """Newton's method: the last state, residual and damping of every step in turn, and whether it converged."""
        tolerance = max(tolerance, self.rounding)
        if (coarse := self._coarse(rule)) is not rule:
            found = self._newton(x, rule, coarse, tolerance, most, halvings)
            if found[2]:
                return found
        return self._newton(x, rule, rule, tolerance, most, halvings)

    @cached_property
    def exponent(self) -> float:
        r"""The largest exponent that cancels where the reference's fields are far in a tail, 0 without a reference.

        At a margin :math:`\kappa_r` it is about :math:`\kappa_r^2 / 2(1 - q_r)`.
        """
        rest = min((1.0 - self.given[name] for name in self.shape.given), default=0.0)
        prefixes = tuple(prefix for prefix in self.meta["prefixes"].values() if prefix)
        margins = [self.parameters[c] for c in self.meta["constraint"] if c.startswith(prefixes) and c.endswith("kappa")]
        return 0.5 * max((margin * margin for margin in margins), default=0.0) / rest if rest > 0.0 else 0.0

    @property
    def rounding(self) -> float:
        """Residuals as small as the rounding of those exponents lets them be, which conjugates multiply."""
        largest = max(map(abs, self._given_conjugates), default=0.0)
        return 0.1 * _EPS * self.exponent * math.sqrt(max(1.0, largest))

    def _coarse(self, rule: Rule) -> Rule:
        """A rule for the first steps; that itself where its errors, relative to what is left to 1, would be large.

        Averages of powers are sharper than a coarse rule sees.
        """
        if self._tail or (self.rooms and min(map(abs, self.rooms)) < _SMALLEST_ROOM):
            return rule
        return rule.coarse()

    def _newton(
        self, x: Vector, rule: Rule, coarse: Rule, tolerance: float, most: int, halvings: int
    ) -> tuple[State | None, list[float], bool]:
        record, log, coordinates = np.empty(self.shape.record_size), np.empty(2 * most + 2), np.array(x, dtype=float)
        try:
            lines, converged = self.kernel.newton(
                coordinates, self._fixed, *rule.nodes(), *coarse.nodes(), tolerance, most, halvings, record, log
            )
        except _BROKEN:
            return None, [], False
        return State(self.shape, coordinates, record) if lines else None, log[: 2 * lines].tolist(), converged

    def obeys_identities(self, state: State) -> bool:
        """Whether overlaps that are equal by an exact identity here are equal at this state."""
        where, equal = self.meta["nishimori"]
        if not equal or any(self.parameters[name] != float(value) for name, value in where.items()):
            return True
        return all(abs(state.overlaps[a] - state.overlaps[b]) <= _IDENTITY for a, b in equal)

    def load_derivative(self, state: State, rule: Rule) -> Vector:
        """Derivative of the relative residuals in the load, which enters through the conjugates of free overlaps."""
        n, free = len(self.active), [self.shape.index[k] for k in self.free]
        pairs = self.tied(np.array([*state.energetic_pairs.values()]))
        size = 1 + n + n * (n if self.discrete else len(free))
        if not self.discrete:
            weights = self.call("weights_jacobian", self.weights_arguments(state.place, {}), size, rule)
            return pairs / (1.0 + np.abs(self.tied(weights[1 : n + 1])))
        conjugates = [*state.record[slice(*self.shape.sections["conjugates"])], *self._given_conjugates, *self._tail]
        weights = self.call("weights_jacobian", conjugates, size, rule)
        left = state.record[slice(*self.shape.sections["left"])]
        return -(weights[n + 1 :].reshape(n, n)[:, free] @ pairs) / left

    def tied(self, averages: Vector) -> Vector:
        """What fixes the free conjugates: averages of the free overlaps, and of those that move along with a norm."""
        found = averages[[self.shape.index[k] for k in self.free]]
        for norm, ties in self._norm_ties():
            found[self.free.index(norm)] += ties @ averages[[self.shape.index[k] for k in self.imposed]]
        return found

    def _norm_ties(self) -> list[tuple[str, Vector]]:
        """Every free norm with its ties to the imposed overlaps."""
        norms, size = self.shape.norms, len(self.shape.norms) * len(self.imposed)
        if not size:
            return []
        start = 1 + 2 * len(self.imposed) + size
        ties = self._fixed[start : start + size].reshape(len(self.imposed), len(norms))
        return [(norm, ties[:, j]) for j, norm in enumerate(norms)]

    def free_conjugates(self, pairs: Vector, imposed: Vector) -> dict[str, float]:
        """All conjugates from the averages over the patterns (times the load) and those of the imposed overlaps."""
        found = dict(zip(map(conjugate, self.free), self.tied(pairs).tolist(), strict=True))
        for norm, ties in self._norm_ties():
            found[conjugate(norm)] -= float(ties @ imposed)
        return found | dict(zip(map(conjugate, self.imposed), imposed.tolist(), strict=True))

    def imposed_slopes(self, d_weights: Vector) -> Vector:
        """Derivatives of the imposed overlaps, less what the norms make of them, in their own conjugates."""
        at = [self.shape.index[k] for k in self.imposed]
        moved = d_weights[:, at]
        for norm, ties in self._norm_ties():
            moved = moved - np.outer(d_weights[:, self.shape.index[norm]], ties)
        found = moved[at]
        for norm, _ in self._norm_ties():
            shares = np.array([0.5 * self.shape.imposed_norms[k].count(norm) for k in self.imposed])
            found = found - np.outer(shares, moved[self.shape.index[norm]])
        return found

    def slope(self, state: State, name: str) -> float:
        """Derivative of the free entropy in an imposed overlap, at a saddle."""
        energetic = self.alpha * state.energetic_pairs[name]
        return self.interaction_weights[self.shape.index[name]] * (energetic - state.conjugates[conjugate(name)])

    @cached_property
    def interaction_weights(self) -> list[float]:
        """How often the interaction counts every overlap times its conjugate: a function of the multiplicities alone."""
        arguments = [*([0.0] * (2 * (len(self.active) + len(self.shape.given)))), *self._tail]
        return self.call("interaction", arguments, 1 + len(self.active), _PLAIN)[1:].tolist()

    def internal(self, state: State, rule: Rule) -> dict[str, tuple[float, float]]:
        r"""Derivative of the free entropy of all copies in each multiplicity that stays, at fixed order parameters.

        :math:`\partial_m (m \phi)` for ``m`` replicas of a state, :math:`\partial_y \Phi` for ``y`` real replicas: the
        entropy of one of them; and the sum of the sizes of its terms.
        """
        names = self.meta["multiplicities"]
        energetic = self.call("energetic_multiplicities", self.energetic_arguments(state.place), len(names), rule)
        arguments = self.weights_arguments(state.place, state.conjugates)
        weights = self.call("weights_multiplicities", arguments, len(names), rule)
        closed = self._closed("multiplicities", state, 2 * len(names))[len(names) :] if self.discrete else 0.0 * weights
        terms = np.array([closed, weights, self.alpha * energetic])
        totals = zip(terms.sum(axis=0).tolist(), np.abs(terms).sum(axis=0).tolist(), strict=True)
        return dict(zip(names, totals, strict=True))

    def copies(self, state: State) -> dict[str, float]:
        """How often the free entropy is to be taken for all replicas that each multiplicity counts."""
        names = self.meta["multiplicities"]
        return dict(zip(names, map(float, self._closed("multiplicities", state, 2 * len(names))), strict=False))

    def _closed(self, name: str, state: State, size: int) -> Vector:
        """A closed form of all order parameters."""
        arguments = [*(state.overlaps[k] for k in self.active), *self._given_overlaps]
        arguments += [*(state.conjugates[conjugate(k)] for k in self.active), *self._given_conjugates, *self._tail]
        return self.call(name, arguments, size, _PLAIN)

    def observables(self, state: State, rule: Rule) -> Observables:
        """Replicons (1 - alpha times both factors) and explicit derivatives of the energetic term, by name."""
        found = np.empty(self.shape.readings)
        try:
            self.kernel.observables(self._fixed, *rule.nodes(), state.record, found)
        except _BROKEN:
            found.fill(math.nan)
        return self._observables(found)

    def assessed(self, state: State, rule: Rule, finer: Rule) -> tuple[State | None, Observables]:
        """The state by a finer rule (None if it is then outside the domain), and its observables, in one call."""
        found, record = np.empty(self.shape.readings), np.empty(self.shape.record_size)
        try:
            inside = self.kernel.assess(
                state.coordinates, self._fixed, *rule.nodes(), *finer.nodes(), state.record, record, found
            )
        except _BROKEN:
            return self.state(state.coordinates, finer, jacobian=False), self.observables(state, rule)
        return State(self.shape, state.coordinates, record) if inside else None, self._observables(found)

    def _observables(self, found: Vector) -> Observables:
        names, constraint = self.meta["replicons"], self.meta["constraint"]
        values, first = found.tolist(), len(names) + len(constraint)
        replicons = {k: 1.0 - self.alpha * values[i] * values[first + i] for i, k in enumerate(names)}
        derivatives = {k: self.alpha * values[len(names) + i] for i, k in enumerate(constraint)}
        return {"replicons": replicons, "derivatives": derivatives}
