r"""How the trace over the levels of a weight is written: ``Z(f, g)``, and :math:`\langle w^k \rangle(f, g)` for averages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import sympy as sp

from replica.parts.levels import LogTrace, Moment, Trace

if TYPE_CHECKING:
    from replica.printing.writing import Writer

LEVELS = (Trace, LogTrace, Moment)


def level_text(writer: Writer, node: sp.Expr, power: str, latex: bool) -> str:
    """A function of the family to a power."""
    field, _ = writer.argument(node)
    inner = f"{field}, {writer.line(node.args[1])}"
    inner = rf"\left({inner}\right)" if latex and r"\frac" in inner else f"({inner})"
    raised = writer.power(power) if power else ""
    if isinstance(node, LogTrace):
        return f"[{writer.word('ln')}Z{inner}]{raised}" if raised else f"{writer.word('ln')}Z{inner}"
    letter = "Z" if isinstance(node, Trace) else _average(writer, node.order, latex)
    return f"{letter}{raised}{inner}" if latex or isinstance(node, Trace) else f"{letter}{inner}{raised}"


def _average(writer: Writer, order: int, latex: bool) -> str:
    inside = "w" + (writer.power(str(order)) if order > 1 else "")
    return rf"\langle {inside} \rangle" if latex else f"⟨{inside}⟩"


def level_explanations(exprs: Iterable[sp.Expr], writer: Writer, latex: bool) -> dict[str, str]:
    """A sentence for the trace, and one for its averages, where these expressions use them."""
    atoms = sorted({node for expr in exprs for node in expr.atoms(*LEVELS)}, key=sp.default_sort_key)
    if not atoms:
        return {}
    levels = atoms[0].args[2]
    values = ", ".join(writer.line(value) for value, _ in levels)
    counted = all(p == 1 for _, p in levels)
    if latex:
        weight = "" if counted else r"\rho(w)\, "
        formula = rf"$Z(f, g) = \sum_{{w \in \{{{values}\}}}} {weight}\mathrm{{e}}^{{w f + g w^2/2}}$"
    else:
        formula = f"Z(f, g) = Σ_{{w={{{values}}}}} {'' if counted else 'ρ(w) '}exp(w f + g w²/2)"
    if not counted:
        measure = ", ".join(writer.line(p) for _, p in levels)
        formula += rf" with the prior $\rho = {measure}$" if latex else f" with the prior ρ = {measure}"
    found = {"Z": formula}
    if any(isinstance(node, Moment) for node in atoms):
        average = r"$\langle \cdot \rangle(f, g)$" if latex else "⟨·⟩(f, g)"
        found["average"] = f"{average} is the average over the terms of this sum"
    return found
