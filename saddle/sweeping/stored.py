"""A store as a person reads it: what is done, what failed and why, what is missing, and the rows as tables.

Reading takes no lock: a store can be looked at while a sweep writes it.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any

from replica.errors import InputError
from saddle.reporting.curve import Curve
from saddle.sweeping.branches import Place
from saddle.sweeping.packing import kind, line, unpacked
from saddle.sweeping.plan import Key, Statements, place_key
from saddle.sweeping.store import Record, records

if TYPE_CHECKING:
    import pandas
    import xarray

_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(\.\d*)?(e[-+]?\d+)?(?!\w)")


def once(entries: Iterable[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """What several branches state in the same words, once."""
    return tuple({line(entry): entry for entry in entries}.values())


class Known:
    """What the records of a store say: rows by key and where they were asked for, statements and refusals by branch."""

    def __init__(self, found: Iterable[Record]) -> None:
        self.rows: dict[Key, tuple[Any, ...]] = {}
        self.places: dict[Key, Place] = {}
        self.finished: dict[Key, Statements] = {}
        self.first: dict[Key, Key] = {}
        self.refused: dict[Key, str] = {}
        self.without: dict[Key, str] = {}
        self.grids: list[list[dict[str, list[Any]]]] = []
        parts: dict[Key, dict[int, Any]] = {}
        for record in found:
            if "grid" in record:
                self.grids.append(record["grid"])
            if "key" in record:
                self._add(record, parts.setdefault(record["key"], {}))
            elif "refused" in record:
                self.refused[record["branch"]] = record["refused"]
                self.without |= dict.fromkeys(record["keys"], record["refused"])
            elif "branch" in record:
                lines = (tuple(record.get(name, ())) for name in ("curves", "thresholds"))
                self.finished[record["branch"]] = Statements(record["kind"], *lines)
                self.first[record["branch"]] = record["first"]

    def _add(self, record: Record, found: dict[int, Any]) -> None:
        """A row, which may be one of several parts of its place."""
        if "result" in record:
            found[record.get("part", 0)] = record["result"]
        if len(found) == record.get("parts", 1):
            self.rows[record["key"]] = tuple(unpacked(found[i]) for i in sorted(found))
            self.places[record["key"]] = record["at"]


@dataclass(frozen=True)
class StoredSweep:
    """The rows of a store, in the order of its grids.

    Attributes
    ----------
    header : mapping
        What the rows are of: report, model, options, tolerance, versions.
    known : Known
        Rows, statements and refusals.
    """

    header: Mapping[str, Any]
    known: Known

    @cached_property
    def asked(self) -> dict[Key, Place]:
        """Every place of every grid by its key, in order, with the name of its ansatz where there are several to have."""
        found: dict[Key, Place] = {}
        for product in itertools.chain.from_iterable(self.known.grids):
            for row in itertools.product(*product.values()):
                place = dict(zip(product, row, strict=True))
                found.setdefault(_key(place), place)
        return found

    @cached_property
    def keys(self) -> list[Key]:
        """The keys of all rows in the order of the grids."""
        return [key for key in self.asked if key in self.known.rows]

    @property
    def missing(self) -> tuple[Place, ...]:
        """The places that are asked for, and neither there nor refused."""
        there = (self.known.rows, self.known.without)
        return tuple(place for key, place in self.asked.items() if not any(key in known for known in there))

    @property
    def refused(self) -> dict[Key, str]:
        """The places that the report refuses, with the reason."""
        without, rows = self.known.without, self.known.rows
        return {key: without[key] for key in self.asked if key in without and key not in rows}

    @cached_property
    def curve(self) -> Curve:
        """All rows, with what is stated of finished branches."""
        points = tuple(point for key in self.keys for point in self.known.rows[key])
        order = {key: place for place, key in enumerate(self.asked)}
        branches = sorted(self.known.finished, key=lambda branch: order.get(self.known.first[branch], len(order)))
        stated = [self.known.finished[branch] for branch in branches]
        cls = kind(stated[0].kind) if len({said.kind for said in stated}) == 1 else Curve
        curves = once(entry for said in stated for entry in said.curves)
        thresholds = tuple(entry for said in stated for entry in said.thresholds)
        found: Curve = cls(points, curves, complete=not self.missing, thresholds=thresholds)
        return found

    def summary(self) -> dict[str, Any]:
        """Numbers of rows: ``done`` (by status), ``failed`` and ``refused`` (by reason), ``missing``."""
        points = self.curve.points
        done = Counter(str(point.status) for point in points if point.status.is_answer)
        return {
            "report": self.header["report"],
            "model": self.header["model"],
            "options": self.header["options"],
            "rows": len(points),
            "done": dict(done),
            "failed": reasons(point.message for point in points if not point.status.is_answer),
            "refused": reasons(self.refused.values()),
            "missing": len(self.missing),
            "versions": self.header["versions"],
        }

    def text(self) -> str:
        """The summary in lines."""
        said = self.summary()
        head = f"{said['report']}, {said['model']}: {sum(said['done'].values())} of {len(self.asked)} points done"
        lines = [f"  {count} {status}" for status, count in said["done"].items()]
        for name in ("failed", "refused"):
            lines += [f"{name}: {count} times: {reason}" for reason, count in said[name].items()]
        return "\n".join([head, *lines, f"missing: {said['missing']}"])

    def to_pandas(self) -> pandas.DataFrame:
        """A pandas DataFrame, one row a point (extra ``data``)."""
        return self.curve.to_pandas()

    def to_csv(self, path: str | PathLike[str] | None = None) -> str:
        """Comma-separated columns with 17 significant digits; also written to ``path``."""
        return self.curve.to_csv(path)

    def to_xarray(self) -> xarray.Dataset:
        """A dataset with the ranges as dimensions, units and provenance as attributes (extra ``data``)."""
        from saddle.sweeping.dataset import dataset

        places = [self.asked[key] for key in self.keys for _ in self.known.rows[key]]
        return dataset(self.curve, places, dict(self.header))

    def to_netcdf(self, path: str | PathLike[str]) -> None:
        """Write the dataset as netCDF (extra ``data``)."""
        from saddle.reporting.extras import require

        for package in ("h5netcdf", "h5py"):
            require(package, "data", "netCDF")
        self.to_xarray().to_netcdf(path, engine="h5netcdf")


def load_store(path: str | PathLike[str]) -> StoredSweep:
    """Return what a store holds, also while a sweep is writing it.

    Raises
    ------
    InputError
        If the file cannot be read, or is no store.
    """
    found = records(path)
    if not found:
        raise InputError(f"{path} is an empty store")
    return StoredSweep(found[0], Known(found))


def _key(place: Mapping[str, Any]) -> Key:
    return place_key(place.get("ansatz", ""), {name: value for name, value in place.items() if name != "ansatz"})


def reasons(messages: Iterable[str]) -> dict[str, int]:
    """How often each reason occurs, the most frequent first; messages that differ in numbers alone are one reason."""
    first: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for message in messages:
        bare = _NUMBER.sub("#", message)
        first.setdefault(bare, message)
        counts[bare] += 1
    return {first[bare]: count for bare, count in counts.most_common()}

