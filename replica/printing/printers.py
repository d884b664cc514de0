r"""A derivation as the appendix of a paper, in LaTeX (article, amsmath, amssymb) or as text for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sympy as sp

from replica.expr import Average
from replica.printing.breaking import lines, width, wrapped
from replica.printing.page import Page, Row, prose, started

if TYPE_CHECKING:
    from replica.free_entropy import FreeEntropy
    from replica.steps import Step as DerivationStep


def latex_document(free_entropy: FreeEntropy) -> str:
    """Return the derivation as a LaTeX fragment."""
    return "\n\n".join(_sections(Page(free_entropy, latex=True), free_entropy)) + "\n"


def text_document(free_entropy: FreeEntropy) -> str:
    """Return the derivation as text of at most 100 columns."""
    return "\n\n".join(_sections(Page(free_entropy, latex=False), free_entropy)) + "\n"


def steps_document(free_entropy: FreeEntropy, latex: bool) -> str:
    """Return the steps alone, each with all its equations."""
    page = Page(free_entropy, latex)
    return "\n\n".join(page.section(s.title, s.text, page.step(s)) for s in free_entropy.steps) + "\n"


def latex_step(step: DerivationStep) -> str:
    """Return the formula and the equations of one step as LaTeX."""
    from replica.derivation import derive

    assert step.origin is not None
    return Page(derive(*step.origin), latex=True).step(step)


def latex_result(free_entropy: FreeEntropy) -> str:
    """Return the free entropy with its abbreviations as one display, to be set between dollar signs."""
    page = Page(free_entropy, latex=True)
    expr = free_entropy.interaction + free_entropy.entropic + sp.Symbol("alpha") * free_entropy.energetic
    pieces = page.full.pieces(expr)
    found = lines(pieces, width, 44.0, 42.0)
    rows = [rf"\phi &= {started(found[0])}", *(rf"&\qquad {started(line)}" for line in found[1:])]
    for name, average in page.variables([expr]).items():
        rows.append(rf"{name} &\sim \mathcal{{N}}(0,\,{page.full.line(average.variance)})")
    variances = [a.variance for a in expr.atoms(Average)]
    rows += [f"{page.full.line(s)} &= {page.full.line(e)}" for s, e in page.needed([expr, *variances])]
    return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def _sections(page: Page, fe: FreeEntropy) -> list[str]:
    title = f"{fe.model.name}, {fe.ansatz.name}"
    parts = [f"% {title}: derivation" if page.latex else f"{title}\n{'=' * len(title)}"]
    parts += [page.section(s.title, s.text, page.step(s, s.shown)) for s in fe.steps[:-1]]
    parts.append(_order_parameters(page, fe))
    parts.append(page.section(fe.steps[-1].title, fe.steps[-1].text, page.step(fe.steps[-1])))
    parts.append(_saddle(page, fe))
    if fe.replicons:
        parts.append(_replicons(page, fe))
    return parts


def _order_parameters(page: Page, fe: FreeEntropy) -> str:
    """The table of order parameters."""
    roles = {"imposed": "imposed", "given": "given by the reference", "extremised": "extremised"}
    sentence = "Overlaps, each with its conjugate, what it means and how it is fixed:"
    zero = [page.math(page.symbol(name)) for name in fe.ansatz.zero_names().values()]
    symmetry = (
        "The model is symmetric under a change of sign of the weights of each replica, so that the overlap"
        f"{'s' * (len(zero) > 1)} {', '.join(zero)} of replicas that part at the root of the tree "
        f"{'are' if len(zero) > 1 else 'is'} 0."
    )
    if not fe.order_parameters:
        return page.section("Order parameters", symmetry)
    if zero:
        sentence = f"{symmetry} {sentence}"
    if not page.latex:
        rows = [
            (f"{page.symbol(op.symbol)}, {page.symbol(op.conjugate)}", f"({op.symbol}, {op.conjugate})",
             "; ".join(filter(None, (op.meaning, roles[op.role]))))
            for op in fe.order_parameters
        ]  # fmt: skip
        first, second = (max(len(row[i]) for row in rows) for i in (0, 1))
        body = [wrapped(f"{a:<{first}}  {b:<{second}}  {c}", "    ", " " * (first + second + 8)) for a, b, c in rows]
        return page.section("Order parameters", sentence, *body)
    table = [
        rf"${page.symbol(op.symbol)}$ & ${page.symbol(op.conjugate)}$ & {prose(op.meaning)} & {roles[op.role]} \\"
        for op in fe.order_parameters
    ]
    lines_ = [
        r"\begin{center}", r"\begin{tabular}{cc p{0.42\linewidth} p{0.17\linewidth}}", r"\hline",
        r"overlap & conjugate & meaning & \\", r"\hline", *table, r"\hline", r"\end{tabular}", r"\end{center}",
    ]  # fmt: skip
    return page.section("Order parameters", sentence, *lines_)


def _saddle(page: Page, fe: FreeEntropy) -> str:
    """The saddle equations, a conjugate with both of its expressions where it has two."""
    if not fe.order_parameters:
        return page.section("Saddle equations", "No overlap is left, so that there is nothing to extremise.")
    rights: dict[sp.Expr, list[sp.Expr]] = {}
    for equation in fe.saddle_equations():
        rights.setdefault(equation.lhs, []).append(equation.rhs)
    rows: list[Row] = [(page.full.line(left), right) for left, right in rights.items()]
    sentence = "By Price's theorem, stationarity in an overlap makes its conjugate an average over two replicas' fields"
    sentence += (
        ", and stationarity in the conjugate makes the overlap an average over two replicas' weights."
        if fe.model.weights.discrete
        else "; the volume of the sphere at these overlaps gives it once more, in closed form."
    )
    after = []
    for op in fe.order_parameters:
        if op.role == "imposed":
            value = page.math(page.symbol(op.symbol))
            after.append(f"The overlap {value} is imposed: its equation fixes {page.math(page.symbol(op.conjugate))}.")
        if op.role == "given":
            pair = f"{page.math(page.symbol(op.symbol))} and {page.math(page.symbol(op.conjugate))}"
            after.append(f"{pair} obey the equations of the reference alone.")
    return page.section("Saddle equations", sentence, page.block(rows, brief=True), page.sentence(" ".join(after)))


def _replicons(page: Page, fe: FreeEntropy) -> str:
    """The stability condition of every group of replicas."""
    alpha, rows = sp.Symbol("alpha"), []
    for replicon in fe.replicons.values():
        left = rf"\lambda_{{{page.symbol(replicon.overlap)}}}" if page.latex else f"λ_{replicon.overlap}"
        rows.append((left, [1 - alpha * replicon.energetic * replicon.weights]))
    sentence = (
        "The saddle is stable against breaking the symmetry between the replicas of a group (de Almeida and Thouless) "
        f"as long as {'this is' if len(rows) == 1 else 'these are'} positive:"
    )
    return page.section("Replicon", sentence, page.block(rows, brief=True))
