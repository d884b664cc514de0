"""Which model is solved under which ansatz: ``yes``, ``derived`` (equations only) or the reason why it makes no sense.

A column is an ansatz, with what sets it apart from the same tree elsewhere: the limit of infinitely many replicas, a
temperature, or the condition that defines clones.  ``yes`` means that ``tests/test_matrix.py`` holds the derivation of
the cell against differences, explicit replicas, simpler trees and the kernel against the oracle, and solves it at a
point; ``derived`` that it holds the first two.  The table in the README and the command ``replica models`` show this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

YES, DERIVED, NO = "yes", "derived", "no"
OWN = "a model of one's own"
"""The row of a declaration that does not ship: ternary weights, whose norm is not fixed."""


@dataclass(frozen=True)
class Row:
    """A model, as on the command line, with its options."""

    model: str
    short: str
    """Its name at the head of a column."""
    options: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def name(self) -> str:
        """Model and options in one text."""
        return " ".join([self.model, *(f"--{name} {value}" for name, value in self.options.items())])


@dataclass(frozen=True)
class Column:
    """An ansatz with a name of the zoo, and what is asked of it."""

    name: str
    ansatz: str
    multiplicity: str = ""
    """``inf``: infinitely many replicas; ``clones``: their number is an integer and their overlap is where a gap opens."""
    hot: bool = False


@dataclass(frozen=True)
class Cell:
    """One pairing; ``reason`` says why it is not ``yes``."""

    row: Row
    column: Column
    verdict: str
    reason: str = ""

    def as_json(self) -> dict[str, object]:
        """The cell as a part of a JSON document."""
        about = {"model": self.row.model, "options": dict(self.row.options), "column": self.column.name}
        return {**about, "ansatz": self.column.ansatz, "verdict": self.verdict, "reason": self.reason or None}


ROWS = (
    Row("binary-perceptron", "binary"),
    Row("spherical-perceptron", "spherical"),
    Row("symmetric-binary-perceptron", "symmetric"),
    Row("u-function-perceptron", "u-function"),
    Row("teacher-student", "teacher"),
    Row("tree-committee", "committee", {"weights": "binary"}),
    Row("tree-committee", "spherical committee", {"weights": "spherical"}),
    Row(OWN, "own"),
)

COLUMNS = (
    Column("rs", "rs"),
    Column("1rsb", "1rsb"),
    Column("franz-parisi", "franz-parisi"),
    Column("local-entropy", "local-entropy"),
    Column("local-entropy, y = inf", "local-entropy", "inf"),
    Column("local-entropy-reference", "local-entropy-reference"),
    Column("local-entropy-reference, y = inf", "local-entropy-reference", "inf"),
    Column("ogp of m clones", "local-entropy", "clones"),
    Column("rs, beta", "rs", hot=True),
    Column("1rsb, beta", "1rsb", hot=True),
    Column("franz-parisi, beta", "franz-parisi", hot=True),
)

_VOLUME = (
    "the weights are continuous: their entropy is that of a volume, relative to all of them, and its zero is no "
    "threshold at which solutions end"
)
_CENTRE = (
    "infinitely many replicas on the sphere have their reference as their centre, so that it is no constraint of its own: "
    "their mutual overlap is the square of that with it (use local-entropy, y = inf)"
)
_ALONE = (
    "by symmetry clusters have no overlap, so that the average over them is annealed; infinitely many replicas would then "
    "all sit at the one best centre, and no typical cluster is described"
)

_EXCEPTIONS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("spherical-perceptron", "ogp of m clones"): (NO, _VOLUME),
    ("tree-committee --weights spherical", "ogp of m clones"): (NO, _VOLUME),
    ("spherical-perceptron", "local-entropy-reference, y = inf"): (NO, _CENTRE),
    ("tree-committee --weights spherical", "local-entropy-reference, y = inf"): (NO, _CENTRE),
    ("symmetric-binary-perceptron", "local-entropy, y = inf"): (NO, _ALONE),
    ("symmetric-binary-perceptron", "local-entropy-reference, y = inf"): (NO, _ALONE),
    ("u-function-perceptron", "local-entropy, y = inf"): (NO, _ALONE),
    ("u-function-perceptron", "local-entropy-reference, y = inf"): (NO, _ALONE),
}
"""Verdict and reason of the cells that are not ``yes``, by the names of row and column."""


def cells() -> Iterator[Cell]:
    """Return every cell, row by row."""
    for row in ROWS:
        for column in COLUMNS:
            verdict, reason = _EXCEPTIONS.get((row.name, column.name), (YES, ""))
            yield Cell(row, column, verdict, reason)


def table() -> list[dict[str, str]]:
    """Return the matrix for a person: a line for every ansatz, a column for every model, a number for every reason."""
    numbers = {reason: str(i) for i, reason in enumerate(reasons(), 1)}
    found = {(cell.row.name, cell.column.name): cell for cell in cells()}
    lines = []
    for column in COLUMNS:
        line = {"ansatz": column.name}
        for row in ROWS:
            cell = found[row.name, column.name]
            line[row.short] = f"{cell.verdict} ({numbers[cell.reason]})" if cell.reason else cell.verdict
        lines.append(line)
    return lines


def reasons() -> list[str]:
    """Return the different reasons, in the order in which they appear in :func:`table`."""
    found = {(cell.row.name, cell.column.name): cell.reason for cell in cells()}
    ordered = (found[row.name, column.name] for column in COLUMNS for row in ROWS)
    return list(dict.fromkeys(reason for reason in ordered if reason))


def markdown() -> str:
    """Return the matrix as Markdown, its reasons below it."""
    lines = table()
    heads = [f"`{row.name}`" if row.name != OWN else OWN for row in ROWS]
    text = ["| ansatz | " + " | ".join(heads) + " |", "|---" * (1 + len(ROWS)) + "|"]
    text += [f"| {line['ansatz']} | " + " | ".join(line[row.short] for row in ROWS) + " |" for line in lines]
    return "\n".join([*text, "", *(f"{i}. {reason}." for i, reason in enumerate(map(_sentence, reasons()), 1))])


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]

