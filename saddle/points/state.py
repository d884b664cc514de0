"""What a kernel knows at one point in coordinates: a record of its equations, read by the names of the order parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from replica.ansatz import conjugate

Vector = np.ndarray


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

    _overlaps: dict[str, float] | None = None
    _conjugates: dict[str, float] | None = None

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

    @property
    def overlaps(self) -> dict[str, float]:
        """The overlaps by name."""
        if self._overlaps is None:
            self._overlaps = self._named(self.shape.active, "overlaps")
        return self._overlaps

    @property
    def pivots(self) -> dict[str, float]:
        """The pivots by the name of their overlap."""
        return self._named(self.shape.pivots, "pivots")

    @property
    def conjugates(self) -> dict[str, float]:
        """The conjugates by name."""
        if self._conjugates is None:
            self._conjugates = self._named(self.shape.conjugates, "conjugates")
        return self._conjugates

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
        finite = math.isfinite(sum(numbers, self.free_entropy))
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
        self.bounded: list[str] = meta["bounded"]
        self.conjugates = [conjugate(k) for k in self.active]
        self.unknown = self.free + ([conjugate(k) for k in self.imposed] if self.discrete else [])
        self.index = {name: i for i, name in enumerate(self.active)}
        self.sections: dict[str, tuple[int, int]] = {}
        end = 0
        for name, size in meta["sections"].items():
            self.sections[name] = (end, end + size)
            end += size
        self.record_size = end
        self.readings = 2 * len(meta["replicons"]) + len(meta["constraint"])
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
def shape_of(kernel: ModuleType) -> Shape:
    """The unknowns of a kernel by name, looked up once."""
    return Shape(kernel.META)
