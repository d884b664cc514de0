"""Nodes of a loop whose integrand has kinks far apart, as statements of a kernel.

Where a factor has several edges one centre does not resolve them all: the nodes are then those of a sum of maps, one for
every kink and one for the bulk (:func:`saddle.kernels.edges.spread_node`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sympy as sp

from replica.parts.noisy_losses import Noisy
from replica.passes import crossings, edge_tilts, linear_arguments
from saddle.kernels.modes import Modes, Powers
from saddle.kernels.tilts import log_tilt, split_tilts

if TYPE_CHECKING:
    from saddle.kernels.codegen import KernelWriter
    from saddle.kernels.scopes import Loop, Scope

_SHARPEST = 1e-15
"""Width in standard deviations below which a kink is a jump in double precision."""


def emit_centres(writer: KernelWriter, loop: Loop, tag: str) -> None:
    """Nodes for kinks that lie apart: as dense as all of them together ask, see :func:`saddle.kernels.edges.spread_node`."""
    scope = writer.scopes[-1]
    variance = writer.emit_deviation(loop, tag)
    kinks = {
        (slope, sp.factor_terms(rest), tuple(spread)): None
        for average in loop.averages
        for slope, rest, spread, *_ in linear_arguments(average.body, loop.variable)
    }
    tilts = {
        (slope, sp.factor_terms(rest), side, loss): None
        for average in loop.averages
        for slope, rest, side, loss in edge_tilts(average.body, loop.variable)
    }
    beside = {
        (slope, sp.factor_terms(rest), tuple(spread), side, loss, power): None
        for average in loop.averages
        for slope, rest, spread, side, loss, power in crossings(average.body, loop.variable)
    }
    peaked = [loop.powers] if loop.powers else _losses_in_front(loop)
    modes = [Modes(tag, powers, loop.variable, _text(variance), scope, writer.evaluate, log_tilt) for powers in peaked]
    most = 3 + sum(found.most for found in modes) + len(kinks) + len(tilts) + len(beside)
    for line in (
        f"centres_{tag} = np.zeros({most})",
        f"widths_{tag} = np.full({most}, sd_{tag})",
        f"count_{tag} = 1",
        f"low_{tag} = 0.0",
        f"high_{tag} = 0.0",
    ):
        scope.add(line)
    for found in modes:
        found.write_centres()
    if not loop.powers:
        for slope, rest, side, loss in sorted(tilts, key=str):
            _emit_tilt(writer, tag, (slope, rest), side, loss, variance)
    scope.add(f"low_{tag} -= reach * sd_{tag}")
    scope.add(f"high_{tag} += reach * sd_{tag}")
    for slope, rest, spread in sorted(kinks, key=str):
        _emit_kink(writer, tag, slope, rest, sp.Add(*spread))
    for slope, rest, spread, side, loss, power in sorted(beside, key=str):
        _emit_kink(writer, tag, slope, rest, sp.Add(*spread), (side, loss, power))
    for line in (
        f"node_{tag} = low_{tag}",
        f"mesh_{tag} = 4.0 * quarter_step",
        f"pace_{tag} = 0.0",
        f"start_{tag} = 0.0",
        f"end_{tag} = 0.0",
        f"first_{tag} = 0",
        f"last_{tag} = 0",
        f"stride_{tag} = 1",
        f"if sd_{tag} > 0.0:",
        f"    for j_{tag} in range(count_{tag}):",
        f"        start_{tag} += math.asinh((low_{tag} - centres_{tag}[j_{tag}]) / (2.0 * widths_{tag}[j_{tag}]))",
        f"        end_{tag} += math.asinh((high_{tag} - centres_{tag}[j_{tag}]) / (2.0 * widths_{tag}[j_{tag}]))",
        f"    last_{tag} = math.floor((end_{tag} - start_{tag}) / mesh_{tag})",
        f"    norm_{tag} = mesh_{tag} / (2.5066282746310002 * sd_{tag})",
        f"elif {_text(variance)} >= 0.0:",
        f"    node_{tag} = 0.0",
        f"    widths_{tag}[0] = 1.0",
        f"    norm_{tag} = 0.5",
    ):
        scope.add(line)


def _losses_in_front(loop: Loop) -> list[Powers]:
    """The smoothed losses in front of the bodies of a loop, which move its mass, once each set of them."""
    found: dict[Powers, None] = {}
    for average in loop.averages:
        tilts, _ = split_tilts(average.body)
        losses = {t: p for t, p in tilts.items() if isinstance(t, Noisy) and t.has(loop.variable)}
        found |= {tuple(sorted(losses.items(), key=str)): None} if losses else {}
    return list(found)


def _emit_tilt(
    writer: KernelWriter, tag: str, argument: tuple[sp.Expr, sp.Expr], side: int, loss: sp.Expr, variance: sp.Expr
) -> None:
    """Where an edge moves the mass, if what it takes away is worth the way."""
    scope = writer.scopes[-1]
    b, a = writer.define(argument[0], "b"), writer.define(argument[1], "a")
    worth = f" and 0.5 * {_text(a)} * {_text(a)} < {_text(loss)} * steep_{tag}" if loss != sp.oo else ""
    for line in (
        f"steep_{tag} = 1.0 + {_text(b)} * {_text(b)} * {_text(variance)}",
        f"if {'' if side > 0 else '-'}{_text(a)} > 0.0{worth}:",
        f"    mode_{tag} = -{_text(a)} * {_text(b)} * {_text(variance)} / steep_{tag}",
        f"    low_{tag} = min(low_{tag}, mode_{tag})",
        f"    high_{tag} = max(high_{tag}, mode_{tag})",
        f"    if abs(mode_{tag}) > 0.5 * sd_{tag}:",
        f"        centres_{tag}[count_{tag}] = mode_{tag}",
        f"        count_{tag} += 1",
    ):
        scope.add(line)


def _emit_kink(
    writer: KernelWriter,
    tag: str,
    slope: sp.Expr,
    rest: sp.Expr,
    spread: sp.Expr,
    beside: tuple[int, sp.Expr, sp.Expr] | None = None,
) -> None:
    r"""A kink as a centre of its own, if it is in the range and narrower than the bulk.

    ``beside`` an edge, the kink is where the tail has fallen to what it costs to violate the constraint: the argument is
    then :math:`x` with :math:`\ln H(x)` about minus that cost, and the tail there is steeper by :math:`1 + x`.  Under an
    average of the ``p``-th power all replicas of a cluster pay or move together (:func:`saddle.kernels.edges.balance`).
    """
    scope = writer.scopes[-1]
    b, a = writer.define(slope, "b"), writer.define(rest, "a")
    smear = f"math.sqrt(1.0 + {_text(writer.define(spread, 's'))})" if spread != 0 else "1.0"
    at, steep = "0.0", "1.0"
    if beside is not None:
        side, loss = beside[0], _text(writer.define(beside[1], "l"))
        scope.add(f"far_{tag} = math.log(1.0 + 2.5066282746310002 * math.sqrt(2.0 * min({loss}, 1e6)))")
        scope.add(f"far_{tag} = math.sqrt(2.0 * max(min({loss}, 1e6) - far_{tag}, 0.0))")
        at, steep = f"{'' if side > 0 else '-'}far_{tag}", f"(1.0 + far_{tag})"
        if beside[2] != 1 and spread != 0:
            power, spread = _text(writer.define(beside[2], "p")), _text(writer.define(spread, "s"))
            scope.add(f"far_{tag}, steep_{tag} = balance(min({loss}, 1e6), max({power} * {spread}, 0.0))")
            smear, steep = "1.0", f"max(steep_{tag} * max(1.0, {power}), 1e-3)"
    for line in (
        f"if {_text(b)} != 0.0:",
        f"    root_{tag} = ({at} - {_text(a)}) / {_text(b)}",
        f"    kink_{tag} = max({smear} / (abs({_text(b)}) * {steep}), {_SHARPEST} * sd_{tag})",
        f"    if kink_{tag} < sd_{tag} and low_{tag} < root_{tag} < high_{tag}:",
        f"        centres_{tag}[count_{tag}] = root_{tag}",
        f"        widths_{tag}[count_{tag}] = kink_{tag}",
        f"        count_{tag} += 1",
    ):
        scope.add(line)


def emit_node(inner: Scope, variable: str, tag: str) -> str:
    """The next node, found from the one before; returns what its weight is multiplied by."""
    goal, there = f"start_{tag} + i_{tag} * mesh_{tag}", f"centres_{tag}, widths_{tag}, count_{tag}"
    inner.add(f"node_{tag}, pace_{tag} = spread_node({goal}, node_{tag} + mesh_{tag} * pace_{tag}, {there})")
    inner.add(f"{variable} = node_{tag}")
    return f"pace_{tag}"


def _text(expr: sp.Expr) -> str:
    from saddle.kernels.python_text import text

    return text(expr)
