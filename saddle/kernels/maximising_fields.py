r"""Averages of what is taken at a maximiser, over the maximising field, between the jumps of that.

A maximum :math:`F(z) = \max_x [f(z + x) - x^2/(2v)]` with :math:`z \sim N(0, V)` has the maximising field :math:`u = z + x`,
from which both follow: :math:`x = v f'(u)` and :math:`z = u - v f'(u)`.  As ``z`` grows ``u`` grows, and jumps where two
maxima are equally high.  Jumps are located by bisection (two neighbours are on one branch unless :math:`1 - v f''` is
negative at a peak of :math:`v f''` between their fields; the maxima on both sides of such a peak, which may be close to each
other, are compared) and by Newton's method on the equality of both maxima.  Between them,

.. math:: E_z\, g = \int du\, \big(1 - v f''(u)\big)\, \frac{e^{-z^2/(2V)}}{\sqrt{2 \pi V}}\; g,

and nothing has to be solved at a node, nor is anything singular at a jump.  Pieces end at the features of ``f`` (where an
argument vanishes, where two levels of a weight balance, where :math:`v f''` has a high peak) and a few standard deviations
of ``z``; each has a trapezoid in ``t`` after :math:`u \propto \tanh(\tfrac\pi2 \sinh t)`, which resolves its ends.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import sympy as sp

from replica.errors import UnsupportedAnsatz
from replica.expr import SPECIAL, Average, arguments, slope_and_rest
from replica.limits.maximum import AtMaximum, JumpSum, Maximum, half_line, is_concave
from replica.parts.levels import LevelFunction
from replica.parts.noisy_losses import NOISY, loss_of
from saddle.kernels.loss_source import inherited, table_arguments
from saddle.kernels.python_text import text
from saddle.kernels.window import NO_VARIANCE

if TYPE_CHECKING:
    from saddle.kernels.codegen import KernelWriter
    from saddle.kernels.scopes import Loop

Problem = tuple[sp.Basic, ...]
_WIDEST = 16.0
"""Standard deviations beyond which a density is nothing in double precision."""
_SHARP = 0.5
"""Curvature in units of 1/v from which a place where it is largest ends a piece."""
_CELLS = 8
"""Cells of the first scan for jumps, per standard deviation."""

_PEAKS = '''

@_compiled
def {name}_peaks({parameters}, v, low, high, s, least):
    peaks = [0.0 for _ in range(0)]
    count = 8 + min(int(12.0 * (high - low)), 4000)
    step = (high - low) / count
    before, here = -math.inf, -math.inf
    for i in range(count + 2):
        {z} = low + step * i
        after = v * {name}_slopes({parameters}, 0.0, s)[1]
        if here >= before and here > after:
            left, right = {z} - 2.0 * step, {z}
            for _ in range(60):
                {z} = left + (right - left) / 3.0
                one = {name}_slopes({parameters}, 0.0, s)[1]
                {z} = right - (right - left) / 3.0
                if v * one < v * {name}_slopes({parameters}, 0.0, s)[1]:
                    left = left + (right - left) / 3.0
                else:
                    right = {z}
            {z} = 0.5 * (left + right)
            if v * {name}_slopes({parameters}, 0.0, s)[1] > least:
                peaks.append({z})
            {z} = low + step * i
        before, here = here, after
    return peaks
'''

_JUMPS = '''

@_compiled
def {name}_joined(unstable, low, high, s):
    for k in range(0, len(unstable), 6):
        if unstable[k + 1] == s and low < unstable[k] < high:
            return False
    return True


@_compiled
def {name}_edge({parameters}, v, peak, side, s):
    inside, width = peak, 1e-6
    {z} = peak + side * width
    while v * {name}_slopes({parameters}, 0.0, s)[1] > 1.0 and width < 1e3:
        inside, width = {z}, 2.0 * width
        {z} = peak + side * width
    outside = {z}
    for _ in range(60):
        {z} = 0.5 * (inside + outside)
        if v * {name}_slopes({parameters}, 0.0, s)[1] > 1.0:
            inside = {z}
        else:
            outside = {z}
    {z} = outside
    return outside, outside - v * {name}_slopes({parameters}, 0.0, s)[0]


@_compiled
def {name}_beyond({parameters}, v, edge, side, s):
    goal, near, width = {z}, edge, 1e-6
    {z} = edge + side * width
    while side * ({z} - v * {name}_slopes({parameters}, 0.0, s)[0] - goal) < 0.0 and width < 1e6:
        near, width = {z}, 2.0 * width
        {z} = edge + side * width
    far = {z}
    for _ in range(60):
        {z} = 0.5 * (near + far)
        if side * ({z} - v * {name}_slopes({parameters}, 0.0, s)[0] - goal) < 0.0:
            near = {z}
        else:
            far = {z}
    return 0.5 * (near + far)


@_compiled
def {name}_best({parameters}, v, unstable):
    x, s = {name}({parameters}, v)
    if len(unstable) == 0:
        return x, s
    top, here = {name}_value({parameters}, x, s) - x * x / (2.0 * v), {z}
    for k in range(0, len(unstable), 6):
        if unstable[k + 5] < here < unstable[k + 4]:
            for j in range(2):
                site, {z} = unstable[k + 1], here
                other = {name}_beyond({parameters}, v, unstable[k + 2 + j], 2.0 * j - 1.0, site) - here
                {z} = here
                height = {name}_value({parameters}, other, site) - other * other / (2.0 * v)
                if height > top:
                    top, x, s = height, other, site
    return x, s


@_compiled
def {name}_height({parameters}, v, x, s):
    for _ in range(100):
        slope, curvature = {name}_slopes({parameters}, x, s)
        change = (x - v * slope) / (1.0 - v * curvature)
        x -= change
        if not abs(change) > 1e-15 * (abs(x) + abs({z})):
            break
    slope, curvature = {name}_slopes({parameters}, x, s)
    return x, {name}_value({parameters}, x, s) - 0.5 * v * slope * slope, slope


@_compiled
def {name}_balance({parameters}, v, below, s_below, above, s_above, width):
    start, first, last = {z}, below, above
    for _ in range(20):
        below, one, slope_below = {name}_height({parameters}, v, below, s_below)
        above, other, slope_above = {name}_height({parameters}, v, above, s_above)
        change = (one - other) / (slope_above - slope_below) if slope_above != slope_below else math.nan
        if not abs(change) <= width:
            return start, first, last
        {z} += change
        if abs(change) <= 1e-16 * (abs({z}) + width):
            break
    return {z}, below, above


@_compiled
def {name}_jumps({parameters}, v, variance, reach):
    jumps = [0.0 for _ in range(0)]
    if not variance > {tiny}:
        return jumps
    sd = math.sqrt(variance)
    cells = int({cells} * min(reach, {widest}))
    {z} = sd * cells / {cells}
    last = {z} + {name}({parameters}, v)[0]
    {z} = -{z}
    below, s_below = {name}({parameters}, v)
    unstable = [0.0 for _ in range(0)]
    for s in {values}:
        for peak in {name}_peaks({parameters}, v, {z} + below, last, s, 1.0):
            left, end = {name}_edge({parameters}, v, peak, -1.0, s)
            right, begin = {name}_edge({parameters}, v, peak, 1.0, s)
            unstable += [peak, s, left, right, end, begin]
    for k in range(cells, -cells, -1):
        low = -sd * k / {cells}
        {z} = -sd * (k - 1) / {cells}
        above, s_above = {name}_best({parameters}, v, unstable)
        todo = [{z}, above, s_above]
        while len(todo) > 0:
            high, above, s_above = todo[-3], todo[-2], todo[-1]
            if s_below == s_above and {name}_joined(unstable, low + below, high + above, s_below):
                low, below, s_below = high, above, s_above
                todo = todo[:-3]
            elif high - low > 1e-9 * sd:
                {z} = 0.5 * (low + high)
                middle, s_middle = {name}_best({parameters}, v, unstable)
                todo += [{z}, middle, s_middle]
            else:
                {z} = 0.5 * (low + high)
                where, left, right = {name}_balance({parameters}, v, below, s_below, above, s_above, 1e-6 * sd)
                jumps += [where, left, s_below, right, s_above]
                low, below, s_below = high, above, s_above
                todo = todo[:-3]
    return jumps
'''

_NODES = '''

@_compiled
def {name}_nodes({parameters}, v, variance, S, C, origin, quarter_step, reach):
    nodes = [0.0 for _ in range(0)]
    if not variance > {tiny}:
        {z} = 0.0
        x, s = {name}({parameters}, v)
        nodes += [0.0, x, s, 1.0 if variance >= 0.0 else math.nan]
        return nodes
    sd, norm = math.sqrt(variance), 1.0 / (2.5066282746310002 * math.sqrt(variance))
    wide = min(reach, {widest}) * sd
    jumps = {jumps}
    step, most = 4.0 * quarter_step, 0
    while math.sinh(most * step) < 12.0:
        most += 1
    {z} = -wide
    x, s = {name}({parameters}, v)
    low, begin = {z} + x, {z}
    for k in range(0, len(jumps) + 5, 5):
        if k < len(jumps):
            end, high = jumps[k], jumps[k] + jumps[k + 1]
        else:
            {z} = wide
            x, _ = {name}({parameters}, v)
            end, high = wide, wide + x
        marks = [low, high]
        for feature in {name}_features({parameters}, 0.0, s):
            if low < feature < high:
                marks.append(feature)
        for far in (-5.0, -2.0, 0.0, 2.0, 5.0):
            {z} = far * sd
            if begin < {z} < end:
                x, _ = {name}({parameters}, v)
                if low < {z} + x < high:
                    marks.append({z} + x)
        for peak in {name}_peaks({parameters}, v, low, high, s, {sharp}):
            if low < peak < high:
                marks.append(peak)
        marks.sort()
        for j in range(len(marks) - 1):
            left, length = marks[j], marks[j + 1] - marks[j]
            for i in range(-most, most + 1):
                up = math.exp(3.141592653589793 * S[origin + 4 * i])
                share = up / (1.0 + up)
                {z} = left + length * share
                slope, curvature = {name}_slopes({parameters}, 0.0, s)
                x = v * slope
                z = {z} - x
                weight = length * share / (1.0 + up) * 3.141592653589793 * C[origin + 4 * i] * step * norm
                weight *= (1.0 - v * curvature) * math.exp(-0.5 * z * z / variance)
                if weight != 0.0:
                    nodes += [z, x, s, weight]
        if k < len(jumps):
            low, begin, s = jumps[k] + jumps[k + 3], jumps[k], jumps[k + 4]
    return nodes
'''


def problem_of(average: Average) -> Problem:
    """What is maximised inside an average over the whole line; empty if there is nothing, or the half line is enough."""
    found = {node.problem for node in average.body.atoms(AtMaximum, Maximum)}
    if not found or half_line(average):
        return ()
    if len(found) > 1:
        raise UnsupportedAnsatz("An average with two different maxima inside of it has no kernel.")
    return found.pop()


def emit_listed(writer: KernelWriter, loop: Loop, tag: str) -> None:
    """The statements before a loop over listed nodes: variable, maximiser, discrete weight, and weight of the node."""
    scope, name, arguments = _prepared(writer, loop.problem, loop.variable, loop.variance)
    for line in (
        f"nodes_{tag} = {name}_nodes({arguments}, S, C, origin, quarter_step, reach)",
        f"half_{tag}, norm_{tag} = 0.0, 1.0",
        f"first_{tag}, last_{tag}, stride_{tag} = 0, len(nodes_{tag}) - 1, 4",
    ):
        scope.add(line)


def emit_listed_node(writer: KernelWriter, loop: Loop, tag: str) -> str:
    """The statements that read a node; return the source of its weight."""
    inner, known = writer.scopes[-1], (writer.fresh("max"), writer.fresh("site"))
    for offset, symbol in enumerate((loop.variable, *known)):
        inner.add(f"{text(symbol)} = nodes_{tag}[i_{tag} + {offset}]")
        inner.symbols.add(symbol)
    inner.known[sp.Tuple(*loop.problem)] = sp.Tuple(*known)
    return f"nodes_{tag}[i_{tag} + 3]"


def at_jumps(writer: KernelWriter, exprs: list[sp.Expr]) -> list[sp.Expr]:
    """The expressions with their sums over jumps as names, after the loops that compute these."""
    groups: dict[tuple[sp.Expr, ...], list[JumpSum]] = {}
    for total in sorted(set().union(*(e.atoms(JumpSum) for e in exprs)), key=sp.default_sort_key):
        groups.setdefault(total.args[1:], []).append(total)
    names: dict[sp.Expr, sp.Symbol] = {}
    for (z, variance, left, right, problem), sums in groups.items():
        scope, name, arguments = _prepared(writer, tuple(problem), z, variance)
        tag = writer.fresh("j").name
        names |= {total: writer.fresh("sum") for total in sums}
        for total in sums:
            scope.add(f"{text(names[total])} = 0.0")
            scope.symbols.add(names[total])
        scope.add(f"jumps_{tag} = {name}_jumps({arguments}, reach)")
        inner = writer.open_scope()
        sides = [*left, *([] if len(left) > 1 else [writer.fresh("site")]), *right]
        for offset, symbol in enumerate((z, *sides)):
            inner.add(f"{text(symbol)} = jumps_{tag}[i_{tag} + {offset}]")
            inner.symbols.add(symbol)
        density = sp.exp(-(z**2) / (2 * variance)) / sp.sqrt(2 * sp.pi * variance)
        for total, value in zip(sums, writer.written([density * total.args[0] for total in sums]), strict=True):
            inner.add(f"{text(names[total])} += {text(value)}")
        writer.close_scope(f"for i_{tag} in range(0, len(jumps_{tag}), 5):")
    return [e.xreplace(names) for e in exprs]


def _prepared(writer: KernelWriter, problem: Problem, z: sp.Symbol, variance: sp.Expr) -> tuple:
    """Scope, name of the functions of a problem, and their first arguments as source."""
    from saddle.kernels.maximisers import maximiser

    node = AtMaximum(problem[1], *problem)
    free = sorted(node.body.free_symbols - node.bound | {z}, key=lambda s: s.name)
    known = problem in writer.maximisers
    name = maximiser(writer, node, free)
    if not known:
        writer.helpers.append(_helpers(writer, name, node, z, [*free, *inherited(node.body)]))
    scope = writer.scopes[-1]
    values = [text(writer.define(e, "v")) for e in (node.variance, variance)]
    known_fields = ["0.0" if s == z else text(s) for s in free]
    return scope, name, ", ".join([*known_fields, *table_arguments(writer, node.body), *values])


def _helpers(writer: KernelWriter, name: str, node: AtMaximum, z: sp.Symbol, free: list[sp.Symbol]) -> str:
    """The source of the functions that find jumps and nodes of a problem."""
    from saddle.kernels.codegen import KernelWriter as Writer

    x, site = node.variable, node.site[0] if node.site else writer.fresh("site")
    if any(sp.expand(sp.diff(a, x) - sp.diff(a, z)) != 0 for f in node.body.atoms(*SPECIAL) for a in arguments(f)):
        raise UnsupportedAnsatz("A maximum that does not depend on the sum of both fields alone has no kernel.")
    features = _features(node.body, x, z)
    source = Writer(
        f"{name}_features", [s.name for s in (*free, x, site)], {}, [*features, *features[:1]]
    ).function()
    concave = not node.site and is_concave(node.body, x)
    names = {
        "name": name,
        "z": text(z),
        "parameters": ", ".join(map(text, free)),
        "values": "(" + ", ".join(f"{float(value)!r}" for value in (node.site[1] if node.site else (0,))) + ",)",
        "sharp": _SHARP,
        "tiny": NO_VARIANCE,
        "widest": _WIDEST,
        "cells": _CELLS,
    }
    call = "[0.0 for _ in range(0)]" if concave else "{name}_jumps({parameters}, v, variance, reach)"
    names["jumps"] = call.format(**names)
    jumps = "" if concave else _JUMPS.format(**names)
    return source + _PEAKS.format(**names) + jumps + _NODES.format(**names)


def _features(body: sp.Expr, x: sp.Symbol, z: sp.Symbol) -> list[sp.Expr]:
    """Fields where a function bends: where an argument vanishes, or where two neighbouring levels of a weight balance."""
    found: dict[sp.Expr, None] = {}
    for node in sorted(body.atoms(*SPECIAL), key=sp.default_sort_key):
        for argument in arguments(node):
            slope, rest = slope_and_rest(argument.subs(z, 0), x)
            for place in _bends(node):
                found[sp.factor_terms((place - rest) / slope)] = None
    return list(found)


def _bends(node: sp.Expr) -> list[sp.Expr]:
    if isinstance(node, NOISY):
        return [place for place, _ in loss_of(node.args[3]).kinks] or [sp.Integer(0)]
    if not isinstance(node, LevelFunction):
        return [sp.Integer(0)]
    levels = sorted(node.args[2], key=lambda level: level[0])
    return [
        -node.args[1] * (a + b) / 2 - (sp.log(q) - sp.log(p)) / (b - a)
        for (a, p), (b, q) in itertools.pairwise(levels)
    ]
