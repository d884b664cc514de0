"""Kinks of one integrand that lie apart, as statements of a kernel.

The nodes of a loop are densest at the narrowest kink.  Another one, some way off, is resolved by the growth of the map only
if it is wide enough: if not, the step is made smaller.  A kink where the weight has nothing left asks for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import sympy as sp

from replica.expr import H, slope_and_rest
from replica.passes import TILTS
from saddle.kernels.tilts import degree

if TYPE_CHECKING:
    from saddle.kernels.codegen import KernelWriter

_NEGLIGIBLE = 40.0
"""Logarithm of the weight of the bulk over that of a kink beyond which the kink is not felt."""
_SMOOTH = 2.0
"""How much wider than at a kink the nodes may be at a Gaussian of the same width."""


def emit_lightness(writer: KernelWriter, tag: str, tilts: Sequence[tuple[sp.Expr, sp.Expr]]) -> str:
    """Return a condition on a root: that the weight there is not below rounding.

    Parameters
    ----------
    writer : KernelWriter
    tag : str
        Suffix of the names of the loop.
    tilts : sequence of (slope, rest)
        Arguments of the factors ``H`` that all averages of the loop share: in its tail each is a Gaussian.
    """
    if not tilts:
        return ""

    def cost(at: str) -> str:
        slopes = ((_text(writer.define(b, "b")), _text(writer.define(a, "a"))) for b, a in tilts)
        tails = "".join(f" + 0.5 * max(0.0, {b} * {at} + {a}) ** 2" for b, a in slopes)
        return f"half_{tag} * {at} * {at}{tails}"

    scope = writer.scopes[-1]
    scope.add(f"effort_{tag} = {cost(f'bulk_{tag}')}")
    scope.add(f"most_{tag} = {_NEGLIGIBLE} + effort_{tag}")
    return f"{cost(f'root_{tag}')} < most_{tag}"


def shorten(writer: KernelWriter, tag: str, bodies: Iterable[sp.Expr], z: sp.Symbol) -> None:
    """Leave out the ends of a range where factors ``H`` in front of all bodies leave less of the weight than its own ends.

    Its tail beyond the reach is exp(-reach^2/2): what falls below that relative to the bulk is no part of it either.
    """
    for slope, rest in sorted(set.intersection(*(_factors(body, z) for body in bodies)), key=str):
        ends, b, a = f"low_{tag}, high_{tag}", writer.define(slope, "b"), writer.define(rest, "a")
        most = f"0.5 * reach * reach + effort_{tag}"
        writer.scopes[-1].add(f"{ends} = shortened({ends}, {_text(a)}, {_text(b)}, half_{tag}, {most})")


def _factors(body: sp.Expr, z: sp.Symbol) -> set[tuple[sp.Expr, sp.Expr]]:
    """Slope and rest of the factors ``H`` in front of a body; none where something else there moves the mass."""
    found = set()
    for tilt in body.atoms(*TILTS):
        if not tilt.has(z):
            continue
        power = degree(body, tilt)
        if not isinstance(tilt, H) or power is None or not power.is_number or not power >= 1:
            return set()
        slope, rest = slope_and_rest(tilt.args[0], z)
        found.add((slope, sp.factor_terms(rest)))
    return found


def kinks_apart(writer: KernelWriter, tag: str, kinks: Iterable[tuple], light: str, gathers: bool) -> list[str]:
    """Return statements that make the stride finer where a kink, or the mass, apart from the centre is not resolved.

    Parameters
    ----------
    writer : KernelWriter
    tag : str
        Suffix of the names of the loop.
    kinks : iterable of (slope, rest, spread, power)
        All kinks of the loop.
    light : str
        What :func:`emit_lightness` returned.
    gathers : bool
        Whether a tail moves the mass, and makes it narrower.
    """
    ordered = sorted(kinks, key=str)
    felt, around = light.replace(f"root_{tag}", f"place_{tag}") or "True", f"bulk_{tag}, sd_{tag}, centre_{tag}, span_{tag}"
    mass = f"fine_{tag} = fineness(fine_{tag}, bulk_{tag}, {_SMOOTH} * spread_{tag}, {around}, True)"
    lines = [mass] if gathers else []
    if len(ordered) < 2:
        return lines
    for slope, rest, spread, power in ordered:
        b, a = _text(writer.define(slope, "b")), _text(writer.define(rest, "a"))
        more = sp.Add(*spread)
        smear = f"math.sqrt(1.0 + {_text(writer.define(more, 's'))})" if more != 0 else "1.0"
        smear = smear if power == 1 else writer.sharpened(more, power)
        lines += [
            f"if {b} != 0.0:",
            f"    place_{tag} = -{a} / {b}",
            f"    kink_{tag} = {smear} / abs({b})",
            f"    fine_{tag} = fineness(fine_{tag}, place_{tag}, kink_{tag}, {around}, {felt})",
        ]
    return lines


def _text(expr: sp.Expr) -> str:
    from saddle.kernels.python_text import text

    return text(expr)
