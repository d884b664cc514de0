r"""What the first steps of a derivation show: the replicated average in general, and the tree of replica groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica.ansatz import Leaf, Node
from replica.printing.symbols import latex_symbol

if TYPE_CHECKING:
    from replica.ansatz import Ansatz


def general_formula(discrete: bool, unit_norm: bool = True) -> tuple[str, str]:
    """Return the replicated average for any ansatz, as LaTeX and as text; ``discrete`` weights have a trace.

    Where the norm is not fixed (``unit_norm`` false), overlaps of replicas with themselves are among the others.
    """
    if not unit_norm:
        prior = ("", "") if discrete else (r" + \sum_a \ln \rho(Q_{aa})", " + sum_a ln rho(Q_aa)")
        interaction = r"- \frac{1}{2} \sum_{ab} \hat{Q}_{ab} Q_{ab}" if discrete else "0"
        trace = r"\ln \operatorname{Tr}_w \, e^{\frac{1}{2} \sum_{ab} \hat{Q}_{ab} w^a w^b}"
        entropic = trace if discrete else rf"\frac{{1}}{{2}} \ln \det Q{prior[0]}"
        plain = ("-sum_{ab} Qhat_ab Q_ab / 2", "ln Tr_w exp(sum_{ab} Qhat_ab w^a w^b / 2)")
        plain = plain if discrete else ("0", f"(1/2) ln det Q{prior[1]}")
    elif discrete:
        interaction = r"- \sum_{a<b} \hat{Q}_{ab} Q_{ab} - \frac{1}{2} \sum_a \hat{Q}_{aa}"
        entropic = r"\ln \operatorname{Tr}_w \, e^{\frac{1}{2} \sum_{ab} \hat{Q}_{ab} w^a w^b}"
        plain = ("-sum_{a<b} Qhat_ab Q_ab - sum_a Qhat_aa / 2", "ln Tr_w exp(sum_{ab} Qhat_ab w^a w^b / 2)")
    else:
        interaction, entropic, plain = "0", r"\frac{1}{2} \ln \det Q", ("0", "(1/2) ln det Q")
    rows = (
        r"\Phi = \frac{1}{N} \ln \mathop{\mathbb{E}} \prod_a Z_a &= G_I + G_S + \alpha \, G_E",
        f"G_I &= {interaction}",
        f"G_S &= {entropic}",
        r"G_E &= \ln \mathop{\mathbb{E}}_{h \sim \mathcal{N}(0,\,Q)} \left[\prod_a \chi_a(h^a)\right]",
    )
    lines = (
        "Phi = (1/N) ln E prod_a Z_a = G_I + G_S + alpha * G_E",
        f"G_I = {plain[0]}",
        f"G_S = {plain[1]}",
        "G_E = ln E[prod_a chi_a(h^a); h ~ N(0, Q)]",
    )
    body = " \\\\\n".join(rows)
    return f"\\begin{{align}}\n{body}\n\\end{{align}}", "\n".join(f"    {line}" for line in lines)


def drawn_tree(ansatz: Ansatz) -> tuple[str, str]:
    """Return the tree of an ansatz: nested brackets in LaTeX, one group a line in text."""
    return f"\\begin{{equation}}\n{_brackets(ansatz.tree)}\n\\end{{equation}}", "\n".join(_lines(ansatz))


def _brackets(node: Node) -> str:
    groups = [
        rf"{_multiplicity(text)} \times "
        + (_word(child.species) if isinstance(child, Leaf) else _brackets(child))
        for text, child in node.groups
    ]
    inside = r", \; ".join(groups)
    return rf"{_word(node.name)} \left[{inside}\right]"


def _word(name: str) -> str:
    return r"\mathrm{" + name.replace("_", r"\_") + "}"


def _multiplicity(text: str) -> str:
    from sympy import latex

    from replica.ansatz import multiplicity

    found = multiplicity(text)
    written = latex(found, symbol_names={s: latex_symbol(s.name) for s in found.free_symbols})
    return rf"\left({written}\right)" if found.is_Add else written


def _lines(ansatz: Ansatz) -> list[str]:
    """Every node with the overlaps of the replicas that part there, its groups indented below it."""
    names = ansatz.names()

    def below(node: Node, front: str, indent: int) -> list[str]:
        overlaps = [f"{name} ({a}, {b})" for (key, a, b), name in names.items() if key == node.name]
        told = f": {', '.join(overlaps)}" if overlaps else ""
        found = [" " * indent + front + node.name + told]
        for text, child in node.groups:
            if isinstance(child, Leaf):
                found.append(" " * (indent + 4) + f"{text} x {child.species}")
            else:
                found += below(child, f"{text} x ", indent + 4)
        return found

    return below(ansatz.tree, "", 4)
