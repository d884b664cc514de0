"""Does a stored document still hold?  Its command is run again and every row compared with what is written there.

A value agrees where it differs by no more than the two errors together (and rounding), and so do the entropies of clusters,
which have errors of their own.  Order parameters, slopes and other observables carry none: they are compared to a relative
1e-6, or as far as the residuals of the two runs leave them open.  Residuals, errors and messages describe the run and are
not compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from replica.errors import InputError
from saddle.points.results import OWN_ERRORS, Result
from saddle.reporting.document import INTERRUPTED, RESULTS, document, strict

Row = Mapping[str, Any]

_OF_THE_RUN = frozenset(
    {"residual", "quadrature_error", "error", "message", "iterations", "warnings", "status", *OWN_ERRORS}
)
_LOOSE = 1e-6
_ROUNDING = 1e-15
_SAME = 1e-9


@dataclass(frozen=True)
class Comparison:
    """How a document compares with its recomputation: rows compared, and one sentence a disagreement."""

    rows: int
    disagreements: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether every row agrees."""
        return not self.disagreements

    def text(self) -> str:
        """One line a disagreement and a verdict."""
        rows = "1 row" if self.rows == 1 else f"{self.rows} rows"
        count = len(self.disagreements)
        faults = "1 disagreement" if count == 1 else f"{count} disagreements"
        verdict = f"agrees: {rows} recomputed" if self.agrees else f"does not agree: {faults} in {rows}"
        return "\n".join([*self.disagreements, verdict])


def recompute(stored: Row, progress: Callable[[Result], None] | None = None) -> Comparison:
    """The comparison of a document (:func:`saddle.reporting.document.read`) with the rows that its command gives now.

    Parameters
    ----------
    stored : mapping
        The document.
    progress : callable, optional
        Called with each finished point.

    Raises
    ------
    InputError
        Where the document carries no command that computes rows.
    """
    from saddle.command.commands import execute

    provenance = stored["provenance"]
    if not provenance["command"]:
        raise InputError("the document carries no command to repeat")
    try:
        fresh: Any = strict(document(execute(provenance["command"][1:], progress)))
    except InputError as error:
        raise InputError(f"the command of the document cannot be repeated: {error}") from error
    return compare(stored, fresh)


def compare(stored: Row, fresh: Row) -> Comparison:
    """The comparison of two documents of one command, row by row."""
    found = list(_heads(stored, fresh))
    rows, others = stored["rows"], fresh["rows"]
    complete = stored["provenance"].get("complete", True)
    if complete and len(rows) != len(others):
        found.append(f"{len(rows)} rows are stored, the command gives {len(others)}")
    names = list(stored["parameters"])
    for index, row in enumerate(rows):
        other = _partner(row, others, index, names)
        label = f"row {index + 1} ({_place(row, names)})"
        if other is None:
            found.append(f"{label}: the command gives no such row")
        else:
            found.extend(f"{label}: {fault}" for fault in _faults(row, other))
    if complete:
        for name in ("curves", "thresholds"):
            found.extend(_statements(name, stored.get(name) or [], fresh.get(name) or []))
    return Comparison(len(rows), tuple(found))


def _heads(stored: Row, fresh: Row) -> Iterator[str]:
    for name in ("model", "ansatz"):
        if stored["rows"] and stored.get(name) != fresh.get(name):
            yield f"{name}: {stored.get(name)} is stored, the command computes {fresh.get(name)}"
    if len(stored["rows"]) == 1:  # the top repeats the only row, so it has to say the same
        row = stored["rows"][0]
        for top, own in (("value", row[_about(row)]), ("error", _error(row)), ("status", row["status"])):
            if stored.get(top) not in (own, INTERRUPTED):
                yield f"{top} at the top is {stored.get(top)}, in the row {own}"


def _about(row: Row) -> str:
    """The name of the number that a row is about: the local entropy where there is no free entropy of all replicas."""
    name = next(name for name in row if name in RESULTS)
    return "local_entropy" if row[name] is None and row.get("local_entropy") is not None else name


def _error(row: Row) -> float | None:
    """The error of that number: in a diagram each line has its own."""
    found: float | None = row.get("error", row.get(f"{_about(row)}_error"))
    return found


def _partner(row: Row, others: list[Row], index: int, names: list[str]) -> Row | None:
    """The recomputed row with the parameters of ``row``: most often the one at the same place."""
    candidates = others[index : index + 1] + others
    return next((o for o in candidates if all(_close(row.get(n), o.get(n), _SAME) for n in names)), None)


def _faults(row: Row, other: Row) -> Iterator[str]:
    """What differs between a stored and a recomputed row."""
    if row["status"] != other["status"]:
        yield f"status {row['status']} is stored, now {other['status']}"
        return
    name = _about(row)
    errors = sum(_error(r) or 0.0 for r in (row, other))
    if not _close(row[name], other.get(name), _ROUNDING, errors):
        yield f"{name} {_shown(row[name])} is stored, now {_shown(other.get(name))}, errors together {errors:.1e}"
    residuals = sum(r.get("residual") or 0.0 for r in (row, other))
    loose = max(_LOOSE, 100.0 * residuals)
    now = dict(_rest(other))
    for column, value in _rest(row):
        own = [r.get(f"{column}_error") for r in (row, other)]
        known = None not in own
        relative, absolute = (_ROUNDING, sum(e or 0.0 for e in own)) if known else (loose, loose)
        if not _close(value, now.get(column), relative, absolute):
            yield f"{column} {_shown(value)} is stored, now {_shown(now.get(column))}"


def _rest(row: Row) -> Iterator[tuple[str, Any]]:
    """The columns without an error of their own: parameters, observables, order parameters."""
    yield from ((k, v) for k, v in row.items() if k not in _OF_THE_RUN and k not in (_about(row), "order_parameters"))
    yield from (row.get("order_parameters") or {}).items()


def _statements(what: str, stored: list[Row], fresh: list[Row]) -> Iterator[str]:
    """What differs in the statements on whole lines."""
    if len(stored) != len(fresh):
        yield f"{what}: {len(stored)} are stored, the command gives {len(fresh)}"
        return
    for index, (entry, other) in enumerate(zip(stored, fresh, strict=True)):
        for name, value in entry.items():
            now = other.get(name)
            if not isinstance(value, str) and not _close(value, now, _LOOSE, _LOOSE):
                yield f"{what[:-1]} {index + 1}: {name} {_shown(value)} is stored, now {_shown(now)}"


def _close(a: Any, b: Any, relative: float, absolute: float = 0.0) -> bool:
    """Whether two JSON values are the same; numbers within the tolerances."""
    numeric = (isinstance(v, int | float) and not isinstance(v, bool) for v in (a, b))
    if all(numeric):
        return abs(a - b) <= absolute + relative * max(1.0, abs(a), abs(b)) and math.isfinite(a - b)
    return type(a) is type(b) and a == b


def _place(row: Row, names: list[str]) -> str:
    return ", ".join(f"{name} = {_shown(row.get(name))}" for name in names)


def _shown(value: Any) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)
