r"""How piecewise constant factors are written: ``W`` for the smoothed factor, ``M_j`` for its edges, ``P_j`` for shares.

The letter stands for a formula in Gaussian tails, :math:`W(a, b) = e^{l_0} + \sum_j (e^{l_j} - e^{l_{j-1}}) H(x_j)`, which
is given where it first appears; a bare factor is the same sum of steps.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import sympy as sp

from replica.expr import Delta, H, Step
from replica.parts.pieces import BARE, SMOOTH, Edge, EdgeExcess, LogPieces, Pieces, Share, StepsSlope

if TYPE_CHECKING:
    from replica.printing.writing import Writer

def written_out(node: sp.Expr) -> sp.Expr:
    """A bare factor as a sum of steps, its slope as a sum of deltas."""
    assert isinstance(node, BARE)
    jumps = [sp.exp(up) - sp.exp(low) for low, up in zip(node.log_weights, node.log_weights[1:], strict=False)]
    if isinstance(node, StepsSlope):
        return sp.Add(*(jump * Delta(edge) for jump, edge in zip(jumps, node.edges, strict=True)))
    return sp.exp(node.log_weights[0]) + sp.Add(*(j * Step(edge) for j, edge in zip(jumps, node.edges, strict=True)))


def symbol_of(node: sp.Expr, latex: bool) -> str:
    """The letter of a function of the family, with its index."""
    letter = {Edge: "M", EdgeExcess: "M", Share: "P"}.get(type(node), "W")
    index = "" if letter == "W" else str(node.index)
    owner = _owner(node.log_weights)
    index = ",".join(filter(None, (index, owner)))
    if not index:
        return letter
    return f"{letter}_{{{index}}}" if latex else f"{letter}_{index}"


def _owner(log_weights: Iterable[sp.Expr]) -> str:
    """An index that tells apart factors with parameters of their own: that of the prefix of these."""
    names = sorted({s.name for weight in log_weights for s in weight.free_symbols})
    prefixes = [name.rpartition("_")[0] for name in names]
    return prefixes[0][:1] if prefixes and prefixes[0] else ""


def function_text(writer: Writer, node: sp.Expr, power: str, latex: bool) -> str:
    """A function of the family to a power."""
    edges, letter = ", ".join(writer.edges(node)), symbol_of(node, latex)
    tall = latex and r"\frac" in edges
    inner = rf"\!\left({edges}\right)" if tall else f"({edges})"
    raised = writer.power(power) if power else ""
    if isinstance(node, EdgeExcess):
        minus, single = writer.argument(node, node.index - 1)
        left, right = writer.brackets(edges)
        return f"{left}{letter}{inner} - {minus if single or tall else f'({minus})'}{right}{raised}"
    if isinstance(node, LogPieces):
        plain = f"{writer.word('ln')}{letter}{inner}"
        return f"({plain}){raised}" if raised else plain
    return f"{letter}{inner}{raised}" if raised and not latex else f"{letter}{raised}{inner}"


def explanations(exprs: Iterable[sp.Expr], writer: Writer, latex: bool) -> dict[object, str]:
    """A sentence for every letter that these expressions use, by what identifies it."""
    found: dict[object, str] = {}
    atoms = {node for expr in exprs for node in expr.atoms(*SMOOTH)}
    for node in sorted(atoms, key=sp.default_sort_key):
        owner = _owner(node.log_weights)
        if owner not in found:
            found[owner] = _about_factor(node, writer, latex)
        for kind, about in ((("edge", owner), _about_edges), (("share", owner), _about_shares)):
            if kind not in found and isinstance(node, (Edge, EdgeExcess) if kind[0] == "edge" else Share):
                found[kind] = about(node, latex)
    return found


def _about_factor(node: sp.Expr, writer: Writer, latex: bool) -> str:
    """The factor as a sum of Gaussian tails, at edges x_1, x_2, ..."""
    whole = Pieces(*node.parameters)
    edges = [sp.Symbol(f"x{j}") for j in range(1, len(whole.edges) + 1)]
    jumps = [sp.exp(up) - sp.exp(low) for low, up in zip(whole.log_weights, whole.log_weights[1:], strict=False)]
    total = sp.exp(whole.log_weights[0]) + sp.Add(*(j * H(s) for j, s in zip(jumps, edges, strict=True)))
    formula = f"{symbol_of(whole, latex)}({', '.join(map(writer.line, edges))}) = {writer.line(total)}"
    return f"${formula}$" if latex else formula


def _about_edges(node: sp.Expr, latex: bool) -> str:
    whole, owner = symbol_of(Pieces(*node.parameters), latex), _owner(node.log_weights)
    index = ",".join(filter(None, ("j", owner)))
    if latex:
        return rf"$M_{{{index}}} = -\partial \ln {whole}/\partial x_j$ is the inverse Mills ratio of edge $j$"
    return f"M_{index} = -∂ ln {whole}/∂x_j is the inverse Mills ratio of edge j"


def _about_shares(node: sp.Expr, latex: bool) -> str:
    whole, owner = symbol_of(Pieces(*node.parameters), latex), _owner(node.log_weights)
    index = ",".join(filter(None, ("j", owner)))
    if latex:
        return f"$P_{{{index}}}$ is the share of piece $j$ in ${whole}$, the first piece being 0"
    return f"P_{index} is the share of piece j in {whole}, the first piece being 0"
