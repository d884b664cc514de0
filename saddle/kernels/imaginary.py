r"""Averages continued to negative variances, as statements of a kernel.

The average of an analytic function over a Gaussian of variance ``v`` is analytic in ``v``: with :math:`v = -w` its field is
imaginary,

.. math:: E_{z \sim N(0, v)} f(z) = E_{t \sim N(0, w)} f(i t) ,

as long as ``f`` grows more slowly than :math:`e^{t^2/2w}` along the imaginary axis: for a power of ``H`` this says that the
overlap matrix of that many replicas is positive.  The exponent of a tilted average has one stationary point on the real
axis, now a minimum; the line through it parallel to the imaginary axis is that of steepest descent, on which nothing
cancels.  Values on both halves of it are complex conjugates, so that one half, and there the real part, is enough.

For integer powers the integrand is entire.  Otherwise it branches at the zeros of the tilted function, which are away from
the real axis: what goes around them is not unique, and as small as a Gaussian is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sympy as sp

from replica.errors import UnsupportedAnsatz
from replica.expr import H, TwoCosh
from replica.parts.pieces import Pieces
from saddle.kernels.python_text import text
from saddle.kernels.tilts import log_tilt
from saddle.kernels.window import NO_VARIANCE

if TYPE_CHECKING:
    from saddle.kernels.codegen import KernelWriter
    from saddle.kernels.scopes import Loop, Scope

_MOST_STEPS = 40
_NARROWEST = 1e-3
"""What is left of the curvature of a Gaussian beyond which its average does not exist to any accuracy."""


def emit_imaginary_window(writer: KernelWriter, loop: Loop, tag: str) -> bool:
    """Stationary point, width and range of a loop over a negative variance; returns that half of it is enough."""
    scope, z = writer.scopes[-1], loop.variable
    if others := [tilt for tilt, _ in loop.powers if not isinstance(tilt, (H, TwoCosh, Pieces))]:
        raise UnsupportedAnsatz(f"Averages of powers of {others[0].func.__name__} are not continued to negative variances.")
    writer.imaginary.add(z)
    variance = text(writer.define(loop.variance, "v"))
    exponent, mode = sp.Add(*(power * log_tilt(tilt) for tilt, power in loop.powers)), sp.Symbol(f"mode_{tag}")
    # steepest where the tail of every H is a Gaussian: only there does the integrand decay more slowly than its weight
    tails = ((tilt.args[0], power) for tilt, power in loop.powers if isinstance(tilt, (H, Pieces)))
    growth = sp.Add(*(power * sp.diff(argument, z) ** 2 for argument, power in tails))
    grown = text(writer.define(growth, "g")) if growth != 0 else "0.0"
    block, (slope, bend) = writer.evaluate([sp.diff(exponent, z, order).subs(z, mode) for order in (1, 2)], mode, 2)
    for line in (
        f"half_{tag} = 0.0",
        f"sd_{tag} = 0.0",
        f"far_{tag} = 0.0",
        f"norm_{tag} = math.nan",
        f"_{mode.name} = 0.0",
        f"first_{tag} = origin",
        f"last_{tag} = origin",
        f"stride_{tag} = 4",
        f"if {variance} < -{NO_VARIANCE}:",
        f"    half_{tag} = 0.5 / {variance}",
        f"    sd_{tag} = math.sqrt(-{variance})",
        f"    if 1.0 + {grown} * {variance} > {_NARROWEST}:",
        f"        far_{tag} = sd_{tag} / math.sqrt(1.0 + {grown} * {variance})",
        f"elif {variance} <= 0.0:",
        f"    norm_{tag} = 2.0",
        f"if far_{tag} > 0.0:",
        f"    for try_{tag} in range({_MOST_STEPS}):",
    ):
        scope.add(line)
    scope.lines.extend(block)
    for line in (
        f"        step_{tag} = ({slope} - 2.0 * half_{tag} * _{mode.name}) / ({bend} - 2.0 * half_{tag})",
        f"        _{mode.name} -= step_{tag}",
        f"        if abs(step_{tag}) < 0.001 * sd_{tag}:",
        "            break",
        f"    mesh_{tag} = stride_{tag} * quarter_step",
        f"    highest_{tag} = math.asinh(0.5 * reach * far_{tag} / sd_{tag}) / mesh_{tag}",
        f"    last_{tag} = origin + stride_{tag} * math.floor(highest_{tag})",
        f"    norm_{tag} = 4.0 * mesh_{tag} / 2.5066282746310002",
    ):
        scope.add(line)
    lines, (value,) = writer.evaluate([exponent.subs(z, mode)], mode, 0)
    scope.lines.extend(lines)
    scope.add(f"shift_{tag} = {value} - half_{tag} * _{mode.name} * _{mode.name}")
    return True


def emit_imaginary_node(inner: Scope, variable: str, tag: str) -> str:
    """The next node on the line; returns what its weight is multiplied by."""
    inner.add(f"{variable} = complex(_mode_{tag}, 2.0 * sd_{tag} * S[i_{tag}])")
    return f"C[i_{tag}]"
