"""What a kernel writer keeps about a loop, its accumulators, and the statements at one depth."""

from __future__ import annotations

from dataclasses import dataclass, field

import sympy as sp

from replica.expr import Average
from replica.parity import even_in
from saddle.kernels.maximising_fields import Problem
from saddle.kernels.modes import Powers


@dataclass
class Loop:
    """Averages over one variable: their bodies, each with the name of its accumulator; ``half`` over positive values.

    ``powers`` are tilts with symbolic powers, of which the accumulators are relative to the largest value.
    """

    variable: sp.Symbol
    variance: sp.Expr
    half: bool = False
    powers: Powers = ()
    problem: Problem = ()
    """What is maximised inside, at nodes that are listed beforehand."""
    averages: dict[Average, sp.Symbol] = field(default_factory=dict)

    @property
    def even(self) -> bool:
        """Whether all bodies are even in the variable, with their features in the middle: half the line is enough."""
        return not self.half and all(even_in(average.body, self.variable) for average in self.averages)


@dataclass
class Accumulators:
    """Names of averages, those of them that are relative to ``exp(shift)``, and the shift."""

    names: dict[sp.Expr, sp.Symbol]
    scaled: set[sp.Symbol]
    shift: sp.Symbol


class Scope:
    """Statements at one loop depth, and which symbols can be used there."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.lines: list[str] = []
        self.known: dict[sp.Expr, sp.Symbol] = {}
        self.special: dict[sp.Expr, dict[sp.Expr, sp.Symbol]] = {}
        self.symbols: set[sp.Symbol] = set()

    def add(self, line: str) -> None:
        self.lines.append("    " * (self.depth + 1) + line)
