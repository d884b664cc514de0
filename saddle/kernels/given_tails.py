r"""Averages given that a field is in a tail, without the exponents that cancel far out in it.

The average over a variable ``z`` of a cluster, given that its reference obeys a threshold, has the weight

.. math:: e^{-z^2/2v}\, \frac{H(a + b z)}{H(c)}, \qquad c^2 = \frac{a^2}{1 + b^2 v}, \qquad \int Dz\, H(a + b z) = H(c).

With the reference ``c`` standard deviations out, each factor is the exponential of :math:`c^2/2`, and their difference is
left with the rounding of that.  Since :math:`H = G/M`, the squares join to one around the mode
:math:`z_* = -a b v/(1 + b^2 v)`,

.. math:: \exp\Bigl[-\frac{1 + b^2 v}{2v} (z - z_*)^2\Bigr] \frac{M(c)}{M(a + b z)}

exactly, and nothing cancels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import sympy as sp

from replica.expr import H, Mills, slope_and_rest

if TYPE_CHECKING:
    from saddle.kernels.codegen import KernelWriter

Tail = tuple[sp.Expr, sp.Expr]
"""The arguments of the tails inside and outside of the average."""
_LEAST = "-8.0"
"""Below it a tail is 1, and the weight there is too small for its rounding to matter."""


def conditioned(
    powers: Sequence[tuple[sp.Expr, sp.Expr]], z: sp.Symbol, variance: sp.Expr, definitions: Mapping[sp.Symbol, sp.Expr]
) -> Tail | None:
    """Return the arguments of ``H(a + b z)/H(c)`` where that is all that a weight has, and ``H(c)`` its average."""
    if len(powers) != 2 or not all(isinstance(tilt, H) for tilt, _ in powers):
        return None
    (inside, gains), (outside, loses) = sorted(powers, key=lambda item: not item[0].has(z))
    if gains != 1 or loses != -1 or not inside.has(z) or outside.has(z) or sp.diff(inside.args[0], z).has(z):
        return None
    slope, rest = slope_and_rest(inside.args[0], z)
    difference = outside.args[0] ** 2 * (1 + slope**2 * variance) - rest**2
    for symbol, definition in reversed(list(definitions.items())):
        difference = difference.xreplace({symbol: definition})
    return (inside.args[0], outside.args[0]) if _vanishes(difference) else None


def _vanishes(difference: sp.Expr) -> bool:
    """Whether an expression is 0 at a few points."""
    for seed in (3, 7):
        symbols = sorted(difference.free_symbols, key=str)
        at = {symbol: sp.Rational(1, 2) + sp.Rational((seed * (i + 2)) % 11, 50) for i, symbol in enumerate(symbols)}
        value = sp.N(difference.xreplace(at), 30, maxn=200)
        if not value.is_number or abs(sp.N(value)) > 1e-20:
            return False
    return True


def emit_conditioned(writer: KernelWriter, tail: Tail, tag: str, weight: tuple[str, str, str]) -> None:
    """Emit the statements of a weight: its name, what stretches it, and the line that is right where no tail is far."""
    from saddle.kernels.python_text import text

    (inside, outside), (name, stretch, plain) = tail, weight
    inner, before = writer.scopes[-1], writer.scopes[-2]
    known = {node: symbol for scope in writer.scopes for calls in scope.special.values() for node, symbol in calls.items()}
    ratio = f"{text(known[Mills(outside)])} / {text(known[Mills(inside)])}"
    z = next(symbol for symbol in inside.free_symbols if symbol in inner.symbols)
    slope, rest = slope_and_rest(inside, z)
    b, a = writer.define(slope, "b"), writer.define(sp.factor_terms(rest), "a")
    at, beyond = text(writer.define(b * z + a, "a")), text(writer.define(outside, "a"))
    mode = f"peak_{tag}, sharp_{tag} = given_tail({text(a)}, {text(b)}, half_{tag})"
    if not any(line.endswith(mode) for line in before.lines):
        before.add(mode)
    for line in (
        f"if {beyond} > 0.0 and {at} > {_LEAST}:",
        f"    away_{tag} = {text(z)} - peak_{tag}",
        f"    {name} = {stretch} * math.exp(-away_{tag} * away_{tag} * sharp_{tag}) * ({ratio})",
        "else:",
        f"    {plain}",
    ):
        inner.add(line)
