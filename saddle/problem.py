r"""The saddle-point problem of a compiled kernel at fixed parameters: coordinates, states, and names for what they hold.

The equations themselves are in :mod:`saddle.assembly`, which is compiled with every kernel.  Coordinates keep the overlap
matrix positive: an overlap that adds a variance to the regression is replaced by the logit of its pivot relative
to what was left to explain.  Everything is by name of the order parameters; nothing here knows an ansatz.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from replica.ansatz import conjugate
from saddle.quadrature import Rule

Vector = np.ndarray
_IDENTITY = 1e-5
"""Difference of two overlaps that are equal by an identity: a solved saddle is far closer, another branch far off."""
_BROKEN = (ZeroDivisionError, ValueError, OverflowError)
"""What a kernel raises outside the domain where it runs without a compiler."""
_PLAIN = Rule()
_SMALLEST_NORM = 1e-12


@dataclass(frozen=True)
class Place:
    """The overlaps at some coordinates.

    ``pivots``, ``remaining`` (what is left to 1) and ``offsets`` (of overlaps that are measured from an origin) are free of
    cancellation; ``chain`` is the derivative of the unknowns (free overlaps, imposed conjugates) in the coordinates.
    """

    overlaps: dict[str, float]
    pivots: dict[str, float]
    remaining: dict[str, float]
    chain: Vector
    offsets: dict[str, float] = field(default_factory=dict)


class State:
    """All quantities at one point in coordinates: a record of the compiled equations, read by name.

    ``residuals`` are undamped, ``relative`` the same relative to what an overlap has left to 1; ``jacobian`` is of the
    latter with respect to the coordinates (nan if it was not asked for); ``noise`` is its rounding error;
    ``orientation`` is the sign of its determinant relative to no patterns: negative past a fold.
    """

    def __init__(self, shape: Shape, coordinates: Vector, record: Vector) -> None:
        self.shape, self.coordinates, self.record = shape, coordinates, record
        # numbers of Python are read one by one far more quickly than an array
        self._numbers: list[float] = record.tolist()
        #: The free entropy, in nats per weight.
        self.free_entropy = self._numbers[shape.starts["free_entropy"]]
        #: The sign of the determinant of the Jacobian relative to no patterns.
        self.orientation = self._numbers[shape.starts["orientation"]]

    def _scalar(self, name: str) -> float:
        return self._numbers[self.shape.starts[name]]

    def _section(self, name: str) -> Vector:
        start, end = self.shape.sections[name]
        return self.record[start:end]

    def _named(self, names: list[str], section: str) -> dict[str, float]:
        start, end = self.shape.sections[section]
        return dict(zip(names, self._numbers[start:end], strict=True))

    @property
    def scale(self) -> float:
        """The sum of the sizes of the terms of the free entropy."""
        return self._scalar("scale")

    @property
    def energetic(self) -> float:
        """The energetic average."""
        return self._scalar("energetic")

    @property
    def noise(self) -> float:
        """The rounding error of the relative residuals."""
        return self._scalar("noise")

    @cached_property
    def overlaps(self) -> dict[str, float]:
        """The overlaps by name."""
        return self._named(self.shape.active, "overlaps")

    @property
    def pivots(self) -> dict[str, float]:
        """The pivots by the name of their overlap."""
        return self._named(self.shape.pivots, "pivots")

    @cached_property
    def conjugates(self) -> dict[str, float]:
        """The conjugates by name."""
        return self._named(self.shape.conjugates, "conjugates")

    @property
    def energetic_pairs(self) -> dict[str, float]:
        """The pair averages of the energetic side by the name of their overlap."""
        return self._named(self.shape.active, "pairs")

    @property
    def residuals(self) -> Vector:
        """The undamped residuals."""
        return self._section("residuals")

    @property
    def relative(self) -> Vector:
        """The residuals relative to what an overlap has left to 1."""
        return self._section("relative")

    @property
    def jacobian(self) -> Vector:
        """Derivatives of the relative residuals in the coordinates."""
        n = len(self.shape.unknown)
        return self._section("jacobian").reshape(n, n)

    @cached_property
    def place(self) -> Place:
        """The overlaps with what belongs to them."""
        return self.shape.place(self.record)

    @property
    def residual(self) -> float:
        """The largest undamped residual; infinite outside the domain."""
        start, end = self.shape.sections["residuals"]
        numbers = self._numbers[start:end]
        finite = all(map(math.isfinite, (self.free_entropy, *numbers)))
        return max(map(abs, numbers), default=0.0) if finite else math.inf

    @property
    def singularity(self) -> float:
        """Smallest singular value of the Jacobian with normalised columns: 0 where a branch folds or freezes."""
        columns = np.maximum(np.linalg.norm(self.jacobian, axis=0), np.finfo(float).tiny)
        return float(np.linalg.svd(self.jacobian / columns, compute_uv=False)[-1])


class Shape:
    """The unknowns of a kernel by name, and where the record of a state keeps what."""

    def __init__(self, meta: Mapping[str, Any]) -> None:
        self.discrete: bool = meta["discrete"]
        self.active: list[str] = meta["active"]
        self.free: list[str] = meta["free"]
        self.imposed: list[str] = meta["imposed"]
        self.pivots: list[str] = meta["pivots"]
        self.own_pivots: list[str] = meta["own_pivots"]
        self.given: list[str] = list(meta["given"])
        self.norm_of: dict[str, str] = meta["norm_of"]
        self.norms: list[str] = meta["norms"]
        self.imposed_norms: dict[str, list[str]] = meta["imposed_norms"]
        self.offsets: list[str] = meta["offsets"]
        self.conjugates = [conjugate(k) for k in self.active]
        self.unknown = self.free + ([conjugate(k) for k in self.imposed] if self.discrete else [])
        self.index = {name: i for i, name in enumerate(self.active)}
        self.measured = [i for i, k in enumerate(self.active) if k in self.pivots or k in self.imposed]
        self.sections: dict[str, tuple[int, int]] = {}
        end = 0
        for name, size in meta["sections"].items():
            self.sections[name] = (end, end + size)
            end += size
        self.record_size = end
        self.starts = {name: start for name, (start, _) in self.sections.items()}
        known = [*self.active, *self.given, *meta["zero"]]
        self.order_parameters = frozenset((*known, *map(conjugate, known)))

    def place(self, record: Vector) -> Place:
        """The overlaps in a record."""
        overlaps, left, pivots, chain, offsets = (
            record[slice(*self.sections[name])] for name in ("overlaps", "left", "pivots", "chain", "offsets")
        )
        remaining = dict(zip(self.active, left.tolist(), strict=True))
        return Place(
            dict(zip(self.active, overlaps.tolist(), strict=True)),
            dict(zip(self.pivots, pivots.tolist(), strict=True)),
            {k: value for k, value in remaining.items() if k in self.pivots or k in self.imposed},
            chain.reshape(len(self.unknown), len(self.unknown)),
            dict(zip(self.offsets, offsets.tolist(), strict=True)),
        )


@lru_cache(maxsize=64)
def _shape_of(kernel: ModuleType) -> Shape:
    return Shape(kernel.META)


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
        self.kernel, self.meta, self.shape = kernel, kernel.META, _shape_of(kernel)
        self.parameters, self.given = parameters, given
        self.alpha = parameters["alpha"]
        shape, meta = self.shape, self.meta
        self.discrete, self.active, self.free = shape.discrete, shape.active, shape.free
        self.imposed, self.pivots, self.unknown = shape.imposed, shape.pivots, shape.unknown
        self._tail = [parameters[k] for k in meta["multiplicities"]]
        self._constraint = [parameters[k] for k in meta["constraint"]]
        self._given_overlaps = [given[k] for k in shape.given]
        self._given_conjugates = [given[conjugate(k)] for k in shape.given]
        fixed = [self.alpha, *self._imposed(), *self._given_overlaps, *self._given_conjugates]
        self._origin = self._origins(parameters)
        origins = [self._origin.get(k, 0.0) for k in self.free]
        self._fixed = np.array([*fixed, *self._tail, *self._constraint, *origins])

    def _imposed(self) -> list[float]:
        """Imposed overlaps (without what a free norm adds), their rooms, and how norms and they move together."""
        shape = self.shape
        values = [self.parameters[k] + sum(self._given_shares(k)) for k in self.imposed]
        if not shape.norms:
            return [*values, *(self._room(value) for value in values)]
        shares = np.array([[0.5 * shape.imposed_norms[k].count(norm) for norm in shape.norms] for k in self.imposed])
        return [*values, *(-self.parameters[k] for k in self.imposed), *shares.ravel(), *self._ties(shares).ravel()]

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
        names = 2 * (len(self.active) + len(self.shape.given))
        weight = self.call("interaction", [*([0.0] * names), *self._tail], 1 + len(self.active), _PLAIN)[1:]
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

    def _beyond(self, name: str) -> float:
        """The part of what a pivot could explain that an imposed overlap further down keeps from it."""
        ceiling = self.meta["ceilings"].get(name)
        if ceiling is None:
            return 0.0
        return -self.parameters[ceiling] if self.shape.norms else self._room(self.parameters[ceiling])

    def to_coordinates(self, values: Mapping[str, float]) -> Vector:
        """Coordinates of a set of order parameters (free overlaps, and conjugates of imposed ones).

        Values may come from other parameters of the problem: where they hold their own imposed and given overlaps, the
        coordinates are those of that point, so that a neighbour's solution stays inside the domain.  Overlaps on or outside
        the border are moved just inside.
        """
        norms = {k: values[k] for k in self.shape.norms}
        overlaps = self.impose(norms) | {k: values[k] for k in (*self.active, *self.meta["given"]) if k in values}
        table = dict(zip(self.pivots, self._pivot_table(overlaps), strict=True))
        origins = self._origins(overlaps)
        x = []
        for name in self.free:
            if name in self.pivots:
                explained, left, _ = table[name]
                left -= self._beyond(name)
                x.append(_logit((overlaps[name] - explained) / left if left > 0 else 0.5))
            elif name in self.shape.norms:
                x.append(math.log(max(overlaps[name], _SMALLEST_NORM)))
            else:
                x.append(overlaps[name] - origins.get(name, 0.0))
        if self.discrete:
            x += [values[conjugate(k)] for k in self.imposed]
        return np.array(x)

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
        record, log, coordinates = np.empty(self.shape.record_size), np.empty(2 * most + 2), np.array(x, dtype=float)
        try:
            lines, converged = self.kernel.newton(
                coordinates, self._fixed, *rule.nodes(), tolerance, most, halvings, record, log
            )
        except _BROKEN:
            return None, [], False
        return State(self.shape, coordinates, record) if lines else None, log[: 2 * lines].tolist(), converged

    def obeys_identities(self, state: State) -> bool:
        """Whether overlaps that are equal by an exact identity here are equal at this state."""
        where, equal = self.meta["nishimori"]
        if not equal or any(self.parameters[name] != value for name, value in where.items()):
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
        weights, left = self.call("weights_jacobian", conjugates, size, rule), np.ones(n)
        measured = self.shape.measured
        left[measured] = state.record[slice(*self.shape.sections["left"])][measured]
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
        arguments = [*(state.overlaps[k] for k in self.active), *self._given_overlaps]
        arguments += [*(state.conjugates[conjugate(k)] for k in self.active), *self._given_conjugates, *self._tail]
        weight = self.call("interaction", arguments, 1 + len(self.active), _PLAIN)[1 + self.shape.index[name]]
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

    def observables(self, state: State, rule: Rule) -> dict[str, dict[str, float]]:
        """Replicons (1 - alpha times both factors) and explicit derivatives of the energetic term, by name."""
        names, constraint = self.meta["replicons"], self.meta["constraint"]
        found = np.empty(2 * len(names) + len(constraint))
        try:
            self.kernel.observables(self._fixed, *rule.nodes(), state.record, found)
        except _BROKEN:
            found.fill(math.nan)
        values, first = found.tolist(), len(names) + len(constraint)
        replicons = {k: 1.0 - self.alpha * values[i] * values[first + i] for i, k in enumerate(names)}
        derivatives = {k: self.alpha * value for k, value in zip(constraint, values[len(names) : first], strict=True)}
        return {"replicons": replicons, "derivatives": derivatives}


def _logit(ratio: float) -> float:
    ratio = min(max(ratio, 1e-12), 1.0 - 1e-12)
    return math.log(ratio) - math.log1p(-ratio)
