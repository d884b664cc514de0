r"""Where the mass of an average of a power is: nodes for the oracle.

A power as in :math:`E\,[H(a - b z)^m]` tilts the Gaussian in front of it: its mass may be far outside of the range of ``z``,
in a peak that is narrower, or in two of them.  A tail, as of a reference with a margin of many standard deviations, does so
up to its kink.  The peaks are looked for on a grid that grows until the integrand has
fallen below the digits asked for; beyond the outermost one it falls at least like the Gaussian.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import sympy as sp

from replica.expr import Average, H

NEAR = 3.0
"""Standard deviations by which mass may move inside of the usual range."""
_SPACING = 1.0
"""Of the grid, in standard deviations."""
_WIDEST = 14
"""Doublings of the grid's range."""
_SCOUTING_DIGITS = 20
_FINE = 0.3
_NOTHING = -mpmath.mpf(10) ** 30
"""In place of the logarithm of 0."""


def is_tilted(body: sp.Expr, z: sp.Symbol) -> bool:
    """Whether a body has a power of a function of the variable whose exponent may be large, and no average inside."""
    return not body.has(Average) and any(p.base.has(z) and not p.exp.is_Integer for p in body.atoms(sp.Pow))


def mass_of_tail(sd: Any, kink: tuple[Any, ...]) -> tuple[Any, Any]:
    """Where the Gaussian times a tail ``H(slope z + rest)``, smeared by a spread, has its mass, and how wide it is."""
    slope, rest, spread = kink
    if rest <= 0:
        return mpmath.mpf(0), sd
    width = sd / mpmath.sqrt(1 + (slope * sd) ** 2 / (1 + spread))
    return -rest * slope * width**2 / (1 + spread), width


def pulls(body: sp.Expr, z: sp.Symbol) -> list[sp.Expr]:
    """How far powers that grow without bound pull the mass, per variance: exponent times slope of the argument.

    A factor that is bounded pulls no farther than to its kink.
    """
    powers = [p for p in body.atoms(sp.Pow) if p.base.has(z) and not p.exp.is_Integer and not isinstance(p.base, H)]
    return [p.exp * (sp.diff(p.base.args[0], z) if isinstance(p.base, sp.Function) else sp.oo) for p in powers]


def peaks(body: Callable[[Any], Any], variance: Any, reach: float, decimals: float) -> list[tuple[Any, Any]]:
    """Centres and widths of the peaks of a positive body times the Gaussian.

    Parameters
    ----------
    body : callable
        Of the variable.
    variance : mpf
    reach : float
        The range that an average without a tilt has, in standard deviations.
    decimals : float
        Natural logarithm of what may be neglected.
    """
    sd = mpmath.sqrt(variance)

    def exponent(x: Any) -> Any:
        found = abs(body(x * sd))
        return (mpmath.log(found) if found else _NOTHING) - x * x / 2

    with mpmath.workdps(_SCOUTING_DIGITS):
        ends, spacing = mpmath.mpf(reach), mpmath.mpf(_SPACING)
        for _ in range(_WIDEST):
            grid = [-ends + i * spacing for i in range(int(2 * ends / spacing) + 1)]
            values = [exponent(x) for x in grid]
            if max(values[0], values[-1]) < max(values) - decimals:
                break
            ends, spacing = 2 * ends, 1.5 * spacing
        top, found = max(values), []
        for i in range(1, len(grid) - 1):
            if values[i] >= max(values[i - 1], values[i + 1]) and values[i] > top - decimals:
                found.append(_refined(exponent, grid[i], spacing))
        return [(centre * sd, width * sd) for centre, width in found]


def _refined(exponent: Callable[[Any], Any], x: Any, step: Any) -> tuple[Any, Any]:
    """A maximum and its width, by parabolas through three points: nodes need both to a fraction of the width."""
    curvature = mpmath.mpf(1)
    for _ in range(60):
        low, here, high = exponent(x - step), exponent(x), exponent(x + step)
        curvature = (2 * here - low - high) / step**2
        move = (high - low) / (2 * step * curvature) if curvature > 0 else mpmath.mpf(0)
        x += max(-step, min(step, move))
        width = 1 / mpmath.sqrt(max(curvature, 1))
        if step < _FINE * width and abs(move) < _FINE * width:
            break
        step = min(step, max(step / 4, _FINE * width / 2)) if abs(move) < step else step
    return x, 1 / mpmath.sqrt(max(curvature, 1))
