"""The trace over the levels of a discrete weight, written out as statements: its logarithm and the moments in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sympy as sp

from replica.parts.levels import LogTrace, Moment

if TYPE_CHECKING:
    from saddle.kernels.codegen import KernelWriter


def call_levels(writer: KernelWriter, place: sp.Tuple, value: sp.Expr, used: set[tuple]) -> dict[sp.Expr, sp.Symbol]:
    """The statements for a field ``value``; return the names of what they leave.

    ``place`` holds field, curvature and levels of the functions, ``used`` the functions (with the power of a moment).
    """
    from saddle.kernels.python_text import text

    levels, bend = place[2], writer.define(place[1], "g")
    constants = [writer.define(bend * level**2 / 2 + sp.log(measure).evalf(17), "g") for level, measure in levels]
    scope = writer.scope_of(sp.Tuple(value, bend))
    exponents = [writer.fresh("e") for _ in levels]
    for name, (level, _), constant in zip(exponents, levels, constants, strict=True):
        scope.add(f"{text(name)} = {text(level * value)} + {text(constant)}")
    top, total, logarithm = writer.fresh("top"), writer.fresh("total"), writer.fresh("logz")
    scope.add(f"{text(top)} = max({', '.join(map(text, exponents))})")
    for name in exponents:
        scope.add(f"{text(name)} = math.exp({text(name)} - {text(top)})")
    scope.add(f"{text(total)} = {' + '.join(map(text, exponents))}")
    scope.add(f"{text(logarithm)} = {text(top)} + math.log({text(total)})")
    names: dict[sp.Expr, sp.Symbol] = {LogTrace(*place): logarithm}
    for k in sorted(item[1] for item in used if item[0] is Moment):
        moment = writer.fresh("moment")
        weighted = sp.Add(*(level**k * name for name, (level, _) in zip(exponents, levels, strict=True)))
        scope.add(f"{text(moment)} = ({text(weighted)}) / {text(total)}")
        names[Moment(*place, k)] = moment
    scope.symbols.update(names.values())
    scope.special[place] = dict(names)
    return names
