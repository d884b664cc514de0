"""``alpha_LE`` and ``alpha_gap`` of the binary perceptron against mpmath at 30 digits.

``python tests/benchmarks/landmarks.py --out tests/benchmarks/landmarks.json`` evaluates entropy and slope of the profile at
the reported load and distance to 30 digits.  At the bottom of a valley the quantity is stationary in the distance, so
that its value there over its derivative in the load is the true error of the threshold.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
from pathlib import Path
from typing import Any

import mpmath
from accuracy import DIGITS, true_franz_parisi

import replica
import saddle
from saddle.critical.capacities import maximal_margin
from saddle.critical.flat_minima import ENTROPY, SLOPE, Landscape
from saddle.points.setting import Setting

_SHIFT = 1e-4


def true_entropy(alpha: float, margin: float, distance: float) -> Any:
    """The Franz-Parisi entropy to 30 digits."""
    parameters = {"alpha": alpha, "kappa": 0.0, "reference_kappa": margin, "distance": distance}
    point = saddle.solve(("binary-perceptron", "franz-parisi"), **parameters)
    return true_franz_parisi(replica.zoo.binary_perceptron(), point)


def true_slope(alpha: float, margin: float, distance: float) -> Any:
    """Its derivative in the distance, by central differences extrapolated to vanishing steps (Richardson, twice)."""
    estimates = []
    with mpmath.workdps(DIGITS):
        for halving in range(3):
            step = distance * _SHIFT * 2.0**-halving
            above, below = distance + step, distance - step
            rise = true_entropy(alpha, margin, above) - true_entropy(alpha, margin, below)
            estimates.append(rise / (mpmath.mpf(above) - mpmath.mpf(below)))
        first = [(4 * b - a) / 3 for a, b in itertools.pairwise(estimates)]
        return (16 * first[1] - first[0]) / 15


def verdict(name: str) -> dict[str, Any]:
    """The reported threshold with its claimed and its true error."""
    (found,) = saddle.thresholds("binary-perceptron", kappa=0.0, only=[name]).points
    setting = Setting.of(("binary-perceptron", "franz-parisi"))

    def at(alpha: float) -> dict[str, float]:
        return {"alpha": alpha, "kappa": 0.0, "reference_kappa": maximal_margin(setting.model, alpha)}

    distance, quantity = float(found["distance"]), SLOPE if name == "alpha_LE" else ENTROPY
    gradient = Landscape(setting, at, 1e-12).gradient(found.value, quantity, distance)
    evaluated = true_slope if name == "alpha_LE" else true_entropy
    depth = evaluated(found.value, at(found.value)["reference_kappa"], distance)
    true_error = abs(float(depth) / gradient)
    return {
        "name": name,
        "value": found.value,
        "distance": distance,
        "claimed_error": found.error,
        "true_error": true_error,
        "covered": found.error >= true_error,
    }


def main() -> int:
    """Evaluate both thresholds and write the outcome."""
    parser = argparse.ArgumentParser(description="alpha_LE and alpha_gap against mpmath at 30 digits.")
    parser.add_argument("--out", metavar="FILE", help="write the outcome there")
    options = parser.parse_args()
    rows = [verdict(name) for name in ("alpha_gap", "alpha_LE")]
    text = json.dumps({"date": datetime.date.today().isoformat(), "digits": DIGITS, "rows": rows}, indent=1) + "\n"
    print(text)
    if options.out:
        Path(options.out).write_text(text)
    return 0 if all(row["covered"] for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
