r"""How a loss under noise is written: :math:`W(a; v)` for the smoothed factor, :math:`L_k` for derivatives of its logarithm.

Both are explained where they first appear; a bare factor is written as the exponential that it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import sympy as sp

from replica.parts.noisy_losses import COSTS, NOISY, LogNoisy, NoisyCumulant, loss_of

if TYPE_CHECKING:
    from replica.printing.writing import Writer

LOSSES = (*NOISY, *COSTS)


def loss_text(writer: Writer, node: sp.Expr, power: str, latex: bool) -> str:
    """A function of the family to a power."""
    argument, _ = writer.argument(node)
    owner = owner_of(node)
    if isinstance(node, COSTS):
        inner = rf"\left({argument}\right)" if latex and r"\frac" in argument else f"({argument})"
        times = f"{power} " if power else ""
        return writer.exponential(f"-{times}{writer.line(node.args[1])} {_indexed(writer.LOSS, (owner,), latex)}{inner}")
    inner = f"{argument}; {writer.line(node.args[1])}"
    inner = rf"\left({inner}\right)" if latex and r"\frac" in inner else f"({inner})"
    raised = writer.power(power) if power else ""
    if isinstance(node, NoisyCumulant):
        k, j = node.orders
        letter = _indexed("L", (f"{k}{j}" if j else str(k), owner), latex)
        return f"{letter}{raised}{inner}" if latex else f"{letter}{inner}{raised}"
    plain = f"{_indexed('W', (owner,), latex)}{inner}"
    if isinstance(node, LogNoisy):
        plain = f"{writer.word('ln')}{plain}"
        return f"({plain}){raised}" if raised else plain
    return f"{_indexed('W', (owner,), latex)}{raised}{inner}" if latex else f"{plain}{raised}"


def owner_of(node: sp.Expr) -> str:
    """An index that tells apart factors of different species: that of the prefix of the inverse temperature."""
    beta = node.args[2 if isinstance(node, NOISY) else 1]
    prefixes = sorted(s.name.rpartition("_")[0] for s in beta.free_symbols)
    return prefixes[0][:1] if prefixes else ""


def _indexed(letter: str, indices: Iterable[str], latex: bool) -> str:
    index = ",".join(filter(None, indices))
    return (f"{letter}_{{{index}}}" if latex else f"{letter}_{index}") if index else letter


def loss_explanations(exprs: Iterable[sp.Expr], writer: Writer, latex: bool) -> dict[object, str]:
    """A sentence for every letter that these expressions use, by what identifies it."""
    found: dict[object, str] = {}
    for node in sorted({node for expr in exprs for node in expr.atoms(*LOSSES)}, key=sp.default_sort_key):
        owner, loss = owner_of(node), loss_of(node.args[3 if isinstance(node, NOISY) else 2])
        letter, factor = _indexed(writer.LOSS, (owner,), latex), _indexed("W", (owner,), latex)
        formula = sp.latex(loss.plain) if latex else str(loss.plain)
        found["loss", owner] = f"${letter}(x) = {formula}$ is the loss" if latex else f"{letter}(x) = {formula} is the loss"
        if not isinstance(node, NOISY):
            continue
        beta = writer.line(node.args[2])
        if latex:
            average = rf"\mathbb{{E}}_{{w \sim \mathcal{{N}}(0, v)}}\, \mathrm{{e}}^{{-{beta} {letter}(a + w)}}"
            found["W", owner] = rf"${factor}(a; v) = {average}$ is its factor under noise"
        else:
            found["W", owner] = f"{factor}(a; v) = E_{{w ~ N(0, v)}} exp(-{beta} {letter}(a + w)) is its factor under noise"
        if isinstance(node, NoisyCumulant):
            own = _indexed("L", ("k", owner), latex)
            formula = rf"{own} = \partial^k \ln {factor}/\partial a^k" if latex else f"{own} = ∂^k ln {factor}/∂a^k"
            found["L", owner] = f"${formula}$" if latex else formula
    return found
