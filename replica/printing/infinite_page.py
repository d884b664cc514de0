r"""The limit of infinitely many replicas in print, in the notation of the derivation that it is taken from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sympy as sp

from replica.printing.page import Page, Row

if TYPE_CHECKING:
    from replica.limits.infinite import InfiniteLimit


def document(limit: InfiniteLimit, latex: bool) -> str:
    """Return the shifts, both orders and the saddle equations of a limit, as LaTeX or as text."""
    from replica.derivation import derive

    page = Page(derive(limit.model, limit.ansatz), latex)
    y = page.symbol(limit.multiplicity)
    goes = f"${y} \\to \\infty$" if latex else f"{y} -> infinity"
    approach: list[Row] = [
        (page.symbol(name), [sp.Symbol(inside) + sign * sp.Symbol(shift) / sp.Symbol(limit.multiplicity)])
        for name, (inside, shift) in limit.shifts.items()
        for sign in ((1 if name.endswith("hat") else -1),)
    ]
    approach += [(page.symbol(name), [value]) for name, value in limit.relations.items()]
    approach += [
        (page.symbol(name), [sp.Symbol(limit.multiplicity) * value]) for name, value in limit.growing.items()
    ]
    orders: list[Row] = [(r"\phi" if latex else "φ", [limit.leading]), (r"\Sigma" if latex else "Σ", [limit.next])]
    parts = [
        page.section(
            "Infinitely many replicas",
            f"As {goes}, replicas of different clusters come to have the overlap of those of one cluster, and so have their "
            f"conjugates{_distance(page, limit)}:",
            page.block(approach),
        ),
        page.section(
            "The two leading orders",
            "The averages over a cluster become maxima (Laplace). The free entropy of a cluster is phi times the number of "
            "its replicas, extremised, plus Sigma:",
            page.block(orders, brief=True),
        ),
        _equations(page, limit, latex),
    ]
    return "\n\n".join(parts) + "\n"


def _distance(page: Page, limit: InfiniteLimit) -> str:
    """What is imposed where norms are free, in words."""
    if not limit.relations:
        return ""
    (imposed,) = limit.imposed
    return f"; norms are free, and {page.math(imposed)}, half a squared distance, is imposed"


def _equations(page: Page, limit: InfiniteLimit, latex: bool) -> str:
    rows: list[Row] = [
        (page.full.line(equation.lhs) if equation.rhs != 0 else "0", [equation.rhs if equation.rhs != 0 else equation.lhs])
        for equation in limit.saddle_equations()
    ]
    rows += [(page.symbol(name), [value]) for name, value in limit.readings.items()]
    star = r"$z^*$" if latex else "z*"
    sentence = f"phi is stationary; {star} is where the maximum is attained:"
    return page.section("Saddle equations", sentence, page.block(rows, brief=True))
