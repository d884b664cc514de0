"""Claimed against true errors: every point solved in double precision is evaluated again by mpmath at 30 digits.

``python tests/benchmarks/accuracy.py --points 320 --out tests/benchmarks/accuracy.json`` runs the whole check and writes
what is committed; the tests run a subset.  ``--again tests/benchmarks/accuracy.json`` solves the points of an earlier run
again and compares them with its truths: those come from the derived expressions, whatever the solver.  The free entropy
is stationary in the order parameters that are solved for, so that its value at the double-precision saddle is good to
twice the digits; the reference's own order parameters, where it is not stationary, are solved to 30 digits first.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import statistics
from importlib import metadata
from pathlib import Path
from typing import Any

import mpmath
import sympy as sp

import replica
import saddle
from replica.evaluation import evaluate
from saddle.critical.capacities import maximal_margin

DIGITS = 30
# Irrational steps fill the ranges evenly, without a seed.
_STEPS = (math.sqrt(2) % 1, math.sqrt(3) % 1, math.sqrt(5) % 1, math.sqrt(7) % 1)


def rs_saddle(free_entropy: Any, parameters: dict[str, Any], q: float) -> tuple[Any, Any]:
    """Overlap and conjugate to 30 digits, by chord steps from the double-precision overlap."""
    energetic, weights = free_entropy.energetic_pairs["q"], free_entropy.weight_pairs["q"]
    discrete = free_entropy.model.weights.discrete

    def miss(x: Any) -> tuple[Any, Any]:
        qhat = parameters["alpha"] * evaluate(energetic, {**parameters, "q": x}, {}, DIGITS)
        if discrete:
            return x - evaluate(weights, {"qhat": qhat}, {}, DIGITS), qhat
        return qhat / evaluate(weights, {"q": x}, {}, DIGITS) - 1, qhat

    with mpmath.workdps(DIGITS + 10):
        before, here = mpmath.mpf(q) * (1 + mpmath.mpf(10) ** -9), mpmath.mpf(q)
        miss_before, (miss_here, qhat) = miss(before)[0], miss(here)
        for _ in range(6):
            if abs(miss_here) < mpmath.mpf(10) ** -(DIGITS - 2) or miss_here == miss_before:
                break
            before, here = here, here - miss_here * (here - before) / (miss_here - miss_before)
            miss_before, (miss_here, qhat) = miss_here, miss(here)
        return here, qhat


def true_rs(model: Any, alpha: float, kappa: float, q: float) -> Any:
    """The replica-symmetric entropy to 30 digits."""
    free_entropy = replica.derive(model, "rs")
    parameters = {"alpha": mpmath.mpf(alpha), "kappa": mpmath.mpf(kappa)}
    q_true, qhat = rs_saddle(free_entropy, parameters, q)
    return evaluate(free_entropy.expression, {**parameters, "q": q_true, "qhat": qhat}, {}, DIGITS)


def true_franz_parisi(model: Any, point: saddle.SaddlePoint) -> Any:
    """The Franz-Parisi entropy to 30 digits."""
    derived, known, parameters = replica.derive(model, "franz-parisi"), point.order_parameters, point.parameters
    with mpmath.workdps(DIGITS + 10):
        values: dict[str, Any] = {name: mpmath.mpf(value) for name, value in known.items()}
        values |= {name: mpmath.mpf(parameters[name]) for name in ("alpha", "kappa", "reference_kappa")}
        values["p"] = 1 - 2 * mpmath.mpf(parameters["distance"])
        reference = {"alpha": values["alpha"], "kappa": values["reference_kappa"]}
        values["qr"], values["qrhat"] = rs_saddle(replica.derive(model, "rs"), reference, known["qr"])
        pivot = derived.pivots["q"]
        explained = evaluate(pivot.explained, values, {}, DIGITS)
        # Where the pivot is below the rounding of q, the entropy does not depend on it.
        values[pivot.variance.name] = max(values["q"] - explained, mpmath.mpf(10) ** -20)
        values["q"] = explained + values[pivot.variance.name]
        # The same holds for the variance of the conjugates, which vanishes with them.
        weights = sp.Symbol("wv_cluster_probe")
        values[weights.name] = max(evaluate(derived.definitions[weights], values, {}, DIGITS), mpmath.mpf(0))
        total = derived.interaction + derived.entropic + sp.Symbol("alpha") * derived.energetic
        return evaluate(total, values, derived.definitions, DIGITS)


def _fraction(index: int, axis: int) -> float:
    return (0.5 + (index + 1) * _STEPS[axis]) % 1.0


def rs_case(index: int) -> tuple[float, float]:
    """Load and margin of the ``index``-th replica-symmetric case: q up to 0.999, loads to beyond capacity."""
    kappa = -2.0 + 3.5 * _fraction(index, 0)
    capacity = saddle.capacity("binary-perceptron", kappa).value
    return capacity * (0.02 + 1.4 * _fraction(index, 1)), kappa


def franz_parisi_case(index: int) -> dict[str, float]:
    """Parameters of the ``index``-th Franz-Parisi case: distances from 1e-4, margins from -2 to the maximal one."""
    kappa = -2.0 + 2.8 * _fraction(index, 0)
    capacity = saddle.capacity("binary-perceptron", kappa).value
    alpha = capacity * (0.03 + 0.94 * _fraction(index, 1))
    largest = maximal_margin(replica.zoo.binary_perceptron(), alpha)
    margin = kappa + (largest - kappa) * (0.03 + 0.97 * _fraction(index, 2))
    distance = 1e-4 * (4900.0 ** _fraction(index, 3))
    return {"alpha": alpha, "kappa": kappa, "reference_kappa": min(margin, largest), "distance": distance}


def compare(index: int) -> dict[str, Any] | None:
    """One case: every third one replica-symmetric, the others Franz-Parisi; None where there is no saddle."""
    model = replica.zoo.binary_perceptron()
    if index % 3 == 0:
        alpha, kappa = rs_case(index)
        point = saddle.solve((model, "rs"), alpha=alpha, kappa=kappa)
        if point.status.is_answer and not point.converged:
            return None
        truth = true_rs(model, alpha, kappa, point.order_parameters["q"])
    else:
        point = saddle.solve((model, "franz-parisi"), **franz_parisi_case(index))
        if point.status.is_answer and not point.converged:
            return None
        truth = true_franz_parisi(model, point)
    return compared(point, truth)


def compare_again(row: dict[str, Any]) -> dict[str, Any]:
    """A row of an earlier run with the point solved anew."""
    names = ("alpha", "kappa", "reference_kappa", "distance")
    parameters = {name: row[name] for name in names if name in row}
    point = saddle.solve((replica.zoo.binary_perceptron(), row["ansatz"]), **parameters)
    with mpmath.workdps(DIGITS):
        return compared(point, mpmath.mpf(row["truth"]))


def compared(point: saddle.SaddlePoint, truth: Any) -> dict[str, Any]:
    """A row: a solved point beside its true entropy."""
    true_error = float(abs(mpmath.mpf(point.free_entropy) - truth))
    return {
        "ansatz": point.ansatz,
        **point.parameters,
        "q": point.order_parameters["q"],
        "free_entropy": point.free_entropy,
        "truth": mpmath.nstr(truth, 25),
        "claimed_error": point.error,
        "true_error": true_error,
        "covered": point.error >= true_error,
        "allowed": allowed_error(point),
    }


def allowed_error(point: saddle.SaddlePoint) -> float:
    """The accuracy that is promised at a point (relative where the entropy exceeds 1)."""
    scale = max(1.0, abs(point.free_entropy))
    if point.ansatz == "rs":
        return (1e-12 if point.order_parameters["q"] <= 0.999 else math.inf) * scale
    return (1e-10 if point.parameters["distance"] >= 0.002 else 1e-8) * scale


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What the rows say: coverage, accuracy, and how much too large the claimed errors are."""
    ratios = [row["claimed_error"] / max(row["true_error"], 1e-17) for row in rows]
    return {
        "points": len(rows),
        "not_covered": sum(not row["covered"] for row in rows),
        "beyond_promise": sum(row["true_error"] > row["allowed"] for row in rows),
        "median_claimed_error": statistics.median(row["claimed_error"] for row in rows),
        "median_true_error": statistics.median(row["true_error"] for row in rows),
        "median_ratio": statistics.median(ratios),
        "largest_true_error": max(row["true_error"] for row in rows),
        "largest_claimed_error": max(row["claimed_error"] for row in rows),
    }


def main() -> int:
    """Run the check; the exit code is 1 if a claimed error is too small or a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--points", type=int, default=320)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--again", type=Path, help="solve the points of this earlier run again, for its truths")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    index = 0
    if options.again:
        rows = [compare_again(row) for row in json.loads(options.again.read_text())["rows"]]
        options.points = len(rows)
    while len(rows) < options.points:
        row = compare(index)
        index += 1
        if row is not None:
            rows.append(row)
            print(f"{len(rows)} {row['ansatz']} true {row['true_error']:.1e} claimed {row['claimed_error']:.1e}", flush=True)
            if options.out and len(rows) % 20 == 0:
                write(options.out, rows)
    verdict = summary(rows)
    print(json.dumps(verdict, indent=1))
    if options.out:
        write(options.out, rows)
    return int(verdict["not_covered"] > 0 or verdict["beyond_promise"] > 0)


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the document of the rows so far."""
    versions = {name: metadata.version(name) for name in ("numba", "numpy", "sympy", "mpmath")}
    document = {"date": str(datetime.date.today()), "digits": DIGITS, "versions": versions, **summary(rows), "rows": rows}
    path.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
