"""The plan of a sweep: its units of work, the places of its rows, and what makes a row the same row again.

A unit is one branch (:mod:`saddle.sweeping.branches`), so that no warm start depends on which process computes what.  It
is a recipe, names and numbers; models, ansatze and kernels are made of it wherever it is worked off.
"""

from __future__ import annotations

import argparse
import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from saddle.command.commands import ansatz_names, prepared, ranges_of, report
from saddle.command.options import MODEL_OPTIONS
from saddle.points.results import SaddlePoint, Status, Threshold
from saddle.sweeping.branches import LENGTH, Place, branches, places
from saddle.sweeping.journal import Journal, Results

_BRANCH: Mapping[str, tuple[str, int | None]] = {
    "solve": ("", 1),
    "capacity": ("", 1),
    "max-margin": ("", 1),
    "ogp": ("", 1),
    "franz-parisi": ("distance", None),
    "generalization": ("alpha", None),
    "diagram": ("", 4),
}
"""Along which range a branch of a report runs and how long it is; by default the last one with several values."""
_THRESHOLDS = frozenset({"capacity", "max-margin", "ogp", "thresholds", "diagram"})
_OPTIONS = ("ansatz", "start", "all_branches", "reference", "external_entropy", "reference_model", "reference_loss")

Key = str


@dataclass(frozen=True)
class Unit:
    """One branch: its ansatz (None where a report has its own) by what finds it and by name, its ranges and its places."""

    ansatz: Any
    name: str
    ranges: Mapping[str, Any]
    places: tuple[Place, ...]

    @property
    def keys(self) -> tuple[Key, ...]:
        """The keys of its places."""
        return tuple(place_key(self.name, place) for place in self.places)

    @property
    def key(self) -> Key:
        """The key of the branch as a whole."""
        return _hashed("branch", *self.keys)


def units_of(args: argparse.Namespace, ansatze: Iterable[Any]) -> list[Unit]:
    """The units of a sweep, in the order of their rows."""
    if args.command == "thresholds":
        return _threshold_units(args)
    found = []
    for given, ansatz in _ansatze(args, ansatze):
        ranges = ranges_of(args, ansatz)
        along, length = _BRANCH.get(args.command, ("", LENGTH))
        if args.command == "local-entropy":
            along = next(name for name in ("overlap", "distance") if name in ranges)
        name = "" if given is None else ansatz.name
        found += [Unit(given, name, branch, tuple(places(branch))) for branch in branches(ranges, along, length)]
    return found


def _ansatze(args: argparse.Namespace, ansatze: Iterable[Any]) -> list[tuple[Any, Any]]:
    """Each ansatz behind what finds it again, None where the report has its own."""
    return list(zip(ansatz_names(args) if hasattr(args, "ansatz") else [None], ansatze, strict=True))


def _threshold_units(args: argparse.Namespace) -> list[Unit]:
    """Every threshold by itself, and every number of replicas where there are several."""
    from saddle.critical.landmarks import names, place_of

    fixed = {name: getattr(args, name)[0] for name in ("alpha", "kappa") if getattr(args, name) is not None}
    found = []
    for name, y in names(prepared(args)[0], fixed.get("alpha"), args.y, args.only):
        place = place_of(fixed, name, y)
        ranges = {"only": (name,), "y": tuple(place[k] for k in ("y",) if k in place)}
        found.append(Unit(None, "", ranges, (place,)))
    return found


def in_row_order(args: argparse.Namespace, ansatze: Iterable[Any], units: Iterable[Unit]) -> list[Key]:
    """The keys of all places in the order of the rows."""
    if args.command == "thresholds":
        return [key for unit in units for key in unit.keys]
    named = [("" if given is None else ansatz.name, ranges_of(args, ansatz)) for given, ansatz in _ansatze(args, ansatze)]
    return [place_key(name, place) for name, ranges in named for place in places(ranges)]


def place_key(ansatz: str, place: Mapping[str, Any]) -> Key:
    """The key of a place: the same for the same numbers, to the last bit, and never for others."""
    return _hashed(ansatz, *(f"{name}={_exact(value)}" for name, value in sorted(place.items())))


def _exact(value: Any) -> str:
    if isinstance(value, str):
        return str(math.inf.hex()) if value == "inf" else value
    return float(value).hex()


def _hashed(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:20]


