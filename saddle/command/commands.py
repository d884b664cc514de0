"""What each command computes, apart from how it was typed and where its result goes.

The functions of the packages are looked up when they are called, so that ``replica --help`` loads none of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import replica
import saddle
from replica.errors import InputError
from saddle.command.options import COMPUTING, MODEL_OPTIONS, SCHEDULE, parse, scheduled, without_schedule
from saddle.command.ranges import product
from saddle.points.results import Result, SaddlePoint, Status

if TYPE_CHECKING:
    from saddle.reporting.curve import Curve
    from saddle.sweeping.journal import Journal

Progress = Callable[[Result], None]
Kept = Mapping[str, Any]
"""Where finished points go: ``progress`` and, in a sweep, ``journal``."""

_PARAMETERS = ("alpha", "kappa", "beta", "reference_kappa", "reference_beta", "m", "y", "overlap", "distance")
_SPELLINGS = ("overlap", "distance")
"""Two spellings of one constraint."""


def execute(argv: Sequence[str], progress: Progress | None = None) -> Curve:
    """The curve that the command line ``argv`` (without the program's name) computes, its command recorded.

    Raises
    ------
    InputError
        For a command line that is wrong or does not compute rows.
    """
    args = parse(argv)
    if args.command not in COMPUTING:
        raise InputError(f"{args.command or 'an empty command'} does not compute rows")
    for name in SCHEDULE:  # rows are computed anew, and here
        setattr(args, name, None)
    return compute(args, argv, progress)


def compute(args: argparse.Namespace, argv: Sequence[str], progress: Progress | None = None) -> Curve:
    """The curve of a parsed command; ``progress`` is called with each finished point."""
    from saddle.reporting.curve import as_curve, joined

    command = ("replica", *without_schedule(argv))
    if scheduled(args):
        from saddle.sweeping.sweeps import run

        return as_curve(run(args, progress=progress), command=command)
    model, ansatze = prepared(args)
    return as_curve(joined([report(model, ansatz, args, progress) for ansatz in ansatze]), command=command)


def prepared(args: argparse.Namespace) -> tuple[Any, list[Any]]:
    """The model and the ansatze of a parsed command, which are refused where they do not go together."""
    model, ansatze = model_of(args), [zoo_ansatz(name) for name in ansatz_names(args)]
    for ansatz in ansatze:
        _check_ansatz(args, ansatz)
    _check_options(args, ansatze)
    return model, ansatze


def report(
    model: Any, ansatz: Any, args: argparse.Namespace, progress: Progress | None = None, journal: Journal | None = None
) -> Curve:
    """The curve of a parsed command under one ansatz; ``journal`` remembers points of an earlier run."""
    from saddle.reporting.curve import as_curve

    kept = {} if journal is None else {"journal": journal}
    return as_curve(_RUN[args.command](model, ansatz, args, {"progress": progress, **kept}))


def count(args: argparse.Namespace) -> int:
    """How many points a parsed command asks for."""
    if args.command == "thresholds":
        from saddle.critical.landmarks import names

        return len(names(model_of(args), None if args.alpha is None else args.alpha[0], args.y, args.only))
    rows = product(**_ranges(args))
    if args.command == "generalization":  # two branches where there is no margin
        return sum(2 if row["kappa"] == 0 else 1 for row in rows)
    return len(rows) * len(ansatz_names(args))


def ansatz_names(args: argparse.Namespace) -> list[str]:
    """The ansatze asked for, a comma list: the rows of one come after those of the other."""
    names = getattr(args, "ansatz", "franz-parisi")
    names = names.split(",") if isinstance(names, str) else list(names)
    if not all(names):
        raise InputError("--ansatz has an empty member: give a name or a comma list, such as rs,1rsb")
    if repeated := [name for i, name in enumerate(names) if name in names[:i]]:
        raise InputError(f"--ansatz names {repeated[0]} twice")
    return list(names)


def in_order(points: Sequence[Result], args: argparse.Namespace) -> tuple[Result, ...]:
    """Points that were finished in any order, in the order asked for; a word such as ``max`` matches what is left."""
    ranges = _ranges(args)
    nested = sorted(ranges, key=lambda name: name in _SPELLINGS)
    ansatze = [zoo_ansatz(name).name for name in ansatz_names(args)]

    def place(point: Result) -> tuple[int, ...]:
        found = [ansatze.index(point.ansatz) if point.ansatz in ansatze else len(ansatze)]
        for name in nested:
            asked, value = ranges[name], point.parameters.get(name)
            words = [i for i, v in enumerate(asked) if isinstance(v, str)]
            found.append(asked.index(value) if value in asked else words[0] if words else len(asked))
        return tuple(found)

    return tuple(sorted(points, key=place))


def model_of(args: argparse.Namespace) -> Any:
    """The model that a command line names, with the options that belong to it."""
    options = {name: getattr(args, name, None) for name in MODEL_OPTIONS}
    hot = getattr(args, "beta", None) is not None
    if args.command in COMPUTING and options["loss"] is not None and not hot:
        raise InputError("--loss needs --beta, the inverse temperature that multiplies it")
    model = zoo_model(args.model, **options) if isinstance(args.model, str) else replica.zoo.as_model(args.model)
    model, reference = _at_temperature(model, hot), _reference(args, options, hot)
    return model if reference is None else model.around(reference)


def _at_temperature(model: Any, hot: bool) -> Any:
    return replica.soft(model) if hot and not hasattr(model.constraint, "temperature") else model


def _reference(args: argparse.Namespace, options: Mapping[str, Any], hot: bool) -> Any:
    """The model of a reference, None where it is that of the probes.

    Its activation and weights are those of the probes where the name takes any, its loss is its own.
    """
    name, loss = (getattr(args, option, None) for option in ("reference_model", "reference_loss"))
    warm = getattr(args, "reference_beta", None) is not None
    if warm and not hot and name is None and loss is None:
        raise InputError("--reference-beta needs --beta, that of the probes, or --reference-model or --reference-loss")
    if args.command in COMPUTING and loss is not None and not warm:
        raise InputError("--reference-loss needs --reference-beta, the inverse temperature that multiplies it")
    if name is None and loss is None:
        return None
    name = args.model if name is None else name
    if not isinstance(name, str):
        return replica.soft(name, str(loss))
    takes = options if name in (args.model, "tree-committee") else {}
    return _at_temperature(zoo_model(name, **{**takes, "loss": loss}), warm)


def zoo_model(name: str, **options: Any) -> Any:
    """The model called ``name`` on the command line; options that are None are left out."""
    return _named(partial(replica.zoo.model, **options), name)


def zoo_ansatz(name: Any) -> Any:
    """The ansatz called ``name`` on the command line; an ansatz itself is one."""
    return _named(replica.zoo.ansatz, name) if isinstance(name, str) else name


def _named(find: Callable[[str], Any], name: str) -> Any:
    try:
        return find(name)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(str(error)) from error


def _check_ansatz(args: argparse.Namespace, ansatz: Any) -> None:
    """Refuse an ansatz that the command has no solver for, and parameters that the ansatz lacks."""
    if args.command in ("capacity", "max-margin") or not hasattr(args, "ansatz"):
        return
    plain = not ansatz.imposed and {*ansatz.multiplicities} <= {*ansatz.extremised}
    if args.command == "entropy" and not plain:
        raise InputError(f"entropy has no solver for the ansatz {ansatz.name}: use rs or 1rsb")
    if args.command == "solve":
        needed = ["reference_kappa"] if any(prefix for _, prefix in ansatz.prefixes) else []
        needed += [name for name in ansatz.multiplicities if name not in ansatz.extremised]
        for name in needed:
            if getattr(args, name, None) is None:
                raise InputError(f"the ansatz {ansatz.name} needs --{name.replace('_', '-')}")
        if ansatz.imposed and all(getattr(args, name) is None for name in _SPELLINGS if name in _taken(ansatz)):
            options = " or ".join(f"--{name}" for name in _SPELLINGS if name in _taken(ansatz))
            raise InputError(f"the ansatz {ansatz.name} needs {options}")


def check_reference(args: argparse.Namespace, ansatze: Sequence[Any]) -> None:
    """Refuse the model or the loss of a reference where no ansatz has one."""
    for option in ("reference_model", "reference_loss"):
        if getattr(args, option, None) is not None and not any(ansatz.prefixes for ansatz in ansatze):
            what, name = option.partition("_")[2], option.replace("_", "-")
            raise InputError(f"the ansatz {ansatze[0].name} has no reference, whose {what} --{name} would be")


def _check_options(args: argparse.Namespace, ansatze: Sequence[Any]) -> None:
    """Refuse parameters that no ansatz takes, and one constraint that is given twice."""
    if all(getattr(args, name, None) is not None for name in _SPELLINGS):
        raise InputError("--overlap and --distance are two spellings of one constraint: give one of them")
    check_reference(args, ansatze)
    if args.command != "solve":
        return
    taken = set().union(*(_taken(ansatz) for ansatz in ansatze))
    for name in _PARAMETERS:
        if getattr(args, name, None) is not None and name not in taken:
            raise InputError(f"the ansatz {ansatze[0].name} has no --{name.replace('_', '-')}")


def _taken(ansatz: Any) -> set[str]:
    """The parameters that an ansatz takes."""
    found = {"alpha", "kappa", "beta", *ansatz.multiplicities}
    if any(prefix for _, prefix in ansatz.prefixes):
        found |= {"reference_kappa", "reference_beta"}
    if ansatz.imposed:
        found |= {*_SPELLINGS} if ansatz.multiplicities else {"distance"}
    return found


def _ranges(args: argparse.Namespace) -> dict[str, tuple[float | str, ...]]:
    given = ((name, getattr(args, name, None)) for name in (*_PARAMETERS, "clones"))
    return {name: found for name, found in given if found is not None}


def _temperatures(args: argparse.Namespace) -> dict[str, Any]:
    """The inverse temperatures that were given."""
    given = ((name, getattr(args, name, None)) for name in ("beta", "reference_beta"))
    return {name: value for name, value in given if value is not None}


def ranges_of(args: argparse.Namespace, ansatz: Any) -> dict[str, tuple[Any, ...]]:
    """The ranges of a parsed command whose product are the rows under one ansatz, in the order of the rows."""
    found = _ranges(args)
    if args.command == "diagram":
        return _diagram_ranges(args, found)
    if args.command == "solve":
        found = {name: values for name, values in found.items() if name in _taken(ansatz)}
    names = sorted(found, key=lambda name: name in _SPELLINGS)
    if args.command == "franz-parisi":  # temperatures are faster than the margin of the reference
        names.sort(key=lambda name: (name in _SPELLINGS) * 2 + name.endswith("beta"))
    return {name: found[name] for name in names}


def _diagram_ranges(args: argparse.Namespace, found: Mapping[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
    """What a diagram goes over: the load, or else temperature or margin; for a student of a teacher margins by default."""
    along = next((name for name in ("alpha", "beta", "kappa") if name in found), "")
    if along:
        return {along: found[along]}
    if not model_of(args).teacher:
        raise InputError("diagram needs --alpha or --kappa")
    from saddle.critical.teacher_diagram import DEFAULT_MARGINS

    return {"kappa": DEFAULT_MARGINS}


def _settings(args: argparse.Namespace, kept: Kept) -> dict[str, Any]:
    return {"start": args.start, "tolerance": args.tolerance, **kept}


def _solve(model: Any, ansatz: Any, args: argparse.Namespace, kept: Kept) -> Curve:
    from saddle.reporting.curve import Curve
    from saddle.sweeping.journal import Steps

    steps = Steps(**kept)

    def solved(row: Mapping[str, Any]) -> Sequence[SaddlePoint]:
        parameters: dict[str, Any] = dict(row)
        warm = hasattr(model.obeyed("reference_").constraint, "temperature")
        if "reference_kappa" in row and "beta" in row and warm:
            parameters.setdefault("reference_beta", row["beta"])
        if args.all_branches:
            if args.start is not None:
                raise InputError("--all-branches has starts of its own: leave out --start")
            return saddle.all_saddles((model, ansatz), tolerance=args.tolerance, **parameters)
        return [saddle.solve((model, ansatz), start=args.start, tolerance=args.tolerance, **parameters)]

    for row in product(**ranges_of(args, ansatz)):
        steps.several(row, partial(solved, row))
    points = steps.points
    if not points:
        raise InputError("No saddle at any point asked for: none of the starts led to a solution.")
    # that replica symmetry is not broken is an answer, not a mistake of the question
    asked_too_much = not ansatz.extremised and all(point.window is None for point in points)
    if asked_too_much and all(point.status is Status.NO_SADDLE for point in points):
        raise InputError(f"No saddle at any point asked for: {points[0].message}")
    return Curve(tuple(points))


def _entropy(model: Any, ansatz: Any, args: argparse.Namespace, kept: Kept) -> Any:
    known = {**_settings(args, kept), **_temperatures(args), "ansatz": ansatz}
    return saddle.entropy_curve(model, args.alpha, args.kappa, **known)


def _capacity(model: Any, ansatz: Any, args: argparse.Namespace, kept: Kept) -> Any:
    return saddle.capacity(model, args.kappa, ansatz=ansatz, **_settings(args, kept))


def _max_margin(model: Any, ansatz: Any, args: argparse.Namespace, kept: Kept) -> Any:
    return saddle.max_margin(model, args.alpha, ansatz=ansatz, **_settings(args, kept))


def _franz_parisi(model: Any, ansatz: Any, args: argparse.Namespace, kept: Kept) -> Any:
    settings = {**_settings(args, kept), **_temperatures(args)}
    return saddle.franz_parisi(model, args.alpha, args.reference_kappa, args.kappa, args.distance, **settings)


def _local_entropy(model: Any, ansatz: Any, args: argparse.Namespace, kept: Kept) -> Any:
    if (args.y is None) == (args.external_entropy is None):
        raise InputError("local-entropy needs either --y or --external-entropy")
    if args.overlap is None and args.distance is None:
        raise InputError("local-entropy needs --overlap or --distance")
    target = None if args.external_entropy is None else _single(args, "external_entropy")
    known = {"y": args.y, "overlap": args.overlap, "distance": args.distance, "reference": args.reference}
    settings = {**known, "external_entropy": target, **_settings(args, kept), **_temperatures(args)}
    return saddle.local_entropy(model, args.alpha, args.kappa, **settings)


def _complexity(model: Any, ansatz: Any, args: argparse.Namespace, kept: Kept) -> Any:
    return saddle.complexity(model, args.alpha, args.kappa, m=args.m, **_settings(args, kept), **_temperatures(args))


def _generalization(model: Any, ansatz: Any, args: argparse.Namespace, kept: Kept) -> Any:
    return saddle.generalization(model, args.alpha, args.kappa, **_settings(args, kept), **_temperatures(args))


def _ogp(model: Any, ansatz: Any, args: argparse.Namespace, kept: Kept) -> Any:
    return saddle.ogp(model, args.kappa, args.clones, tolerance=args.tolerance, **kept)


def _thresholds(model: Any, ansatz: Any, args: argparse.Namespace, kept: Kept) -> Any:
    alpha = None if args.alpha is None else _single(args, "alpha")
    known = {"only": args.only, "y": args.y, "tolerance": args.tolerance, **kept}
    return saddle.thresholds(model, alpha=alpha, kappa=_single(args, "kappa"), **known)


def _diagram(model: Any, ansatz: Any, args: argparse.Namespace, kept: Kept) -> Any:
    return saddle.diagram(model, args.alpha, args.kappa, beta=args.beta, tolerance=args.tolerance, **kept)


def _single(args: argparse.Namespace, name: str) -> float:
    """The one value of a parameter that has to be a number here."""
    values = getattr(args, name)
    if len(values) != 1:
        raise InputError(f"{args.command} takes one --{name.replace('_', '-')}, not {len(values)}")
    return float(values[0])


_RUN: Mapping[str, Callable[[Any, Any, argparse.Namespace, Kept], Any]] = {
    "solve": _solve,
    "entropy": _entropy,
    "capacity": _capacity,
    "max-margin": _max_margin,
    "franz-parisi": _franz_parisi,
    "local-entropy": _local_entropy,
    "complexity": _complexity,
    "generalization": _generalization,
    "ogp": _ogp,
    "thresholds": _thresholds,
    "diagram": _diagram,
}
