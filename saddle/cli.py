"""The command ``replica``: same names as the Python functions, one JSON document or a readable table.

Exit codes: 0, every row has a value or a status that is the physical answer; 1, a row failed (the document is written
all the same); 2, bad input, one line on standard error; 130, interrupted, rows so far written.
"""

from __future__ import annotations

import gc
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from replica.errors import InputError
from saddle.command.options import COMPUTING, parse, scheduled, without_schedule

if TYPE_CHECKING:
    from saddle.reporting.curve import Curve

OK, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
COLLECT_RARELY = (200_000, 20, 50)
"""Thresholds of the garbage collector in a process of ours: compiling makes many objects that stay, and is slowed by it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (default: that of the process) and return the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if argv is None:
        gc.set_threshold(*COLLECT_RARELY)
    try:
        args = parse(words)
        if args.version:
            return _version()
        if args.command is None:
            raise InputError("no command given; 'replica --help' lists them")
        return _compute(args, words) if args.command in COMPUTING else _TELL[args.command](args)
    except InputError as error:
        print("replica: " + " ".join(str(error).split()), file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as leaving:  # argparse after --help
        return leaving.code if isinstance(leaving.code, int) else OK


def _compute(args: Namespace, words: list[str]) -> int:
    """Compute rows, write them wherever they are wanted and say how it went."""
    from saddle.command.commands import compute, count, in_order
    from saddle.command.outputs import Progress, check_outputs, failures, write_outputs

    total = count(args)
    check_outputs(args.csv, args.plot, args.store)
    progress = Progress(total)
    told = ""
    try:
        curve = compute(args, words, progress)
        told = failures(curve) if scheduled(args) else ""
    except KeyboardInterrupt as interrupt:
        from saddle.reporting.curve import Curve

        points = in_order(progress.points, args)
        curve = getattr(interrupt, "curve", None) or Curve(points, complete=False)  # a sweep knows more than what is new
        curve, told = replace(curve, command=("replica", *without_schedule(words))), str(interrupt)
    finally:
        progress.close()
    if told:
        print(f"replica: {told}", file=sys.stderr)
    _say(curve.to_json() if args.json else _readable(curve))
    write_outputs(curve, args.csv, args.plot)
    if not curve.complete:
        return INTERRUPTED
    return OK if all(point.status.is_answer for point in curve.points) else FAILED


def _readable(curve: Curve) -> str:
    from saddle.reporting.tables import remarks, table

    return "\n".join([table(curve), *remarks(curve)])


def _models(args: Namespace) -> int:
    import replica
    from saddle import matrix

    models = [_model_row(replica.zoo.model(name)) for name in replica.zoo.MODELS]
    ansatze, cells = list(replica.zoo.ANSATZE), [cell.as_json() for cell in matrix.cells()]
    found: dict[str, object] = {"models": models, "ansatze": ansatze, "matrix": cells}

    def lines() -> list[str]:
        about = [f"({i}) {reason}" for i, reason in enumerate(matrix.reasons(), 1)]
        return [*_plain(models), "", f"ansatze: {', '.join(ansatze)}", "", *_plain(matrix.table()), "", *about]

    return _tell(args, found, lines)


def _model_row(model: Any) -> dict[str, object]:
    parts = {part: getattr(model, part) for part in ("weights", "constraint")}
    names = {part: getattr(found, "name", str(found)) for part, found in parts.items()}
    return {"model": model.name, **names, "description": model.description}


def _derive(args: Namespace) -> int:
    import replica
    from saddle.command.commands import check_reference, model_of, zoo_ansatz

    if args.steps and args.format == "python":
        raise InputError("--steps has no python format: use text or latex")
    model, ansatz = model_of(args), zoo_ansatz(args.ansatz)
    check_reference(args, [ansatz])
    if args.format == "python":
        from saddle.kernels.kernel_source import kernel_source

        _say(kernel_source(model, ansatz))
        return OK
    derived = replica.derive(model, ansatz)
    if args.steps:
        from replica.printing.printers import steps_document

        _say(steps_document(derived, args.format == "latex"))
    else:
        _say(derived.latex() if args.format == "latex" else derived.text())
    return OK


def _check(args: Namespace) -> int:
    import saddle
    from saddle.command.commands import check_reference, model_of, zoo_ansatz

    fields = ("name", "passed", "value", "tolerance", "detail")
    model, ansatz = model_of(args), zoo_ansatz(args.ansatz)
    check_reference(args, [ansatz])
    found = saddle.check(model, ansatz)
    rows = [{field: getattr(check, field) for field in fields} for check in found]
    passed = all(row["passed"] for row in rows)
    _tell(args, {"model": args.model, "ansatz": args.ansatz, "passed": passed, "checks": rows}, lambda: _plain(rows))
    return OK if passed else FAILED


def _published(args: Namespace) -> int:
    from saddle.published import table

    rows = table()
    agrees = all(row["agrees"] is not False for row in rows)  # None: this version cannot compute the quantity
    _tell(args, {"agrees": agrees, "rows": rows}, lambda: _published_lines(rows))
    return OK if agrees else FAILED


def _published_lines(rows: list[dict[str, object]]) -> list[str]:
    """The numbers that are compared, and below them those that wait for something."""
    from saddle.reporting.tables import plain

    about = ("quantity", "model", "kappa")
    compared = [row for row in rows if row["agrees"] is not None]
    waiting = [row for row in rows if row["agrees"] is None]
    lines = plain(compared, (*about, "ours", "error", "published", "agrees", "source"))
    if waiting:
        lines += ["", "not computed by this version:", *plain(waiting, (*about, "published", "note"))]
    return lines


def _recompute(args: Namespace) -> int:
    from saddle.command.outputs import Progress
    from saddle.command.recompute import recompute
    from saddle.reporting.document import read

    stored = read(args.file)
    progress = Progress(len(stored["rows"]))
    try:
        found = recompute(stored, progress)
    finally:
        progress.close()
    told = {"agrees": found.agrees, "rows": found.rows, "disagreements": list(found.disagreements)}
    _tell(args, told, lambda: [found.text()])
    return OK if found.agrees else FAILED


def _store(args: Namespace) -> int:
    from saddle.command.outputs import check_outputs, exported
    from saddle.sweeping.stored import load_store

    check_outputs(args.csv, None, args.file, args.netcdf)
    found = load_store(args.file)
    exported("--csv", args.csv, found.to_csv)
    exported("--netcdf", args.netcdf, found.to_netcdf)
    return _tell(args, found.summary(), lambda: [found.text()])


_TELL: dict[str, Callable[[Namespace], int]] = {
    "models": _models,
    "derive": _derive,
    "check": _check,
    "published": _published,
    "recompute": _recompute,
    "store": _store,
}


def _tell(args: Namespace, found: dict[str, object], lines: Callable[[], Iterable[str]]) -> int:
    """Print ``found`` as a JSON document, or its lines for a person."""
    if args.json:
        from saddle.reporting.document import SCHEMA, dumps, versions

        _say(dumps({"schema": SCHEMA, **found, "provenance": {"versions": versions()}}))
    else:
        _say("\n".join(lines()))
    return OK


def _plain(rows: Sequence[Mapping[str, object]]) -> list[str]:
    from saddle.reporting.tables import plain

    return plain(rows, list(rows[0])) if rows else []


def _version() -> int:
    from saddle.reporting.document import versions

    _say(f"replica-saddle {versions()['replica-saddle']}")
    return OK


def _say(text: str) -> None:
    """Print to standard output; a reader that has gone (``| head``) is no error."""
    try:
        print(text.rstrip("\n"), flush=True)
    except OSError as error:
        # later writes, among them Python's own flush on leaving, go nowhere instead of failing again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise InputError(f"standard output cannot be written: {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(main())
