"""Rows as an xarray dataset: ranges become dimensions, columns variables, units and provenance attributes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from saddle.points.results import OWN_ERRORS
from saddle.reporting.curve import Curve

if TYPE_CHECKING:
    import xarray

_ENTROPY, _LOAD = "nats per weight", "patterns per weight"
UNITS = {
    "alpha": _LOAD,
    "beta": "1 / energy",
    "reference_beta": "1 / energy",
    "energy": "per weight",
    "bound": _ENTROPY,
    "complexity": _ENTROPY,
    **dict.fromkeys(OWN_ERRORS, f"{_ENTROPY}, absolute"),
    "energy_error": "per weight, absolute",
    "entropy": _ENTROPY,
    "error": "of the value, absolute",
    "free_entropy": _ENTROPY,
    "internal_entropy": _ENTROPY,
    "local_entropy": _ENTROPY,
    "slope": f"{_ENTROPY} per unit of distance",
    "distance": "of the weights that differ, as a fraction",
}
"""Units of columns; every other number is dimensionless, but for loads, whose names begin with that of the load."""
_MEANING = {
    "kappa": "margin",
    "reference_kappa": "margin of the reference",
    "alpha": "load",
    "y": "number of replicas",
    "m": "Parisi parameter",
    "quadrature_error": "difference to a refined quadrature rule",
    "residual": "largest residual of the saddle equations",
}
_SPARSE = 20
"""Cells a row beyond which a dataset keeps its rows in one dimension."""


def dataset(curve: Curve, places: Sequence[Mapping[str, Any]], provenance: Mapping[str, Any]) -> xarray.Dataset:
    """Return the rows of a curve as a dataset.

    Parameters
    ----------
    curve : Curve
    places : sequence of mappings
        What each row was asked for: the coordinates.  Several rows of one place get the dimension ``solution``.
    provenance : mapping
        Becomes attributes, those that are no numbers or texts as JSON.
    """
    from saddle.reporting.extras import require

    xr: Any = require("xarray", "data", "a dataset")
    axes = _axes(places)
    several = _repeats(places)
    dims = {name: values for name, values in axes.items() if len(values) > 1}
    if max(several, default=0):
        dims["solution"] = list(range(max(several) + 1))
    index = [
        tuple((several[i] if name == "solution" else dims[name].index(place.get(name))) for name in dims)
        for i, place in enumerate(places)
    ]
    shape = tuple(len(values) for values in dims.values())
    names = tuple(dims)
    coordinates: dict[str, Any] = {name: _coordinate(name, values) for name, values in dims.items()}
    coordinates |= {name: _scalar(name, values[0]) for name, values in axes.items() if len(values) == 1}
    if math.prod(shape) > _SPARSE * max(len(places), 50):
        index, shape, names = [(i,) for i in range(len(places))], (len(places),), ("row",)
        coordinates = {name: ("row", _words([place.get(name) for place in places])) for name in axes}
    variables = {}
    for column in curve.columns:
        label = f"{column}_value" if column in coordinates and _has_words(axes.get(column, ())) else column
        if label not in coordinates:
            values = [row.get(column) for row in curve.flat_rows]
            array = _filled(values, index, shape)
            variables[label] = (names, array, _attributes(column, words=array.dtype.kind == "U"))
    return xr.Dataset(variables, coordinates, _provenance(curve, provenance))


def _axes(places: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The different values of every parameter, in order."""
    found: dict[str, dict[Any, None]] = {}
    for place in places:
        for name, value in place.items():
            found.setdefault(name, {})[value] = None
    for name, values in found.items():
        if any(name not in place for place in places):  # a parameter that only some rows have
            values[None] = None
    return {name: list(values) for name, values in found.items()}


def _repeats(places: Sequence[Mapping[str, Any]]) -> list[int]:
    """How many rows of the same place come before each row."""
    seen: dict[tuple[Any, ...], int] = {}
    found = []
    for place in places:
        key = tuple(place.items())
        found.append(seen.setdefault(key, 0))
        seen[key] += 1
    return found


def _has_words(values: Sequence[Any]) -> bool:
    return any(isinstance(value, str) for value in values)


def _words(values: Sequence[Any]) -> np.ndarray:
    """An array of numbers, or of texts where one is a word; nothing is NaN or empty."""
    if _has_words(values):
        return np.array(["" if v is None else v if isinstance(v, str) else repr(v) for v in values])
    return np.array([math.nan if value is None else float(value) for value in values])


def _coordinate(name: str, values: Sequence[Any]) -> tuple[Any, ...]:
    return (name, array := _words(values), _attributes(name, words=array.dtype.kind == "U"))


def _scalar(name: str, value: Any) -> tuple[Any, ...]:
    return ((), _words([value])[0], _attributes(name, words=isinstance(value, str)))


def _filled(values: Sequence[Any], index: Sequence[tuple[int, ...]], shape: tuple[int, ...]) -> np.ndarray:
    """Values at their places; NaN, an empty text, or -1 (of yes and no) where there is none."""
    present = [value for value in values if value is not None]
    array: np.ndarray
    if any(isinstance(value, str) for value in present):
        width = max(len(str(value)) for value in present)
        array = np.full(shape, "", dtype=f"U{max(width, 1)}")
        values = ["" if value is None else str(value) for value in values]
    elif present and all(isinstance(value, bool | np.bool_) for value in present):
        array = np.full(shape, -1, dtype=np.int8)
        values = [-1 if value is None else int(value) for value in values]
    else:
        array = np.full(shape, math.nan)
        values = [math.nan if value is None else value for value in values]
    for place, value in zip(index, values, strict=True):
        array[place] = value
    return array


def _attributes(name: str, words: bool = False) -> dict[str, str]:
    found = {} if words else {"units": UNITS.get(name, _LOAD if name.startswith("alpha_") else "1")}
    if name in _MEANING:
        found["long_name"] = _MEANING[name]
    return found | ({"flags": "1 yes, 0 no, -1 not known"} if name == "stable" else {})


def _provenance(curve: Curve, header: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: value for name, value in header.items() if name != "schema"}
    for name in ("kernel", "rule", "ansatz"):
        told[name] = "; ".join(dict.fromkeys(str(getattr(point, name)) for point in curve.points))
    if curve.curves:
        told["curves"] = [dict(entry) for entry in curve.curves]
    if curve.thresholds:
        told["thresholds"] = [dict(entry) for entry in curve.thresholds]
    from saddle.reporting.document import strict

    return {n: v if isinstance(v, str | int | float) else json.dumps(strict(v)) for n, v in told.items()}