def header_of(args: argparse.Namespace) -> dict[str, Any]:
    """What the rows of a sweep are of: what a store of them says first."""
    model, ansatze = prepared(args)
    options = {name: getattr(args, name) for name in (*MODEL_OPTIONS, *_OPTIONS) if getattr(args, name, None)}
    options |= {"start": _start(options["start"])} if "start" in options else {}
    if args.command == "diagram" and args.alpha is not None:
        options["kappa"] = list(args.kappa or ())
    if "ansatz" in options:
        options["ansatz"] = ",".join(ansatz.name for ansatz in ansatze)
    content = [model.recipe(), *(repr(ansatz) for ansatz in ansatze), repr(sorted(options.items()))]
    return {
        "report": args.command,
        "model": model.name,
        "options": options,
        "tolerance": args.tolerance,
        "content": _hashed(*content),
        "versions": versions_here(),
    }


def _start(start: Any) -> dict[str, float]:
    return dict(start.order_parameters if isinstance(start, SaddlePoint) else start)


def grid_of(args: argparse.Namespace, ansatze: Iterable[Any], units: Iterable[Unit]) -> list[dict[str, list[Any]]]:
    """The grid of a sweep: products of ranges whose rows are all its places in order, with the ansatz as a range."""
    if args.command == "thresholds":
        return [{name: [value] for name, value in place.items()} for unit in units for place in unit.places]
    named = [({} if given is None else {"ansatz": [ansatz.name]}, ansatz) for given, ansatz in _ansatze(args, ansatze)]
    return [{**name, **{n: list(values) for n, values in ranges_of(args, ansatz).items()}} for name, ansatz in named]


@lru_cache(maxsize=1)
def versions_here() -> dict[str, str]:
    """Versions of everything that a number could depend on, the text of both packages included."""
    import replica
    from saddle.reporting.document import versions

    digest = hashlib.sha256()
    for folder in (Path(str(replica.__file__)).parent, Path(__file__).parents[1]):
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.read_bytes())
    return {**versions(), "sources": digest.hexdigest()[:12]}


@dataclass(frozen=True)
class Statements:
    """What a report says of a branch besides its rows."""

    kind: str = "Curve"
    curves: tuple[Mapping[str, Any], ...] = ()
    thresholds: tuple[Mapping[str, Any], ...] = ()


class UnitJournal(Journal):
    """The journal of one unit: it knows the rows of earlier runs, and hands over every new one."""

    def __init__(
        self, args: argparse.Namespace, unit: Unit, known: Mapping[Key, Results], keep: Callable[[Place, Results], None]
    ) -> None:
        self.args, self.unit, self.known, self.keep = args, unit, known, keep

    def recall(self, place: Place) -> Results | None:
        """What is known of a place."""
        return self.known.get(place_key(self.unit.name, place))

    def attempt(self, place: Place, solve: Callable[[], Iterable[Any]]) -> Results:
        """What is found at a place; where the solver itself fails, a row that says so."""
        try:
            found = tuple(solve())
        except (ArithmeticError, AssertionError, LookupError, MemoryError, RuntimeError, TypeError, ValueError) as error:
            from replica.errors import InputError

            if isinstance(error, InputError):
                raise
            reason = f"Not converged: {type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ") + "."
            found = (empty_row(self.args, self.unit, place, Status.NOT_CONVERGED, reason),)
        self.keep(place, found)
        return found


def work(args: argparse.Namespace, unit: Unit, journal: Journal) -> Statements:
    """Work off one unit; its rows go to the journal.

    Raises
    ------
    InputError
        If the report refuses the unit as a whole.
    """
    own = argparse.Namespace(**{**vars(args), **unit.ranges, **({} if unit.ansatz is None else {"ansatz": [unit.ansatz]})})
    model, (ansatz,) = prepared(own)
    curve = report(model, ansatz, own, None, journal)
    return Statements(type(curve).__name__, curve.curves, curve.thresholds)


def empty_row(args: argparse.Namespace, unit: Unit, place: Place, status: Status, message: str) -> Any:
    """A row without a value, of the kind that the report has."""
    numbers = {name: float(value) for name, value in place.items() if name != "name" and value != "max"}
    model = args.model if isinstance(args.model, str) else args.model.name
    known: dict[str, Any] = {"model": model, "ansatz": unit.name or args.command, "parameters": numbers}
    known |= dict.fromkeys(("error", "residual", "quadrature_error"), math.nan)
    known |= {"order_parameters": {}, "status": status, "message": message, "tolerance": args.tolerance}
    if args.command == "thresholds":
        from saddle.critical.landmark import DEFINITIONS, Landmark

        name = str(place["name"])
        return Landmark(name=name, value=math.nan, definition=DEFINITIONS.get(name, ""), **known)
    if args.command in _THRESHOLDS:
        return Threshold(name=args.command.replace("-", "_"), value=math.nan, **known)
    return SaddlePoint(free_entropy=math.nan, **known)
