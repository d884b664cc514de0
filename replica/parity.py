r"""Whether an integrand is even in its variable, found by evaluation: no normal form of the expression is needed.

An inner average is a functional that does not change when its variable changes its sign.  Any such functional will do to
see a parity: here the mean over two opposite values, drawn at random like all parameters.  An expression that is not even
in general is then even with probability 0.
"""

from __future__ import annotations

import random

import mpmath
import sympy as sp

from replica.evaluation import FUNCTIONS
from replica.expr import Average, SiteSum
from replica.limits.maximum import AtMaximum, Maximum
from replica.parts.losses import written_out
from replica.parts.noisy_losses import as_averages
from replica.passes import linear_arguments

_DIGITS = 40
_EQUAL = mpmath.mpf(10) ** -25


def even_in(body: sp.Expr, z: sp.Symbol) -> bool:
    """Return whether a body is even in ``z`` with its features in the middle of the line.

    Either every special argument vanishes with ``z``, or ``z`` enters through inner averages of powers, whose sum over
    mirror images changes its slope where they balance: at 0.
    """
    arguments = linear_arguments(body, z)
    if body.has(AtMaximum, Maximum) or not arguments:
        return False
    return all(rest == 0 or power != 1 for _, rest, _, _, power in arguments) and is_even_function(body, z)


def is_even_function(body: sp.Expr, z: sp.Symbol) -> bool:
    """Return whether a body does not change when ``z`` changes its sign."""
    draw = random.Random(20)
    plain = written_out(_without_averages(as_averages(body), draw))
    symbols = sorted(plain.free_symbols, key=lambda s: s.name)
    if z not in symbols:
        return True
    function = sp.lambdify(symbols, plain, modules=[FUNCTIONS, "mpmath"], cse=True)
    with mpmath.workdps(_DIGITS):
        values = {symbol: mpmath.mpf(draw.randint(200, 900)) / 1000 for symbol in symbols}
        here, there = (function(*(sign * v if s == z else v for s, v in values.items())) for sign in (1, -1))
        return bool(abs(here - there) <= _EQUAL * (abs(here) + abs(there)))


def _without_averages(expr: sp.Expr, draw: random.Random) -> sp.Expr:
    """The expression with every average over two opposite values, the same for every average over one variable."""
    offsets: dict[sp.Symbol, sp.Rational] = {}

    def written(node: sp.Expr) -> sp.Expr:
        if isinstance(node, Average):
            offset = offsets.setdefault(node.variable, sp.Rational(draw.randint(200, 900), 1000))
            inner = written(node.body)
            return (inner.subs(node.variable, offset) + inner.subs(node.variable, -offset)) / 2
        if isinstance(node, SiteSum):
            return written(node.expanded())
        return node.func(*map(written, node.args)) if node.args and node.has(Average, SiteSum) else node

    return written(expr)
