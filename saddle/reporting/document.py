"""The JSON document of a computation: every parameter as resolved, every error, and the command that repeats it.

The document is strict JSON: NaN and infinities are ``null``.  ``schema`` numbers its layout; keys are only ever added::

    {"schema": 1, "model", "ansatz", "parameters", "value", "error", "status", "message", "warnings",
     "rows": [...], "curves": [...], "provenance": {...}}

``rows`` is always there.  If it has one row, ``value`` and ``error`` at the top repeat it (free entropy or threshold),
else those of the one result that the rows lead to, if there is one, and else null.  ``curves`` is there only where something
is stated about whole lines, ``thresholds`` where something happens along them.
"""

from __future__ import annotations

import json
import math
import platform
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib import metadata
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replica.errors import InputError
from saddle.points.results import Result, Status

if TYPE_CHECKING:
    from saddle.reporting.curve import Curve

SCHEMA = 1
RESULTS = ("free_entropy", "value", "kappa_max", "alpha_c", "alpha_first_order")
"""Keys of which every row has one: what the row is about."""
INTERRUPTED = "interrupted"
"""Status of a whole document whose computation was stopped; its rows carry their own."""
COMPUTED_WITH = ("numpy", "scipy", "sympy", "mpmath", "numba")
REPORTS = {"rs": "entropy", "franz-parisi": "franz-parisi"}
_DEFAULT = {report: ansatz for ansatz, report in REPORTS.items()} | {"ogp": "local-entropy"}
"""The ansatz that a report has where none is named (else rs)."""
_SEVERITY = (
    Status.CONVERGED,
    Status.NEGATIVE_ENTROPY,
    Status.BRANCH_END,
    Status.NO_SADDLE,
    Status.ABSENT,
    Status.NOT_CONVERGED,
)


def document(curve: Curve) -> dict[str, object]:
    """The document of ``curve``, ready for :func:`dumps`."""
    points = curve.points
    single = points[0] if len(points) == 1 else curve.top
    status, message = summary(curve)
    found: dict[str, object] = {
        "schema": SCHEMA,
        "model": _joined(point.model for point in points) or None,
        "ansatz": _joined(point.ansatz for point in points) or None,
        "parameters": _parameters(points),
        "value": single.value if single and single.converged else None,
        "error": single.error if single and single.converged else None,
        "status": status,
        "message": message,
        "warnings": list(curve.warnings),
        "rows": [_row(point, row) for point, row in zip(points, curve.rows, strict=True)],
    }
    if options := _options(points):
        found["options"] = options
    if curve.curves:
        found["curves"] = [dict(entry) for entry in curve.curves]
    if curve.thresholds:
        found["thresholds"] = [dict(entry) for entry in curve.thresholds]
    return {**found, "provenance": _provenance(curve)}


def dumps(value: object) -> str:
    """``value`` as strict JSON text: no NaN, no infinities, numpy scalars as numbers."""
    return json.dumps(strict(value), allow_nan=False, indent=2)


def strict(value: object) -> object:
    """``value`` in terms of JSON's own types; numbers that are not finite become None."""
    if isinstance(value, Mapping):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if hasattr(value, "tolist"):  # numpy scalars and arrays, without importing numpy
        return strict(value.tolist())
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    raise TypeError(f"{type(value).__name__} has no place in a document")


def summary(curve: Curve) -> tuple[str, str]:
    """Status and message of the curve as a whole: those of its point, or the worst status and how often each occurs."""
    points = curve.points
    if len(points) == 1:
        status, message = points[0].status, points[0].message
    else:
        counts = Counter(point.status for point in points)
        worst = max(counts, key=_SEVERITY.index, default=Status.NOT_CONVERGED)
        status = Status.CONVERGED if points and curve.converged else worst
        parts = ", ".join(f"{counts[status]} {status}" for status in _SEVERITY if counts[status])
        message = f"{len(points)} rows: {parts}." if points else "no row was computed."
        message += f" {curve.top.message}" if curve.top is not None else ""
    return (str(status), message) if curve.complete else (INTERRUPTED, f"Interrupted; so far: {message}")


def versions() -> dict[str, str]:
    """Versions of Python, this package and what it computes with; found without importing any of them."""
    found = {"python": platform.python_version()}
    for name in ("replica-saddle", *COMPUTED_WITH):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "unknown"
    return found


