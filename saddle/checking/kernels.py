r"""Checks of a compiled kernel against the expressions that it was generated from.

The oracle evaluates each expression by itself with mpmath; the kernel shares loops, tables and subexpressions.  Its
Jacobian is compared with differences of its own values, which the oracle has confirmed, and with itself: the derivatives
of pair averages are second derivatives of one function, :math:`w_i\, \partial_j A_i = w_j\, \partial_i A_j`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from replica.ansatz import conjugate
from saddle.checking.oracle import affordable, number
from saddle.checking.outcome import Check, Tally
from saddle.kernels.quadrature import Rule
from saddle.points.problem import Problem

if TYPE_CHECKING:
    import sympy as sp

    from replica.free_entropy import FreeEntropy

_RULE = Rule(0.1, 11.0)
_DIGITS = 13
_SPARE = 2
"""Digits more than are compared, for which the nodes of expected numbers are chosen: sharp factors need them."""
_MOVE = 2.0**-13


@dataclass(frozen=True)
class _Side:
    """One side of the problem: its kernel functions, its term and pair averages, and what it depends on."""

    name: str
    term: sp.Expr
    pairs: Mapping[str, sp.Expr]
    variables: list[str]


def kernel_checks(
    f: FreeEntropy, point: Mapping[str, float], kernel: ModuleType | None = None, rule: Rule = _RULE
) -> list[Check]:
    """Values, Jacobian and symmetry of the compiled kernel (that of the recipe if none is given), at one point."""
    if kernel is None:
        from saddle.kernels.kernel import load_kernel

        kernel = load_kernel(f.model, f.ansatz)
    return _KernelAtPoint(f, kernel, point, rule).checks()


class _KernelAtPoint:
    """One kernel, and the free entropy that it should compute."""

    def __init__(self, f: FreeEntropy, kernel: ModuleType, point: Mapping[str, float], rule: Rule) -> None:
        self.f, self.point, self.rule = f, dict(point), rule
        given = {name: point[name] for k in kernel.META["given"] for name in (k, conjugate(k))}
        self.problem = Problem(kernel, point, given)
        self.size = len(self.problem.active)

    def checks(self) -> list[Check]:
        """The three checks, over both sides."""
        values, jacobian, symmetry = Tally(), Tally(), Tally()
        active, f = self.problem.active, self.f
        hats = [conjugate(k) for k in active] if self.problem.discrete else self.problem.free
        for side in (
            _Side("energetic", f.energetic, f.energetic_pairs, active),
            _Side("weights", f.entropic, f.weight_pairs, hats),
        ):
            plain = self._call(side.name, self.point)
            full = self._call(f"{side.name}_jacobian", self.point, len(side.variables))
            self._values(values, side, plain, full[: 1 + self.size])
            matrix = full[1 + self.size :].reshape(self.size, len(side.variables))
            self._slopes(jacobian, side, matrix)
            self._symmetry(symmetry, side, matrix)
        precision = 10.0 ** (2 - min(_DIGITS, affordable(f.energetic)))
        found = [values.outcome("kernel values", precision)]
        found += [jacobian.outcome("kernel Jacobian", 1e-9)] if self.size else []
        return found if not symmetry.count else [*found, symmetry.outcome("kernel Jacobian, symmetry", 1e-10)]

    def _call(self, name: str, values: Mapping[str, float], columns: int = 0) -> np.ndarray:
        """A kernel function at these values: a term, the pair averages, and derivatives in so many variables."""
        active = self.problem.active
        place = self.problem.raw_place({k: values[k] for k in active})
        if name.startswith("energetic"):
            arguments = self.problem.energetic_arguments(place)
        else:
            arguments = self.problem.weights_arguments(place, {conjugate(k): values[conjugate(k)] for k in active})
        return self.problem.call(name, arguments, 1 + self.size * (1 + columns), self.rule)

    def _values(self, tally: Tally, side: _Side, plain: np.ndarray, full: np.ndarray) -> None:
        exprs = {"the term": side.term, **{k: side.pairs[k] for k in self.problem.active}}
        for (label, expr), a, b in zip(exprs.items(), plain, full, strict=True):
            expected = number(expr, self.point, self.f.definitions, _DIGITS + _SPARE)
            tally.compare(f"{side.name}, {label}", a, expected)
            tally.compare(f"{side.name}_jacobian, {label}", b, expected)

    def _slopes(self, tally: Tally, side: _Side, matrix: np.ndarray) -> None:
        """Every column against a difference with four points."""
        for column, variable in enumerate(side.variables):
            near, far = (
                (self._moved(side, variable, step) - self._moved(side, variable, -step)) / (2.0 * step)
                for step in (_MOVE, 2.0 * _MOVE)
            )
            slopes = ((4.0 * near - far) / 3.0)[1:]
            for k, found, expected in zip(self.problem.active, matrix[:, column], slopes, strict=True):
                tally.compare(f"{side.name}, {k} in {variable}", found, expected)

    def _moved(self, side: _Side, variable: str, step: float) -> np.ndarray:
        moved = {**self.point, variable: self.point[variable] + step}
        for imposed, share in self._shares(side, variable).items():
            moved[imposed] += share * step
        return self._call(side.name, moved)

    def _shares(self, side: _Side, variable: str) -> dict[str, float]:
        """Imposed overlaps that the variable takes along: a free norm at fixed distance, where overlaps are unknown."""
        if side.name == "energetic" or self.problem.discrete:
            return {}
        norms = self.problem.meta["imposed_norms"]
        return {k: 0.5 * norms[k].count(variable) for k in norms if variable in norms[k]}

    def _symmetry(self, tally: Tally, side: _Side, matrix: np.ndarray) -> None:
        active, numbers = self.problem.active, self.f.weight_of
        weight = {k: float(w.subs({m: self.point[m.name] for m in w.free_symbols})) for k, w in numbers.items()}
        names = [k for k in active if k in side.variables or conjugate(k) in side.variables]
        names = [k for k in names if not self._shares(side, k)]
        rows = [active.index(k) for k in names]
        hessian = np.array([weight[k] * matrix[row] for k, row in zip(names, rows, strict=True)])
        size = max(1.0, float(np.max(np.abs(hessian), initial=0.0)))
        for i, a in enumerate(names):
            for j, b in enumerate(names[:i]):
                tally.compare(f"{side.name}, {a} and {b}", hessian[i, j] / size, hessian[j, i] / size)
