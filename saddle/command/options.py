"""The command line of ``replica``: its commands, options and help texts.

Two habits of argparse are overridden.  It refuses option values that begin with a minus unless they are plain numbers
(``-1:1:3``, ``-1,0,1``, ``-1e-3``): an option and its value are joined to one word before it looks at them.  And its
errors print the usage and leave: here every error is an ``InputError`` of one sentence.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn, TypeVar

from replica.errors import InputError
from saddle.command.ranges import as_range, assignments, check_domain, values

T = TypeVar("T")

COMPUTING = (
    *("solve", "entropy", "capacity", "max-margin", "franz-parisi", "local-entropy", "complexity"),
    *("generalization", "ogp", "thresholds", "diagram"),
)
SCHEDULE = ("workers", "scheduler", "store")
"""Options that say where rows are computed and kept, and nothing of what they are."""
MODEL_OPTIONS = ("activation", "weights", "loss")
"""Options that say which model a name means."""
LOSS = "what a pattern costs at --beta: errors (default), cross-entropy, hinge, or an expression in the stability x"
DEFAULT_TOLERANCE = 1e-12
_GRID = """\
RANGE is a number, a comma list, start:stop:count (both ends included) or start:stop:count:log;
several ranges make a product, distance fastest."""

_EXAMPLES = {
    "models": "replica models",
    "derive": "replica derive binary-perceptron --ansatz franz-parisi --format latex",
    "solve": "replica solve binary-perceptron --ansatz rs --alpha 0.5 --kappa 0 --json",
    "entropy": "replica entropy binary-perceptron --alpha 0.5 --kappa -1:0.41:42 --csv curve.csv --plot curve.pdf",
    "capacity": "replica capacity spherical-perceptron --kappa -1:0:5 --ansatz rs,1rsb",
    "max-margin": "replica max-margin spherical-perceptron --alpha 2:12:6 --ansatz rs,1rsb",
    "franz-parisi": (
        "replica franz-parisi binary-perceptron --alpha 0.5 --reference-kappa 0.2,max --kappa 0 \\\n"
        "      --distance 0.002:0.35:100 --plot fp.png"
    ),
    "local-entropy": "replica local-entropy binary-perceptron --alpha 0.6 --y 20 --distance 0.05,0.1,0.2 --reference --json",
    "complexity": "replica complexity spherical-perceptron --alpha 9 --kappa -1 --m 0.1:0.9:9 --json",
    "generalization": "replica generalization teacher-student --alpha 0.5:1.6:56 --json",
    "ogp": "replica ogp symmetric-binary-perceptron --kappa 1 --clones 2,3,4,5 --json",
    "thresholds": "replica thresholds binary-perceptron --alpha 0.7 --kappa 0 --json",
    "diagram": "replica diagram binary-perceptron --kappa 0 --alpha 0.3:0.83:54 --csv d.csv --plot d.png",
    "check": "replica check binary-perceptron --ansatz franz-parisi",
    "published": "replica published",
    "recompute": "replica recompute curve.json",
    "store": "replica store sweep.jsonl --csv sweep.csv",
}

_SUMMARIES = {
    "models": "list the models and ansatze",
    "derive": "print a derivation, the saddle equations or the generated source",
    "solve": "solve one saddle point, or one for every combination of the parameters",
    "entropy": "replica-symmetric entropy, overlap and stability against margin and load",
    "capacity": "largest load with solutions at a margin",
    "max-margin": "largest margin with solutions at a load",
    "franz-parisi": "entropy of solutions at a distance from a typical solution of larger margin",
    "local-entropy": "entropy of y replicas at an imposed overlap, or around a reference: local and external entropy",
    "complexity": "entropy of states with broken replica symmetry against the Parisi parameter",
    "generalization": "what a student learns of its teacher against load: both branches and their transitions",
    "ogp": "load above which m solutions at some mutual overlap are missing: the overlap gap of m clones",
    "thresholds": "where solutions end and flat minima break up, in the load or (with --alpha) in the reference margin",
    "diagram": "phase diagram: of flat minima over the load (--alpha), or of a model over the margin (--kappa)",
    "check": "check a derivation: gradients, finite n against brute force, reductions",
    "published": "published numbers beside ours",
    "recompute": "repeat the command of a stored JSON document and compare every row",
    "store": "what a store of a sweep holds: rows done, failed by reason, missing; and export them",
}


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are sentences."""

    def error(self, message: str) -> NoReturn:
        raise InputError(message)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The options of ``argv`` (without the program's name), checked as far as that needs no computation.

    Raises
    ------
    InputError
        One sentence for whatever is wrong with the command line.
    """
    _refuse_temperature(argv)
    parser, joining = _build()
    args = parser.parse_args(joined(argv, joining))
    for name in ("alpha", "kappa", "beta", "reference_kappa", "reference_beta", "m", "y", "overlap", "distance"):
        found = getattr(args, name, None)
        if found is not None:
            check_domain(name, found)
    return _complete(args, "the following arguments are required: --reference-kappa")


def _refuse_temperature(argv: Sequence[str]) -> None:
    """Say why a report has no temperature, where one is given."""
    if {"--beta", "--loss"} & {word.partition("=")[0] for word in argv[1:]}:
        from saddle.reporting.temperatures import NO_TEMPERATURE

        if argv[0] in NO_TEMPERATURE:
            raise InputError(NO_TEMPERATURE[argv[0]])


def _complete(args: argparse.Namespace, missing: str) -> argparse.Namespace:
    """A reference at a temperature has the margin 0 unless another one is given; a hard one needs its margin."""
    if args.command == "franz-parisi" and args.reference_kappa is None:
        if all(getattr(args, name) is None for name in ("beta", "reference_beta", "reference_loss")):
            raise InputError(missing)
        args.reference_kappa = (0.0,)
    return args


def joined(argv: Sequence[str], options: frozenset[str]) -> list[str]:
    """``argv`` with each of ``options`` joined to a value that begins with a minus: ``--kappa=-1:1:3``."""
    words: list[str] = []
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return [*words, word, *rest]
        if word in options and rest and rest[0].startswith("-") and not rest[0].startswith("--") and rest[0] != "-h":
            word = f"{word}={rest.pop(0)}"
        words.append(word)
    return words


def _build() -> tuple[Parser, frozenset[str]]:
    """The parser and the names of the options that take a value."""
    top = Parser(
        prog="replica",
        description="Replica method for neural networks: derivations, saddle points, entropies, thresholds.",
        epilog="replica COMMAND --help shows the options of a command and an example.",
        allow_abbrev=False,
    )
    top.add_argument("--version", action="store_true", help="print the version and leave")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    joining: set[str] = set()
    for name, summary in _SUMMARIES.items():
        parser = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        _ADD[name](parser)
        parser.epilog = (f"{_GRID}\n\n" if name in COMPUTING else "") + f"example:\n  {_EXAMPLES[name]}"
        joining.update(o for action in parser._actions if action.nargs != 0 for o in action.option_strings)
    return top, frozenset(joining)


def _models(parser: Parser) -> None:
    _json(parser)


def _derive(parser: Parser) -> None:
    _model(parser)
    _ansatz(parser)
    _reference(parser)
    parser.add_argument("--format", choices=("latex", "text", "python"), default="text", help="default: text")
    parser.add_argument("--steps", action="store_true", help="every step of the derivation, not only its result")


def _solve(parser: Parser) -> None:
    _model(parser)
    _ansatz(parser, several=True)
    _range(parser, "alpha", "load, patterns per weight", required=True)
    _range(parser, "kappa", "margin (default 0)", default=(0.0,))
    _range(parser, "reference-kappa", "margin of the reference (franz-parisi), or max", words=("max",))
    _range(parser, "m", "Parisi parameter (1rsb); without it the free entropy is extremised over it")
    _range(parser, "y", "number of replicas (local-entropy), or inf", words=("inf",))
    _range(parser, "overlap", "imposed overlap, in (0, 1) (local-entropy)")
    _range(parser, "distance", "imposed distance, in (0, 1/2) (franz-parisi, local-entropy)")
    _temperature(parser, reference=True)
    parser.add_argument("--all-branches", action="store_true", help="every saddle point that a list of starts finds")
    _solver(parser)


def _entropy(parser: Parser) -> None:
    _model(parser)
    _ansatz(parser, several=True)
    _range(parser, "alpha", "load, patterns per weight", required=True)
    _range(parser, "kappa", "margin (default 0)", default=(0.0,))
    _temperature(parser)
    _solver(parser)


def _capacity(parser: Parser) -> None:
    _model(parser)
    _ansatz(parser, several=True)
    _range(parser, "kappa", "margin (default 0)", default=(0.0,))
    _solver(parser)


def _max_margin(parser: Parser) -> None:
    _model(parser)
    _ansatz(parser, several=True)
    _range(parser, "alpha", "load, patterns per weight", required=True)
    _solver(parser)


def _franz_parisi(parser: Parser) -> None:
    _model(parser)
    _range(parser, "alpha", "load, patterns per weight", required=True)
    _range(parser, "reference-kappa", "margin of the reference, or max (at a temperature: default 0)", words=("max",))
    _range(parser, "kappa", "margin (default 0)", default=(0.0,))
    _range(parser, "distance", "distance from the reference, in (0, 1/2)", required=True)
    _temperature(parser, reference=True)
    _solver(parser)


def _local_entropy(parser: Parser) -> None:
    _model(parser)
    _range(parser, "alpha", "load, patterns per weight", required=True)
    _range(parser, "kappa", "margin (default 0)", default=(0.0,))
    _range(parser, "y", "number of replicas, or inf", words=("inf",))
    _range(parser, "external-entropy", "in place of --y: the complexity at which the number of replicas is solved for")
    _range(parser, "overlap", "of the replicas with each other (with --reference: with it), in (0, 1)")
    _range(parser, "distance", "the same constraint as (1 - overlap)/2, in (0, 1/2)")
    parser.add_argument("--reference", action="store_true", help="around a reference, which need not be a solution")
    _temperature(parser)
    _solver(parser)


def _complexity(parser: Parser) -> None:
    _model(parser)
    _range(parser, "alpha", "load, patterns per weight", required=True)
    _range(parser, "kappa", "margin (default 0)", default=(0.0,))
    _range(parser, "m", "Parisi parameter", required=True)
    _temperature(parser)
    _solver(parser)


def _generalization(parser: Parser) -> None:
    _model(parser)
    _range(parser, "alpha", "load, patterns per weight", required=True)
    _range(parser, "kappa", "margin of the student (default 0)", default=(0.0,))
    _temperature(parser)
    _solver(parser)


def _ogp(parser: Parser) -> None:
    _model(parser)
    _range(parser, "kappa", "margin (default 0)", default=(0.0,))
    _range(parser, "clones", "numbers of clones, at least 2 (default 2,3,4,5)", default=(2.0, 3.0, 4.0, 5.0))
    _solver(parser, start=False)


def _thresholds(parser: Parser) -> None:
    _model(parser)
    _range(parser, "alpha", "load; without it thresholds in the load are sought")
    _range(parser, "kappa", "margin of the probes (default 0)", default=(0.0,))
    _range(parser, "y", "numbers of replicas, for alpha_LE_y", default=(), words=("inf",))
    parser.add_argument("--only", metavar="NAMES", type=_names, help="a comma list of the thresholds wanted")
    _solver(parser)


def _diagram(parser: Parser) -> None:
    _model(parser)
    _range(parser, "alpha", "loads at which the lines of flat minima are reported (--kappa: margin of the probes)")
    _range(parser, "kappa", "without --alpha: margins at which capacity, AT line or transitions are reported")
    _range(parser, "beta", "for teacher-student: inverse temperatures in place of margins")
    _solver(parser)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _check(parser: Parser) -> None:
    _model(parser)
    _ansatz(parser)
    _reference(parser)
    _json(parser)


def _recompute(parser: Parser) -> None:
    _file(parser, "file", "a document written by --json or Curve.to_json")
    _json(parser)


def _store(parser: Parser) -> None:
    _file(parser, "file", "a file that --store wrote, also while it is being written")
    _json(parser)
    _file(parser, "--csv", "write the rows to FILE, 17 digits")
    _file(parser, "--netcdf", "write them as netCDF, ranges as dimensions (extra 'data')")


_ADD: dict[str, Callable[[Parser], None]] = {
    "models": _models,
    "derive": _derive,
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
    "check": _check,
    "published": _models,
    "recompute": _recompute,
    "store": _store,
}


def _model(parser: Parser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a name that 'replica models' lists, or path/to/file.py:name")
    parser.add_argument(
        "--activation", metavar="NAME", help="of tree-committee: relu (default), sign, ..., or an expression in x"
    )
    parser.add_argument("--weights", metavar="NAME", help="of tree-committee: binary (default) or spherical")
    parser.add_argument("--loss", metavar="LOSS", help=LOSS)


def _temperature(parser: Parser, reference: bool = False) -> None:
    meaning = "inverse temperature: a violated pattern costs 1 (see --loss), or inf"
    _range(parser, "beta", meaning, words=("inf",))
    if reference:
        _range(parser, "reference-beta", "that of the reference (default: that of the probes)", words=("inf",))
        _reference(parser)


def _reference(parser: Parser) -> None:
    meaning = "whose solution the reference is, if its constraint is another one than that of the probes"
    parser.add_argument("--reference-model", metavar="MODEL", help=meaning)
    meaning = "what a pattern costs the reference, at its own --reference-beta (see --loss)"
    parser.add_argument("--reference-loss", metavar="LOSS", help=meaning)


def _ansatz(parser: Parser, several: bool = False) -> None:
    listed = ", or a comma list" if several else ""
    meaning = f"as 'replica models' lists them (default rs){listed}"
    parser.add_argument("--ansatz", metavar="NAME", default="rs", help=meaning)


def _json(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def _range(
    parser: Parser,
    name: str,
    meaning: str,
    *,
    required: bool = False,
    default: tuple[float, ...] | None = None,
    words: tuple[str, ...] = (),
) -> None:
    parser.add_argument(
        f"--{name}",
        metavar="RANGE",
        type=_typed(partial(values, words=words)),
        required=required,
        default=default,
        help=meaning,
    )


def _file(parser: Parser, name: str, meaning: str) -> None:
    parser.add_argument(name, metavar="FILE", type=_typed(_named), help=meaning)


def _solver(parser: Parser, start: bool = True) -> None:
    """The options of every command that solves and writes rows."""
    tolerance = f"largest residual of the saddle equations (default {DEFAULT_TOLERANCE:g})"
    parser.add_argument(
        "--tolerance", metavar="NUMBER", type=_typed(_tolerance), default=DEFAULT_TOLERANCE, help=tolerance
    )
    if start:
        starting = "order parameters to start from"
        parser.add_argument("--start", metavar="q=0.9,qhat=2", type=_typed(assignments), help=starting)
    _json(parser)
    parser.add_argument("--workers", metavar="N", type=_typed(_workers), help="compute in N processes, one thread each")
    scheduler = "compute on the workers of a dask scheduler (tcp://host:port; extra 'parallel')"
    parser.add_argument("--scheduler", metavar="ADDRESS", help=scheduler)
    store = "keep every row in FILE as soon as it is finished; rows that are there are not computed again"
    _file(parser, "--store", store)
    _file(parser, "--csv", "write the columns to FILE, 17 digits")
    _file(parser, "--plot", "draw to FILE (.pdf, .png, .svg; extra 'plot')")


def scheduled(args: argparse.Namespace) -> bool:
    """Whether a parsed command is worked off as a sweep: by workers, or with a store."""
    return any(getattr(args, name, None) is not None for name in SCHEDULE)


def without_schedule(argv: Sequence[str]) -> list[str]:
    """``argv`` without the options that say where rows are computed and kept: the same rows come from what is left."""
    options, words, rest = tuple(f"--{name}" for name in SCHEDULE), list[str](), list(argv)
    while rest:
        word = rest.pop(0)
        if word in options:
            rest = rest[1:]
        elif not word.startswith(tuple(f"{option}=" for option in options)):
            words.append(word)
    return words


def settings_of(command: str, given: Mapping[str, Any]) -> argparse.Namespace:
    """What :func:`parse` returns for a command whose options are given as Python values, under their names.

    Raises
    ------
    InputError
        One sentence for a command that computes no rows, for an unknown option, and for values outside their domain.
    """
    if command not in COMPUTING:
        raise InputError(f"There is no sweep of {command!r}; there are {', '.join(COMPUTING)}.")
    parser = Parser()
    _ADD[command](parser)
    actions = {action.dest: action for action in parser._actions if action.dest not in _ON_PAPER}
    if unknown := [name for name in given if name not in actions]:
        raise InputError(f"{command} takes no {unknown[0]}; it takes {', '.join(actions)}.")
    if missing := [name for name, action in actions.items() if action.required and name not in given]:
        raise InputError(f"{command} needs {missing[0]}.")
    args = argparse.Namespace(command=command, **{name: action.default for name, action in actions.items()})
    for name, value in given.items():
        setattr(args, name, as_range(name, value) if actions[name].metavar == "RANGE" and value is not None else value)
    return _complete(args, f"{command} needs reference_kappa.")


_ON_PAPER = ("help", "json", "csv", "plot", *SCHEDULE)


def _named(text: str) -> str:
    if not text:
        raise InputError("the name of a file is empty")
    return text


def _workers(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 10_000:
        raise InputError(f"'{text}' is not a number of processes: give an integer of at least 1")
    return int(text)


def _tolerance(text: str) -> float:
    found = values(text)
    if len(found) != 1 or isinstance(found[0], str) or not 0 < found[0] < 1:
        raise InputError(f"'{text}' is not a tolerance: give one number between 0 and 1")
    return found[0]


def _typed(convert: Callable[[str], T]) -> Callable[[str], T]:
    """``convert`` in a form that lets argparse name the option in front of the sentence."""

    def converted(text: str) -> T:
        try:
            return convert(text)
        except InputError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return converted
