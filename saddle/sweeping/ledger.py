"""What is known of a sweep: rows by the key of their place, statements by branch, and the store that keeps both.

Rows come in any order, from an earlier run or from workers; the curve has them in the order asked for.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any

from replica.errors import InputError
from saddle.command.commands import prepared, report
from saddle.points.results import Status
from saddle.reporting.curve import Curve
from saddle.sweeping.branches import Place
from saddle.sweeping.journal import Journal, Results
from saddle.sweeping.packing import kind, packed
from saddle.sweeping.plan import Key, Unit, empty_row, grid_of, header_of, in_row_order, place_key, units_of
from saddle.sweeping.scheduling import Outcome
from saddle.sweeping.store import Store, records
from saddle.sweeping.stored import Known, once


class Ledger:
    """The rows of a sweep as they come in.

    Parameters
    ----------
    args : Namespace
        The sweep.
    store : str, path-like or None
    progress : callable, optional
        Called with every new row.
    """

    def __init__(
        self, args: argparse.Namespace, store: str | PathLike[str] | None, progress: Callable[[Any], None] | None
    ) -> None:
        self.args, self._progress = args, progress
        self.model, self.ansatze = prepared(args)
        self.units = units_of(args, self.ansatze)
        header = {**header_of(args), "grid": grid_of(args, self.ansatze, self.units)}
        self._store = None if store is None else Store(store, header)
        found = [] if self._store is None else self._store.records
        self._known = Known(found)
        if self._store is not None and found and header["grid"] not in self._known.grids:
            self._store.append({"grid": header["grid"]})

    def known(self, unit: Unit) -> Mapping[Key, Results]:
        """The rows of a unit that are known, by key."""
        return {key: self._known.rows[key] for key in unit.keys if key in self._known.rows}

    def pending(self) -> list[Unit]:
        """The units that are not finished."""
        done = sum(len(self._known.rows.get(key, ())) for unit in self.units for key in unit.keys)
        if self._progress is not None and done and hasattr(self._progress, "already"):
            self._progress.already(done)
        return [unit for unit in self.units if not self._finished(unit)]

    def _finished(self, unit: Unit) -> bool:
        if unit.key in self._known.finished:
            return True
        stated = self.args.command in ("franz-parisi", "generalization", "diagram")
        return not stated and all(key in self._known.rows for key in unit.keys)

    def keeper(self, unit: Unit) -> Callable[[Place, Results], None]:
        """What keeps the rows of a unit."""
        return lambda place, results: self.keep(unit, place, results)

    def keep(self, unit: Unit, place: Place, results: Results) -> None:
        """Keep what was found at a place."""
        key = place_key(unit.name, place)
        self._known.rows[key] = results
        if self._store is not None:
            named = {"ansatz": unit.name} if unit.name else {}
            for part, result in enumerate(results):
                several = {"part": part, "parts": len(results)} if len(results) > 1 else {}
                self._store.append({"key": key, "at": {**named, **place}, **several, "result": packed(result)})
            if not results:
                self._store.append({"key": key, "at": {**named, **place}, "parts": 0})
        if self._progress is not None:
            for result in results:
                self._progress(result)

    def settle(self, unit: Unit, outcome: Outcome) -> None:
        """Keep what is stated of a finished unit, or why it was refused."""
        if outcome.refused and self._known.refused.get(unit.key) != outcome.refused:
            self._known.refused[unit.key] = outcome.refused
            if self._store is not None:
                self._store.append({"branch": unit.key, "keys": unit.keys, "refused": outcome.refused})
        if outcome.finished is not None and self._known.finished.get(unit.key) != outcome.finished:
            self._known.finished[unit.key] = outcome.finished
            said = outcome.finished
            if self._store is not None and (said.curves or said.thresholds or said.kind != "Curve"):
                lines = {"curves": said.curves, "thresholds": said.thresholds}
                about = {"branch": unit.key, "first": unit.keys[0], "kind": said.kind}
                self._store.append({**about, **{name: entries for name, entries in lines.items() if entries}})

    def curve(self) -> Curve:
        """The rows so far in the order asked for, with what is stated of finished branches.

        Raises
        ------
        InputError
            If every part of the grid was refused.
        """
        refused = [self._known.refused[unit.key] for unit in self.units if self._is_refused(unit)]
        if len(refused) == len(self.units):
            raise InputError(refused[0])
        rows = {key: self._known.rows[key] for unit in self.units for key in unit.keys if key in self._known.rows}
        for unit in self.units:
            if self._is_refused(unit):
                for place, key in zip(unit.places, unit.keys, strict=True):
                    reason = self._known.refused[unit.key]
                    rows.setdefault(key, (empty_row(self.args, unit, place, Status.ABSENT, reason),))
        order = in_row_order(self.args, self.ansatze, self.units)
        points = tuple(point for key in order for point in rows.get(key, ()))
        stated = [self._known.finished[unit.key] for unit in self.units if unit.key in self._known.finished]
        cls = kind(stated[0].kind) if (len(self.units) == 1 or self.args.command == "diagram") and stated else Curve
        curves = once(entry for said in stated for entry in said.curves)
        found: Curve = cls(points, curves, thresholds=tuple(entry for said in stated for entry in said.thresholds))
        if self.args.command == "ogp" and all(key in rows for key in order):  # one of the rows is the answer of all
            return report(self.model, self.ansatze[0], self.args, None, _Recalling(rows))
        return found

    def _is_refused(self, unit: Unit) -> bool:
        return unit.key in self._known.refused and unit.key not in self._known.finished

    def interruption(self) -> str:
        """What a person should know after an interrupt."""
        rows = self._known.rows if self._store is None else Known(records(self._store.path)).rows
        done = sum(key in rows for unit in self.units for key in unit.keys)
        total = sum(len(unit.places) for unit in self.units)
        if self._store is None:
            return f"interrupted after {done} of {total} points; with a store (--store FILE) they would not be lost"
        return f"interrupted: {done} of {total} points are in {self._store.path}; the same command goes on from there"

    def close(self) -> None:
        """Close the store."""
        if self._store is not None:
            self._store.close()


class _Recalling(Journal):
    """A journal that knows everything."""

    def __init__(self, rows: Mapping[Key, Results]) -> None:
        self._rows = rows

    def recall(self, place: Place) -> Results | None:
        """The rows of a place."""
        return self._rows[place_key("", place)]
