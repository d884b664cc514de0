"""A curve: results in a row, with numpy columns, tables, JSON, CSV and a picture.

The container is frozen and knows nothing about how its points were found.  Columns carry the names of the JSON
document: ``curve["free_entropy"]`` is ``curve.free_entropy``, and ``curve.q`` is an order parameter.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from saddle.points.results import Result, flat

if TYPE_CHECKING:
    import matplotlib.axes
    import pandas

Row = Mapping[str, object]


@dataclass(frozen=True)
class Curve:
    """Points (saddle points or thresholds) in the order asked for.

    Attributes
    ----------
    points : tuple of SaddlePoint or Threshold
        The results themselves.
    curves : tuple of mappings
        What holds for a line of points as a whole; for Franz-Parisi one entry for each ``(alpha, kappa,
        reference_kappa)`` with ``typical_distance``, ``positive`` and ``monotonic``.
    thresholds : tuple of mappings
        Loads or margins at which something happens along the points, with ``name``, ``value`` and ``error``.
    top : SaddlePoint or Threshold, optional
        The one result that several points lead to, such as the smallest of them.
    command : tuple of str
        The command line that gives the same rows; empty where the points were asked for from Python.
    complete : bool
        False where the computation was interrupted: ``points`` holds what was finished.

    Examples
    --------
    >>> curve = entropy_curve(binary_perceptron(), 0.5, [0.0, 0.2])
    >>> curve.free_entropy - curve["kappa"]
    """

    points: tuple[Result, ...]
    curves: tuple[Row, ...] = ()
    command: tuple[str, ...] = ()
    complete: bool = True
    thresholds: tuple[Row, ...] = ()
    top: Result | None = None

    @cached_property
    def rows(self) -> tuple[dict[str, object], ...]:
        """One dict a point, as in the JSON document: parameters, result, ``order_parameters`` nested, status.

        Where points of several ansatze stand together, each row says first which one is its, unless it has a name.
        """
        several = len({point.ansatz for point in self.points}) > 1
        rows = ((point.ansatz, point.row()) for point in self.points)
        return tuple(({"ansatz": ansatz} if several and "name" not in row else {}) | row for ansatz, row in rows)

    @cached_property
    def flat_rows(self) -> tuple[dict[str, object], ...]:
        """The rows with order parameters as columns of their own, as in CSV."""
        return tuple(dict(flat(row)) for row in self.rows)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns: those of every row, in the order in which they stand there."""
        return merged_order(self.flat_rows)

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What limits the meaning of the points, each sentence once."""
        return tuple(dict.fromkeys(text for point in self.points for text in point.warnings))

    @property
    def converged(self) -> bool:
        """Whether every point has a value."""
        return all(point.converged for point in self.points)

    def __len__(self) -> int:
        return len(self.points)

    def __iter__(self) -> Iterator[Result]:
        return iter(self.points)

    @overload
    def __getitem__(self, key: str) -> np.ndarray: ...
    @overload
    def __getitem__(self, key: slice) -> Curve: ...
    @overload
    def __getitem__(self, key: int) -> Result: ...
    def __getitem__(self, key: str | int | slice) -> np.ndarray | Result | Curve:
        if isinstance(key, str):
            return self._column(key)
        if isinstance(key, slice):
            # statements about the whole line need not hold for a part of it, nor does the command give just the part
            return replace(self, points=self.points[key], curves=(), command=(), thresholds=(), top=None)
        return self.points[operator.index(key)]

    def __getattr__(self, name: str) -> np.ndarray:
        if name.startswith("_") or name in _OWN:
            raise AttributeError(name)
        try:
            return self._column(name)
        except KeyError as unknown:
            raise AttributeError(unknown.args[0]) from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.columns]

    def _column(self, name: str) -> np.ndarray:
        if name not in self.columns:
            raise KeyError(f"no column {name!r}; there are {', '.join(self.columns) or 'no rows'}")
        cached = self.__dict__.setdefault("_arrays", {})
        if name not in cached:
            cached[name] = as_array([row.get(name) for row in self.flat_rows])
        array: np.ndarray = cached[name]
        return array

    def to_pandas(self) -> pandas.DataFrame:
        """A pandas DataFrame of the columns, one row a point (extra ``data``)."""
        from saddle.reporting.extras import require

        frame: pandas.DataFrame = require("pandas", "data", "a data frame").DataFrame(
            {name: np.array(self._column(name)) for name in self.columns}
        )
        return frame

    def to_json(self, path: str | PathLike[str] | None = None) -> str:
        """The strict JSON document of this curve (:mod:`saddle.reporting.document`), also written to ``path`` if given."""
        from saddle.reporting.document import document, dumps

        return _written(dumps(document(self)) + "\n", path)

    def to_csv(self, path: str | PathLike[str] | None = None) -> str:
        """Comma-separated columns with 17 significant digits, empty where there is no value; also to ``path``."""
        from saddle.reporting.tables import csv_text

        return _written(csv_text(self), path)

    def plot(self, ax: matplotlib.axes.Axes | None = None) -> matplotlib.axes.Axes:
        """The picture of this curve (extra ``plot``), drawn into ``ax`` or a figure of its own; returns the axes."""
        from saddle.reporting.plot import draw

        return draw(self, ax)

    def explain(self) -> str:
        """What happened at the points that have no value, and what to try; one line each."""
        failed = [point for point in self.points if not point.converged]
        if not failed:
            return f"All {len(self)} points have a value."
        return "\n".join(f"{_where(point)}: {point.explain()}" for point in failed)

    def __repr__(self) -> str:
        from saddle.reporting.tables import table

        return table(self, limit=12)

    def _repr_html_(self) -> str:
        from saddle.reporting.tables import cells, title

        head, body = cells(self, limit=24)
        lines = ["<tr>" + "".join(f"<th>{escape(name)}</th>" for name in head) + "</tr>"]
        lines += ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in body]
        caption = f"<caption>{escape(title(self))}</caption>"
        return f"<table>{caption}<thead>{lines[0]}</thead><tbody>{''.join(lines[1:])}</tbody></table>"


# looked up by __getattr__ only while an instance is half built (copy, pickle): never columns
_OWN = frozenset({"points", "curves", "command", "complete", "thresholds", "top"})


def merged_order(rows: tuple[dict[str, object], ...]) -> tuple[str, ...]:
    """The keys of all rows, each once; a key that only later rows have stands where it stands there."""
    order: list[str] = []
    for row in {tuple(row): row for row in rows}.values():
        place = 0
        for key in row:
            if key in order:
                place = order.index(key) + 1
            else:
                order.insert(place, key)
                place += 1
    return tuple(order)


def as_array(column: list[object]) -> np.ndarray:
    """A read-only array of floats (missing: nan), of booleans (missing: False) or of strings (missing: empty)."""
    present = [value for value in column if value is not None]
    if present and all(isinstance(value, bool | np.bool_) for value in present):
        array = np.array([bool(value) for value in column], dtype=bool)
    elif any(isinstance(value, str) for value in present):
        array = np.array(["" if value is None else str(value) for value in column], dtype=str)
    else:
        array = np.array([np.nan if value is None else value for value in column], dtype=float)
    array.setflags(write=False)
    return array


def as_curve(result: Result | Curve, **settings: Any) -> Curve:
    """The result as a curve (a single one becomes a curve of one point), with ``settings`` replaced."""
    curve = result if isinstance(result, Curve) else Curve((result,))
    return replace(curve, **settings)


def joined(curves: Sequence[Curve]) -> Curve:
    """The points of all curves in one, those of the first first; a single curve is left as it is."""
    if len(curves) == 1:
        return curves[0]
    points = tuple(point for curve in curves for point in curve.points)
    entries = tuple(entry for curve in curves for entry in curve.curves)
    return Curve(points, entries, thresholds=tuple(entry for curve in curves for entry in curve.thresholds))


def _where(point: Result) -> str:
    return ", ".join(f"{name} = {value:.6g}" for name, value in point.parameters.items())


def _written(text: str, path: str | PathLike[str] | None) -> str:
    if path is not None:
        Path(path).write_text(text, encoding="utf-8", newline="")
    return text
