"""Results as one line of JSON and back, without losing a bit.

A finite float is written with the shortest digits that give it back exactly; what JSON has no word for is a word here
(``{"float": "nan"}``), so that a line is strict JSON.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from importlib import import_module
from typing import Any

from saddle.points.results import Iteration, Result, Status

_HOMES = {
    "SaddlePoint": "points.results",
    "Threshold": "points.results",
    "Landmark": "critical.landmark",
    "DiagramRow": "critical.diagrams",
    "Curve": "reporting.curve",
    "Diagram": "critical.diagrams",
}
"""Kinds of results and of curves, and the modules that define them."""


def kind(name: str) -> Any:
    """Return the class of results or curves that has this name."""
    return getattr(import_module(f"saddle.{_HOMES[name]}"), name)


def packed(result: Result) -> dict[str, Any]:
    """Return a result as data that :func:`line` writes; what has its default value, and the model itself, is left out."""
    found: dict[str, Any] = {"kind": type(result).__name__}
    for field in fields(result):
        value = getattr(result, field.name)
        if field.compare and not (value is field.default or value == () or value == {}):
            found[field.name] = value
    return found


def unpacked(data: Mapping[str, Any]) -> Result:
    """Return the result that :func:`packed` made the data of (read by :func:`read`)."""
    cls = kind(data["kind"])
    known = {field.name: data[field.name] for field in fields(cls) if field.name in data}
    known["status"] = Status(known["status"])
    for name, convert in (("iterations", _iterations), ("warnings", tuple), ("window", tuple)):
        if known.get(name) is not None:
            known[name] = convert(known[name])
    missing = [name for name in ("order_parameters", "parameters") if name not in known]
    result: Result = cls(**known, **{name: {} for name in missing})
    return result


def _iterations(found: list[list[Any]]) -> tuple[Iteration, ...]:
    return tuple(Iteration(*step) for step in found)


def plain(value: Any) -> Any:
    """Return a value in terms of JSON's own types, floats exactly."""
    if isinstance(value, Status):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    return value


def line(data: Mapping[str, Any]) -> bytes:
    """Return data as one line of strict JSON, its newline included."""
    try:  # most lines hold nothing that JSON has no word for
        text = _ENCODER.encode(data)
    except ValueError:
        text = _ENCODER.encode(plain(data))
    return f"{text}\n".encode()


_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"), default=plain)


def read(text: bytes) -> Any:
    """Return the data of a line.

    Raises
    ------
    ValueError
        If it is none.
    """
    return json.loads(text, object_hook=_restored)


def _restored(found: dict[str, Any]) -> Any:
    return float(found["float"]) if found.keys() == {"float"} else found
