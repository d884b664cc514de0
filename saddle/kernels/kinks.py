"""Kinks of one integrand that lie apart, as statements of a kernel.

The nodes of a loop are densest at the narrowest kink.  Another one, some way off, is resolved by the growth of the map only
if it is wide enough: if not, the step is made smaller.  A kink where the weight has nothing left asks for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import sympy as sp

if TYPE_CHECKING:
    from saddle.kernels.codegen import KernelWriter

_NEGLIGIBLE = 40.0
"""Logarithm of the weight of the bulk over that of a kink beyond which the kink is not felt."""


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

    bulk = cost(f"bulk_{tag}")
    writer.scopes[-1].add(f"most_{tag} = {_NEGLIGIBLE} + {bulk}")
    return f"{cost(f'root_{tag}')} < most_{tag}"


def kinks_apart(writer: KernelWriter, tag: str, kinks: Iterable[tuple], light: str) -> list[str]:
    """Return statements that make the stride finer where a kink apart from the centre is not resolved.

    Parameters
    ----------
    writer : KernelWriter
    tag : str
        Suffix of the names of the loop.
    kinks : iterable of (slope, rest, spread, power)
        All kinks of the loop.
    light : str
        What :func:`emit_lightness` returned.
    """
    ordered = sorted(kinks, key=str)
    if len(ordered) < 2:
        return []
    lines, felt = [], light.replace(f"root_{tag}", f"place_{tag}") or "True"
    around = f"bulk_{tag}, sd_{tag}, centre_{tag}, span_{tag}"
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