def read(source: str | PathLike[str]) -> dict[str, Any]:
    """The document stored in the file ``source``.

    Raises
    ------
    InputError
        Where the file cannot be read or does not hold such a document.
    """
    try:
        found = json.loads(Path(source).read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except OSError as error:
        raise InputError(f"cannot read {source}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source} is not a strict JSON document") from error
    problem = _problem(found)
    if problem:
        raise InputError(f"{source} is not a document of replica: {problem}")
    return dict(found)


def _problem(found: object) -> str:
    """What is wrong with the layout of a document; empty where nothing is."""
    if not isinstance(found, dict):
        return "it is not an object"
    if found.get("schema") != SCHEMA:
        return f"its schema is {found.get('schema')!r}, this version reads {SCHEMA}"
    rows, provenance = found.get("rows"), found.get("provenance")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return "it has no rows"
    if not isinstance(found.get("parameters"), dict):
        return "it has no parameters"
    if not all("status" in row and any(key in row for key in RESULTS) for row in rows):
        return "a row has no result or no status"
    if not isinstance(provenance, dict):
        return "it has no provenance"
    command = provenance.get("command")
    if not isinstance(command, list) or not all(isinstance(word, str) for word in command):
        return "it has no command"
    return ""


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _row(point: Result, row: dict[str, object]) -> dict[str, object]:
    row = {**row, **{name: _parameter(value) for name, value in point.parameters.items()}}
    if not point.status.is_answer:  # a failure keeps what one needs to understand it
        steps = [
            {"step": i.step, "residual": i.residual, "damping": i.damping, "method": i.method} for i in point.iterations
        ]
        return {**row, "iterations": steps}
    return row


def _parameter(value: float) -> float | str:
    """A parameter as JSON has it: infinity, which a number of replicas may be, as a word."""
    return "inf" if value == math.inf else value


def _parameters(points: tuple[Result, ...]) -> dict[str, object]:
    """Each parameter as resolved: a number, or the list of its different values in order."""
    found: dict[str, dict[float | str, None]] = {}
    for point in points:
        for name, value in point.parameters.items():
            found.setdefault(name, {})[_parameter(value)] = None
    return {name: next(iter(seen)) if len(seen) == 1 else list(seen) for name, seen in found.items()}


def _options(points: tuple[Result, ...]) -> dict[str, str]:
    """What the model's name does not say, e.g. an activation."""
    return {name: _joined(point.options.get(name, "") for point in points) for point in points[:1] for name in point.options}


def _spelled_once(parameters: dict[str, object]) -> dict[str, object]:
    """The parameters without the distance where the overlap says the same."""
    return {name: value for name, value in parameters.items() if not (name == "distance" and "overlap" in parameters)}


def _provenance(curve: Curve) -> dict[str, object]:
    points = curve.points
    command, complete = curve.command, curve.complete
    if not command and points:
        command = command_of(curve)
        lengths = [len({point.ansatz for point in points})]
        lengths += [len(v) if isinstance(v, list) else 1 for v in _spelled_once(_parameters(points)).values()]
        different = {(point.ansatz, *point.parameters.values()) for point in points}
        complete = math.prod(lengths) == len(different)  # a part of a product: the command gives other rows as well
    tolerances = {point.tolerance for point in points}
    return {
        "versions": versions(),
        "platform": f"{sys.platform}-{platform.machine()}",
        "command": list(command),
        "complete": complete,
        "kernel": _joined(point.kernel for point in points),
        "rule": _joined(point.rule for point in points),
        "tolerance": max(tolerances, default=None),
    }


def command_of(curve: Curve) -> tuple[str, ...]:
    """A command line whose rows hold all points of ``curve``, for curves that were asked for from Python."""
    first, report = curve.points[0], _report(curve.points[0])
    words = ["replica", report, first.model]
    ansatze = list(dict.fromkeys(point.ansatz for point in curve.points))
    named = report not in ("diagram", "thresholds") and (report == "solve" or ansatze != [_DEFAULT.get(report, "rs")])
    words += ["--ansatz", ",".join(ansatze)] if named else []
    words += [word for name, value in first.options.items() for word in (f"--{name.replace('_', '-')}", value)]
    for name, value in _spelled_once(_parameters(curve.points)).items():
        listed: Any = value if isinstance(value, list) else [value]
        text = ",".join(repr(float(v)) for v in listed)
        words += [f"--{name.replace('_', '-')}", text]
    if report == "thresholds":
        words += _named(curve.points)
    elif hasattr(first, "physical"):
        words += ["--all-branches"]
    return (*words, *(["--tolerance", repr(first.tolerance)] if math.isfinite(first.tolerance) else []))


def _report(point: Result) -> str:
    """The command that computes such a result."""
    if hasattr(point, "definition"):
        return "thresholds"
    if hasattr(point, "physical"):
        return "solve"
    report = getattr(point, "name", "").replace("_", "-") or REPORTS.get(point.ansatz, "solve")
    return "generalization" if "branch" in point.observables else report


def _named(points: Iterable[Any]) -> list[str]:
    """The options that ask for these thresholds, and no others."""
    numbers = dict.fromkeys(str(point.where["y"]) for point in points if point.name == "alpha_LE_y" and "y" in point.where)
    names = dict.fromkeys(point.name for point in points)
    return ["--only", ",".join(names), *(["--y", ",".join(numbers)] if numbers else [])]


def _joined(names: Iterable[str]) -> str:
    """The different names, in order, as one string."""
    return "; ".join(dict.fromkeys(name for name in names if name))
