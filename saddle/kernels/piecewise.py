"""Calls of the routines for piecewise constant factors (:mod:`saddle.kernels.edges`), as statements of a kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import sympy as sp

from replica.errors import UnsupportedAnsatz
from replica.parts.pieces import Edge, EdgeExcess, LogPieces, Share

if TYPE_CHECKING:
    from saddle.kernels.codegen import KernelWriter

_ROUTINES = {1: "one_edge", 2: "two_edges"}
"""Routines by the number of edges."""


def call_pieces(writer: KernelWriter, parameters: sp.Tuple, edges: Sequence[sp.Expr]) -> dict[sp.Expr, sp.Symbol]:
    """One call for everything about a factor with these edges and log-weights; the names of what it returns.

    ``edges`` are the first half of ``parameters``, as the kernel computes them.
    """
    from saddle.kernels.python_text import text

    k = len(edges)
    if k not in _ROUTINES:
        raise UnsupportedAnsatz(f"A factor with {k} edges is derived but has no kernel; one or two edges have.")
    values = [*(writer.define(edge, "a") for edge in edges), *parameters[k:]]
    functions = [
        LogPieces(*parameters),
        *(Edge(*parameters, j) for j in range(1, k + 1)),
        *(EdgeExcess(*parameters, j) for j in range(1, k + 1)),
        *(Share(*parameters, j) for j in range(k + 1)),
    ]
    routine = _ROUTINES[k]
    if sp.Tuple(*parameters[:k]).free_symbols & writer.imaginary:
        if k > 1:
            raise UnsupportedAnsatz("Averages over a factor with two edges are not continued to negative variances.")
        routine = f"complex_{routine}"
    names = {function: writer.fresh("piece") for function in functions}
    scope = writer.scope_of(sp.Tuple(*values))
    scope.add(f"{', '.join(map(text, names.values()))} = {routine}({', '.join(map(text, values))})")
    scope.symbols.update(names.values())
    scope.special[parameters] = dict(names)
    return dict(names)
