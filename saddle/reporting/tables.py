"""Text of a curve: an aligned table for a person, comma-separated values for a program."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from saddle.points.results import OWN_ERRORS

if TYPE_CHECKING:
    from saddle.reporting.curve import Curve

_ACCURACY = frozenset({"residual", "quadrature_error", "error", *OWN_ERRORS})
_VALUES = frozenset({"free_entropy", "value", "ours", *(name.removesuffix("_error") for name in OWN_ERRORS)})
_DETAILS = frozenset({"residual", "quadrature_error", "order_parameters", "message"})
_MISSING = "-"


def csv_text(curve: Curve) -> str:
    """The columns of ``curve`` as comma-separated values: 17 significant digits, empty where there is no value.

    Infinity is a value of a parameter (``y``, ``beta``), as in JSON, and none of what is found.
    """
    text = io.StringIO()
    parameters = {name for point in curve.points for name in point.parameters}
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(curve.columns)
    writer.writerows(
        [_csv_cell(row.get(name), name in parameters) for name in curve.columns] for row in curve.flat_rows
    )
    return text.getvalue()


def _csv_cell(value: object, parameter: bool) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value) and not (parameter and value == math.inf)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.17g}" if isinstance(value, float) else str(value)


def table(curve: Curve, limit: int | None = None) -> str:
    """An aligned table with a title line; one point is listed downwards, with its order parameters and message."""
    if len(curve) == 1:
        return "\n".join([title(curve), *_listing(curve)])
    head, body = cells(curve, limit)
    return "\n".join([title(curve), *aligned([head, *body])]) if body else title(curve)


def title(curve: Curve) -> str:
    """Model, ansatz, the parameters that all points share, and how many points there are."""
    if not curve.points:
        return "no points"
    first = curve.points[0]
    shared = [f"{name} = {value:.10g}" for name, value in first.parameters.items() if name in _shared(curve)]
    count = "1 point" if len(curve) == 1 else f"{len(curve)} points"
    ansatze = " and ".join(dict.fromkeys(point.ansatz for point in curve.points))
    return ", ".join([first.model, ansatze, *shared]) + f" ({count})"


def cells(curve: Curve, limit: int | None = None) -> tuple[list[str], list[list[str]]]:
    """Head and body of the table in text; with ``limit`` only that many rows, the first and the last ones."""
    parameters = {name for point in curve.points for name in point.parameters}
    ordered = {name for point in curve.points for name in point.order_parameters}
    hidden = _DETAILS | _shared(curve) | (ordered - parameters)
    head = [name for name in curve.columns if name not in hidden]
    body = [[_cell(name, row.get(name)) for name in head] for row in curve.flat_rows]
    if limit is not None and len(body) > limit:
        half = limit // 2
        body = [*body[:half], ["..."] * len(head), *body[-half:]]
    return head, body


def aligned(rows: Sequence[Sequence[str]], right: bool = True) -> list[str]:
    """Lines in which the cells of each column stand under each other; text columns to the left."""
    columns = list(zip(*rows, strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]
    numeric = [right and any(cell[:1].isdigit() or cell[:2][1:].isdigit() for cell in column[1:]) for column in columns]
    return [
        "  ".join(c.rjust(w) if n else c.ljust(w) for c, w, n in zip(row, widths, numeric, strict=True)).rstrip()
        for row in rows
    ]


def remarks(curve: Curve, limit: int = 5) -> list[str]:
    """What a person should read below the table: statements on whole lines, warnings, points without a value."""
    lines = [_statement(entry) for entry in curve.curves]
    lines += [_threshold(entry) for entry in curve.thresholds]
    lines += [curve.top.message] if curve.top is not None else []
    lines += [f"warning: {text}" for text in curve.warnings]
    if len(curve) > 1:
        failed = [point for point in curve.points if not point.converged]
        for point in failed[:limit]:
            where = ", ".join(f"{k} = {v:.6g}" for k, v in point.parameters.items() if k not in _shared(curve))
            lines.append(f"{where or getattr(point, 'name', 'a point')}: {point.message}")
        if len(failed) > limit:
            lines.append(f"... and {len(failed) - limit} more points without a value")
    return lines


def _listing(curve: Curve) -> list[str]:
    row = {name: value for name, value in curve.flat_rows[0].items() if name not in curve.points[0].parameters}
    return aligned([[f"  {name}", _cell(name, value)] for name, value in row.items()], right=False)


def _shared(curve: Curve) -> set[str]:
    """Names of the parameters that have one value on the whole curve (none, where that would hide all of them)."""
    if not curve.points:
        return set()
    names = curve.points[0].parameters
    return {name for name in names if len({point.parameters.get(name) for point in curve.points}) == 1}


def _statement(entry: Mapping[str, object]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_cell(name, value)}" for name, value in entry.items())


def _threshold(entry: Mapping[str, object]) -> str:
    value, error = (_cell(name, entry[name]) for name in ("value", "error"))
    return f"{entry['name']} {value} (error {error}): {entry['message']}"


def _cell(name: str, value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return _MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.1e}" if name in _ACCURACY else f"{value:.12g}" if name in _VALUES else f"{value:.10g}"
    return str(value)


def plain(rows: Iterable[Mapping[str, object]], names: Sequence[str]) -> list[str]:
    """Aligned lines of the columns ``names`` of any rows (models, checks, published numbers)."""
    return aligned([list(names), *([_cell(name, row.get(name)) for name in names] for row in rows)])
