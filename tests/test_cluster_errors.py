"""Errors of clusters: each entropy has its own, and those of a kernel that is a series cover what it leaves out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from unittest import mock

import numpy as np
import pytest
import sympy as sp

import replica
import saddle
from replica.model import TreeCommittee
from replica.parts import hermite
from replica.parts.correlations import Kernel
from saddle.kernels.quadrature import Rule
from saddle.points.results import OWN_ERRORS
from saddle.points.setting import Setting


@lru_cache(maxsize=4)
def cut_kernel(terms: int) -> Kernel:
    x = sp.Symbol("x", real=True)
    with mock.patch.object(hermite, "_MOST_TERMS", terms):
        return hermite.series_kernel(sp.erf(x), x, "erf")


@dataclass(frozen=True)
class CutSeries(TreeCommittee):
    """An activation with a kernel in closed form, of whose series only the first terms are taken."""

    terms: int = 9

    @property
    def _kernel(self) -> Kernel:
        return cut_kernel(self.terms)


CLOSED = replica.zoo.tree_committee("erf", "spherical")
CUT = replace(CLOSED, architecture=CutSeries("erf"))


def claims(ansatz: str, **parameters: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the free entropy, that inside of a cluster and the complexity of the short series are off, and say they are.

    Last come the errors that the closed form claims.
    """
    exact = saddle.solve((CLOSED, ansatz), **parameters)
    short = saddle.solve((CUT, ansatz), start=exact, **parameters)
    assert exact.converged and short.converged
    internal = "internal_entropy" if "m" in parameters else "local_entropy"
    names, errors = ("free_entropy", internal, "complexity"), ("error", f"{internal}_error", "complexity_error")
    true = np.array([abs(short[name] - exact[name]) for name in names])
    return true, np.array([short[name] for name in errors]), np.array([exact[name] for name in errors])


@pytest.mark.usefixtures("plain_python")
def test_errors_of_a_short_series_cover_what_it_leaves_out() -> None:
    true, claimed, rest = claims("local-entropy", alpha=1.0, y=3.0, overlap=0.9)
    assert np.all(rest < 1e-11) and np.all(true > 1e-6)
    assert np.all(true <= claimed) and np.all(claimed < 200.0 * true)


@pytest.mark.full
@pytest.mark.parametrize(
    ("ansatz", "parameters"),
    [("1rsb", {"alpha": 2.3, "m": 0.5}), ("local-entropy", {"alpha": 1.0, "y": 20.0, "overlap": 0.99})],
)
def test_errors_of_a_short_series_cover_it_in_other_clusters_too(ansatz: str, parameters: dict[str, float]) -> None:
    true, claimed, rest = claims(ansatz, **parameters)
    assert np.all(rest < 1e-11) and np.all(true > 1e-6)
    assert np.all(true <= claimed) and np.all(claimed < 200.0 * true)


def test_rows_of_clusters_carry_an_error_of_each_entropy() -> None:
    states = saddle.complexity("spherical-perceptron", 9.0, -1.0, m=[0.1, 0.9])
    assert [name for name in states.columns if name in OWN_ERRORS] == ["internal_entropy_error", "complexity_error"]
    for point in states.points:
        # of a small m the complexity is known far better than the free entropy of one replica, 1/m times that of all
        assert 0.0 < point["complexity_error"] < 5.0 * point.parameters["m"] * point.error
    infinite = saddle.solve(("spherical-perceptron", "local-entropy"), alpha=1.0, y="inf", overlap=0.9)
    assert infinite.error == infinite["local_entropy_error"] and 0.0 < infinite["complexity_error"] < 1e-12


@pytest.mark.usefixtures("plain_python")
def test_what_pinches_the_average_over_clusters_of_a_teacher_is_resolved() -> None:
    """Where both signs of the reference weigh the same, the field of the teacher cancelled, and not in the middle."""
    setting = Setting.of(("teacher-student", "local-entropy-reference"))
    known = {"q0": 0.179, "q1": 0.192, "S": 0.671, "r_w": 0.324}
    arguments = np.array([*(known[name] for name in setting.kernel.META["active"]), 50.0])

    def run(rule: Rule) -> np.ndarray:
        out = np.empty(5)
        setting.kernel.weights(arguments, *rule.nodes(), out)
        return out

    assert run(setting.rule) == pytest.approx(run(Rule(0.05, 12.0)), rel=1e-12)


@pytest.mark.full
@pytest.mark.parametrize(
    ("y", "distance", "exact"), [(100, 0.2, -85.622162385162296805), (300, 0.1, -291.62769011416868039)]
)
def test_the_error_of_many_replicas_on_the_sphere_has_the_rounding_of_overlaps(y, distance, exact):
    """Exact: theory.md section 6 in 32 digits; the slopes of the two parts cancel, what rounds them does not."""
    point = saddle.solve(("spherical-perceptron", "local-entropy"), alpha=1.0, kappa=0.0, y=y, distance=distance)
    assert abs(point.free_entropy - exact) <= point.error <= 1e-10
