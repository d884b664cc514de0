"""Nodes of a loop over the noise of a replica with a loss: where the integrand is largest, and where it has kinks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sympy as sp

from saddle.kernels.tilts import log_tilt

if TYPE_CHECKING:
    from saddle.kernels.codegen import KernelWriter
    from saddle.kernels.scopes import Loop


def emit_mode(writer: KernelWriter, loop: Loop, tag: str) -> None:
    """Where the integrand is largest, as ``shift`` and a centre: searched for, since a loss need not be smooth."""
    from saddle.kernels.python_text import text

    scope, z = writer.scopes[-1], writer.fresh("trial")
    exponent = sp.Add(*(power * log_tilt(tilt) for tilt, power in loop.powers)).xreplace({loop.variable: z})
    deep, name = "    " * (scope.depth + 2), text(z)

    def search(head: str, place: str, *then: str) -> None:
        """A loop over trial places, with the height of the exponent at each."""
        lines, (value,) = writer.evaluate([exponent], z, 1)
        scope.add(head)
        scope.lines.extend([f"{deep}{name} = {place}", *lines])
        scope.lines.extend(f"{deep}{line}" for line in (f"here_{tag} = {value} - {name} * {name} * half_{tag}", *then))

    better = (f"if here_{tag} > shift_{tag}:", f"    shift_{tag} = here_{tag}", f"    mode_{tag} = {name}")
    scope.add(f"mode_{tag} = 0.0")
    scope.add(f"shift_{tag} = -math.inf")
    search(f"for j_{tag} in range(-160, 161):", f"0.25 * j_{tag} * sd_{tag}", *better)
    scope.add(f"wide_{tag} = 0.25 * sd_{tag}")
    narrower = (f"elif j_{tag} % 2 == 1:", f"    wide_{tag} *= 0.6")
    turn = f"mode_{tag} + (wide_{tag} if j_{tag} % 2 == 0 else -wide_{tag})"
    search(f"for j_{tag} in range(60):", turn, *better, *narrower)
    scope.add(f"bend_{tag} = 2.0 * shift_{tag}")
    place = f"mode_{tag} + (0.02 * j_{tag} - 0.01) * sd_{tag}"
    search(f"for j_{tag} in range(2):", place, f"bend_{tag} -= here_{tag}")
    for line in (
        f"if sd_{tag} > 0.0:",
        f"    low_{tag} = min(low_{tag}, mode_{tag})",
        f"    high_{tag} = max(high_{tag}, mode_{tag})",
        f"    centres_{tag}[count_{tag}] = mode_{tag}",
        f"    widths_{tag}[count_{tag}] = sd_{tag} * min(1.0, 0.01 / math.sqrt(max(bend_{tag}, 1e-4)))",
        f"    count_{tag} += 1",
    ):
        scope.add(line)


def emit_feature(writer: KernelWriter, tag: str, rest: sp.Expr, spread: sp.Expr, width: float) -> None:
    """Where a loss has a kink, or where inner noise smears it, as a centre of its own."""
    from saddle.kernels.python_text import text

    scope = writer.scopes[-1]
    a = text(writer.define(rest, "a"))
    size = f"math.sqrt({text(writer.define(spread, 's'))})" if spread != 0 else f"{width} * sd_{tag}"
    for line in (
        f"if low_{tag} < -{a} < high_{tag}:",
        f"    centres_{tag}[count_{tag}] = -{a}",
        f"    widths_{tag}[count_{tag}] = min(max({size}, 1e-15 * sd_{tag}), sd_{tag})",
        f"    count_{tag} += 1",
    ):
        scope.add(line)
