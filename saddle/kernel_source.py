"""The source of a kernel module: which derived expressions a solver needs, in which order.

Two blocks, the energetic average as a function of the overlaps and the weights as a function of the conjugates (for
spherical weights: of the overlaps), each once for values and once with the Jacobian, so that a line search
does not pay for derivatives.  Small closed forms (interaction, pivots) follow.
"""

from __future__ import annotations

import ast
import inspect
import pprint
from typing import TYPE_CHECKING

import sympy as sp

from replica.ansatz import conjugate
from replica.derivation import derive
from replica.hard_limit import limit_load
from saddle import special
from saddle.codegen import KernelWriter

if TYPE_CHECKING:
    from replica.ansatz import Ansatz
    from replica.free_entropy import FreeEntropy
    from replica.model import Model


def kernel_source(model: Model, ansatz: Ansatz) -> str:
    """Return the Python source of the kernel module of a model under an ansatz."""
    return render(derive(model, ansatz))


def render(free_entropy: FreeEntropy) -> str:
    """Return the kernel module of a derived free entropy."""
    layout = Layout(free_entropy)
    header = (
        f'"""Quadrature kernels of {free_entropy.model.name} under {free_entropy.ansatz.name}, generated."""\n\n'
        f"{_special_source()}\n\nMETA = {pprint.pformat(layout.meta(), width=110, sort_dicts=False)}\n"
    )
    return header + "".join(writer.source() for writer in layout.writers())


def _special_source() -> str:
    """The special functions without docstrings, so that a kernel module stands alone."""
    tree = ast.parse(inspect.getsource(special))
    body = []
    for node in tree.body:
        if isinstance(node, ast.Expr) or (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
            continue
        if isinstance(node, ast.FunctionDef) and isinstance(node.body[0], ast.Expr):
            node.body = node.body[1:]
        body.append(ast.unparse(node))
    return "\n".join(body)


class Layout:
    """Parameters, unknowns and outputs of a kernel module, by name."""

    def __init__(self, free_entropy: FreeEntropy) -> None:
        self.f = free_entropy
        self.ansatz, self.discrete = free_entropy.ansatz, free_entropy.model.weights.discrete
        self.given = [name for name, _ in self.ansatz.given]
        self.active = [op.symbol for op in free_entropy.order_parameters if op.symbol not in self.given]
        self.free = [name for name in self.active if name not in self.ansatz.imposed]
        self.overlaps = [*self.active, *self.given]
        self.conjugates = [conjugate(name) for name in self.overlaps]
        self.multiplicities = list(self.ansatz.multiplicities)
        self.definitions = free_entropy.definitions_object()
        self.constraint = self._constraint_parameters()

    def _constraint_parameters(self) -> list[str]:
        order = {*self.overlaps, *self.conjugates, *self.multiplicities, "alpha"}
        exprs = [self.f.energetic, *self.f.energetic_pairs.values()]
        symbols = {s.name for e in exprs for s in self.definitions.expand(e).free_symbols}
        return sorted(symbols - order)

    @property
    def energetic_parameters(self) -> list[str]:
        """Arguments of the energetic functions, in order."""
        return [*self.overlaps, *self.pivot_variances, *self.multiplicities, *self.constraint]

    @property
    def pivot_variances(self) -> list[str]:
        """Pivots of free overlaps that are not the overlap itself: arguments of their own, free of cancellation."""
        variances = [self.f.pivots[k].variance.name for k in self._free_pivots()]
        return [name for name in variances if name not in self.overlaps]

    def _free_pivots(self) -> list[str]:
        return [name for name in self.free if name in self.f.pivots]

    @property
    def weights_parameters(self) -> list[str]:
        """Arguments of the weights functions, in order."""
        return [*(self.conjugates if self.discrete else self.overlaps), *self.multiplicities]

    @property
    def all_parameters(self) -> list[str]:
        """Arguments of the interaction, in order."""
        return [*self.overlaps, *self.conjugates, *self.multiplicities]

    def meta(self) -> dict[str, object]:
        """The description that a solver reads."""
        return {
            "model": self.f.model.name,
            "ansatz": self.ansatz.name,
            "discrete": self.discrete,
            "overlaps": self.overlaps,
            "active": self.active,
            "free": self.free,
            "imposed": list(self.ansatz.imposed),
            "given": dict(self.ansatz.given),
            "reference": self.ansatz.reference,
            "multiplicities": self.multiplicities,
            "constraint": self.constraint,
            "prefixes": dict(self.ansatz.prefixes),
            "pivots": self._free_pivots(),
            "pivot_variances": self.pivot_variances,
            "replicons": list(self._replicons()),
            "limit_load": limit_load(self.f) is not None,
        }

    def _replicons(self) -> dict[str, tuple[sp.Expr, sp.Expr]]:
        return {r.overlap: (r.energetic, r.weights) for r in self.f.replicons.values() if r.overlap in self.active}

    def writers(self) -> list[KernelWriter]:
        """The functions of the module."""
        weights_conjugate = [conjugate(k) for k in self.active] if self.discrete else self.free
        weights_pairs = [self.f.weight_pairs[k] for k in self.active]
        energetic = [self.f.energetic, *(self.f.energetic_pairs[k] for k in self.active)]
        weights = [self.f.entropic, *weights_pairs]
        return [
            self._writer("energetic", self.energetic_parameters, energetic),
            self._writer(
                "energetic_jacobian",
                self.energetic_parameters,
                energetic + self._jacobian([self.f.energetic_pairs[k] for k in self.active], self.active),
            ),
            self._writer("weights", self.weights_parameters, weights),
            self._writer(
                "weights_jacobian", self.weights_parameters, weights + self._jacobian(weights_pairs, weights_conjugate)
            ),
            self._writer(
                "energetic_observables",
                self.energetic_parameters,
                [e for e, _ in self._replicons().values()]
                + [self.definitions.total_derivative(self.f.energetic, sp.Symbol(c)) for c in self.constraint],
            ),
            self._writer("weights_observables", self.weights_parameters, [w for _, w in self._replicons().values()]),
            self._writer(
                "interaction", self.all_parameters, [self.f.interaction, *(self.f.weight_of[k] for k in self.active)]
            ),
            self._writer("pivots", self.overlaps, self._pivots()),
            *self._limit(),
        ]

    def _limit(self) -> list[KernelWriter]:
        """The load at which the overlap reaches 1, and its derivatives in the constraint's parameters."""
        limit = limit_load(self.f)
        if limit is None:
            return []
        outputs = [limit, *(sp.diff(limit, sp.Symbol(c)) for c in self.constraint)]
        return [self._writer("limit_load", self.constraint, outputs)]

    def _jacobian(self, exprs: list[sp.Expr], variables: list[str]) -> list[sp.Expr]:
        return [self.definitions.total_derivative(e, sp.Symbol(v)) for e in exprs for v in variables]

    def _pivots(self) -> list[sp.Expr]:
        """For every free pivot: explained variance, what is left, and the gradient of the former."""
        outputs = []
        for name in self._free_pivots():
            pivot = self.f.pivots[name]
            outputs += [pivot.explained, pivot.left]
            outputs += [sp.diff(pivot.explained, sp.Symbol(v)) for v in self.free]
        return outputs

    def _writer(self, name: str, parameters: list[str], outputs: list[sp.Expr]) -> KernelWriter:
        used = self.definitions.used_by(*map(sp.sympify, outputs))
        table = {symbol: expr for symbol, expr in used.items() if symbol.name not in parameters}
        return KernelWriter(name, parameters, table, outputs)
