"""Published numbers beside ours.

The numbers are package data (``published.json``), with their sources and with how far they can be trusted: an
interval, a number of figures, or exactness.  Each row that this version can compute is computed anew; the others say
what they need.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from replica import zoo
from saddle.points.results import Threshold

Row = dict[str, Any]
Computation = Callable[[float], tuple[float, float]]

_EXACT = 1e-12
_EPS = 2.0**-52
_STEP = 1e-3


def table(progress: Callable[[Row], None] | None = None) -> list[Row]:
    """Return every published number beside ours.

    Parameters
    ----------
    progress : callable, optional
        Called with each row as soon as it is finished.

    Returns
    -------
    list of dict
        In the order of the data, with keys ``quantity, model, kappa``; ``ours`` and its absolute ``error``;
        ``published`` (a number or an interval ``[low, high]``) and ``source``; ``agrees``: whether ours, give or take
        its error, lies in the interval, within half a unit of the last published figure, or within 1e-12 of an exact
        value.  Where this version cannot compute the quantity, ``ours, error, agrees`` are None and ``note`` says what
        it needs (elsewhere ``note`` is None).
    """
    rows = []
    for given in data():
        rows.append(_compared(given))
        if progress is not None:
            progress(rows[-1])
    return rows


def markdown(rows: Iterable[Row]) -> str:
    """Return the rows that are computed as a Markdown table; ours with 12 figures, fewer than its error leaves."""
    lines = ["| quantity | model | κ | ours | published | agrees | source |", "|---|---|---:|---:|---:|---|---|"]
    for row in rows:
        if row["agrees"] is not None:
            given = row["published"]
            published = f"[{given[0]}, {given[1]}]" if isinstance(given, list) else str(given)
            agrees = "yes" if row["agrees"] else "no"
            about = f"{row['quantity']} | {row['model']} | {row['kappa']:g}"
            lines.append(f"| {about} | {row['ours']:.12g} | {published} | {agrees} | {row['source']} |")
    return "\n".join(lines)


def data() -> list[Mapping[str, Any]]:
    """Return the published rows as they are stored."""
    text = (files("saddle") / "published.json").read_text(encoding="utf-8")
    rows: list[Mapping[str, Any]] = json.loads(text)["rows"]
    return rows


_LOADS = ("capacity", "first-order", "spinodal")
_WRITTEN = {"teacher-student": "binary teacher-student"}
_WRITTEN_ACTIVATIONS = {"relu": "ReLU", "erf": "erf(x)"}


def points_of(model: str, options: Mapping[str, str]) -> list[Mapping[str, Any]]:
    """Return the published loads of a model (by its name and options) at which solutions or phases end."""
    name = _WRITTEN.get(model, model.replace("-", " "))
    if "activation" in options:
        activation = options["activation"]
        name += f" K=inf, {_WRITTEN_ACTIVATIONS.get(activation, activation)}, {options.get('weights', 'binary')}"
    return [row for row in data() if row["model"] == name and row["quantity"].startswith(_LOADS)]


def middle(row: Mapping[str, Any]) -> float:
    """Return the published value of a row, the middle of its interval if one was published."""
    low, high = row.get("interval", (row.get("value"), row.get("value")))
    return 0.5 * (low + high)


def agreement(ours: float, error: float, given: Mapping[str, Any]) -> bool:
    """Return whether a value with an absolute error is compatible with a published row."""
    low, high = published_range(given)
    return low - error <= ours <= high + error


def published_range(given: Mapping[str, Any]) -> tuple[float, float]:
    """Return the smallest and largest value that a row allows: its interval as it stands, else its last figure."""
    if "interval" in given:
        low, high = given["interval"]
        return float(low), float(high)
    value = float(given["value"])
    if given.get("exact"):
        return value - _EXACT, value + _EXACT
    unit = 10.0 ** (math.floor(math.log10(abs(value))) + 1 - given["digits"])
    half = 0.5 * unit + 2 * _EPS * abs(value)  # a number printed after rounding up from the very half still agrees
    return value - half, value + half


def _compared(given: Mapping[str, Any]) -> Row:
    compute = _COMPUTED.get((given["quantity"], given["model"]))
    ours, error, agrees = None, None, None
    if compute is not None:
        ours, error = compute(float(given["kappa"]))
        agrees = agreement(ours, error, given)
    return {
        "quantity": given["quantity"],
        "model": given["model"],
        "kappa": given["kappa"],
        "ours": ours,
        "error": error,
        "published": given.get("interval", given.get("value")),
        "source": given["source"],
        "agrees": agrees,
        "note": None if compute is not None else _need(given),
    }


@lru_cache(maxsize=64)
def _capacity(model: str, kappa: float, **options: str) -> Threshold:
    from saddle.critical.capacities import capacity

    found = capacity(zoo.model(model, **options), kappa)
    assert isinstance(found, Threshold)
    return found


def _capacity_of(model: str, **options: str) -> Computation:
    def compute(kappa: float) -> tuple[float, float]:
        found = _capacity(model, kappa, **options)
        return found.value, found.error

    return compute


@dataclass(frozen=True)
class _CommitteeCapacity:
    """The capacity of a tree committee with spherical weights, under an ansatz."""

    activation: str
    ansatz: str

    def __call__(self, kappa: float) -> tuple[float, float]:
        """Value and error."""
        from saddle.critical.capacities import capacity

        found = capacity(zoo.tree_committee(self.activation, "spherical"), kappa, ansatz=self.ansatz)
        assert isinstance(found, Threshold)
        return found.value, found.error


@dataclass(frozen=True)
class _AtCapacity:
    """An order parameter of the binary perceptron where the entropy vanishes."""

    name: str

    def __call__(self, kappa: float) -> tuple[float, float]:
        """Value and error: that of the capacity and the residual of the saddle, through the derivative in the load."""
        from saddle.points.solving import solve

        found = _capacity("binary-perceptron", kappa)
        value = found.order_parameters[self.name]
        target = (zoo.binary_perceptron(), zoo.rs())
        step = _STEP * found.value
        above, below = (
            solve(target, alpha=found.value + shift, kappa=kappa, start=found.order_parameters, throw=True)
            for shift in (step, -step)
        )
        slope = (above.order_parameters[self.name] - below.order_parameters[self.name]) / (2 * step)
        uncertain = found.error + found.quadrature_error + 10 * found.residual
        return value, abs(slope) * uncertain + 4 * _EPS * abs(value)


def _tanh_four(kappa: float) -> tuple[float, float]:
    r""":math:`E \tanh^4 z` with :math:`z \sim N(0, \hat q)` at capacity."""
    found = _capacity("binary-perceptron", kappa).average("T**4")
    return found.value, found.error


@dataclass(frozen=True)
class _OverlapGap:
    """The onset of the overlap gap of a number of clones, or the smallest over all numbers."""

    model: str
    clones: tuple[int, ...]

    def __call__(self, kappa: float) -> tuple[float, float]:
        """Value and error."""
        from saddle.critical.clones import ogp

        found = ogp(self.model, kappa, self.clones)
        best = found.top if found.top is not None else found.points[0]
        return best.value, best.error


@dataclass(frozen=True)
class _Learning:
    """A transition of the teacher-student model."""

    name: str

    def __call__(self, kappa: float) -> tuple[float, float]:
        """Value and error."""
        from saddle.critical.learning import generalization

        found: Any = next(t for t in generalization("teacher-student", 1.0, kappa).thresholds if t["name"] == self.name)
        return float(found["value"]), float(found["error"])


def _breakup(kappa: float) -> tuple[float, float]:
    """The load at which the line of vanishing complexity around a reference breaks up."""
    from saddle.critical.landmarks import thresholds

    (found,) = thresholds("binary-perceptron", kappa=kappa, only=["alpha_U"])
    assert isinstance(found, Threshold)
    return found.value, found.error


_BINARY, _SPHERICAL = "binary perceptron", "spherical perceptron"
_TEACHER, _SYMMETRIC = "binary teacher-student", "symmetric binary perceptron"
_LEAST = "alpha_OGP, min over m clones, RS"
_ACTIVATIONS = {"ReLU": "relu", "quadratic": "quadratic", "erf(x)": "erf"}
_COMPUTED: Mapping[tuple[str, str], Computation] = {
    ("capacity", _BINARY): _capacity_of("binary-perceptron"),
    ("q at capacity", _BINARY): _AtCapacity("q"),
    ("qhat at capacity", _BINARY): _AtCapacity("qhat"),
    ("E tanh^4 at capacity", _BINARY): _tanh_four,
    ("capacity", _SYMMETRIC): _capacity_of("symmetric-binary-perceptron"),
    ("capacity", "tree committee K=inf, sign, binary"): _capacity_of("tree-committee", activation="sign"),
    ("capacity", "tree committee K=inf, ReLU, binary"): _capacity_of("tree-committee", activation="relu"),
    ("local-entropy breakdown (alpha_U)", _BINARY): _breakup,
    (_LEAST, _BINARY): _OverlapGap("binary-perceptron", (3, 4, 5)),
    (_LEAST, _TEACHER): _OverlapGap("teacher-student", (3, 4, 5)),
    ("alpha_OGP(m=2), RS", _SYMMETRIC): _OverlapGap("symmetric-binary-perceptron", (2,)),
    ("alpha_OGP(m=3), RS", _SYMMETRIC): _OverlapGap("symmetric-binary-perceptron", (3,)),
    ("first-order transition to perfect generalisation", _TEACHER): _Learning("alpha_first_order"),
    ("spinodal", _TEACHER): _Learning("alpha_spinodal"),
    ("capacity, RS", _SPHERICAL): _capacity_of("spherical-perceptron"),
    ("capacity, RS (upper bound for kappa < 0)", _SPHERICAL): _capacity_of("spherical-perceptron"),
    **{
        (f"capacity, {ansatz.upper()}", f"tree committee K=inf, {published}, spherical"): _CommitteeCapacity(name, ansatz)
        for published, name in _ACTIVATIONS.items()
        for ansatz in ("rs", "1rsb")
    },
}

# What a quantity or a model needs, by how its name begins.
_NEEDS_FOR_QUANTITY = {
    "alpha_OGP": "the entropy of clones at a mutual overlap",
}
_NEEDS_FOR_MODEL = {
    "tree committee": "committee machines",
    "binary teacher-student": "the teacher-student constraint",
}


def _need(given: Mapping[str, Any]) -> str:
    """What the missing row needs, in a few words."""
    needs = [need for start, need in _NEEDS_FOR_QUANTITY.items() if given["quantity"].startswith(start)]
    needs += [need for start, need in _NEEDS_FOR_MODEL.items() if given["model"].startswith(start)]
    if "1RSB" in given["quantity"]:
        needs.append("a solver for 1RSB")
    return "needs " + " and ".join(needs or ["a computation that this version does not have"])
