"""Calls of the routines for Gaussian tail and hyperbolic functions (:mod:`saddle.kernels.special`), as statements."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sympy as sp

from replica.expr import Log2Cosh, LogH, Mills, MillsExcess

if TYPE_CHECKING:
    from saddle.kernels.codegen import KernelWriter


def call_special(writer: KernelWriter, place: sp.Tuple, value: sp.Expr, used: set[tuple]) -> dict[sp.Expr, sp.Symbol]:
    """One call for everything wanted of an argument (the only entry of ``place``), as the kernel computes it: ``value``."""
    from saddle.kernels.python_text import text

    scope, (argument,) = writer.scope_of(value), place
    if used <= {(Log2Cosh,), (sp.tanh,)}:
        routine, functions = "log2cosh_tanh", [(Log2Cosh(argument), "logc"), (sp.tanh(argument), "tanh")]
    else:
        mills = [(Mills(argument), "mills"), (MillsExcess(argument), "excess")]
        logarithm = (LogH,) in used
        routine = "log_h_mills_excess" if logarithm else "mills_and_excess"
        functions = [(LogH(argument), "logh"), *mills] if logarithm else mills
    names = {function: writer.fresh(hint) for function, hint in functions}
    if argument.free_symbols & writer.imaginary:
        routine = f"complex_{routine}"
    scope.add(f"{', '.join(map(text, names.values()))} = {routine}({text(value)})")
    scope.symbols.update(names.values())
    scope.special[place] = dict(names)
    return names
