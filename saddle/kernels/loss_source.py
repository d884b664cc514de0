"""Losses under noise in a kernel: the source of their routines, and the calls of these (:mod:`saddle.kernels.noisy`)."""

from __future__ import annotations

import ast
import hashlib
import inspect
import math
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import sympy as sp

from replica.errors import UnsupportedAnsatz
from replica.parts.losses import LossFunction
from replica.parts.noisy_losses import NOISY, LogNoisy, NoisyCumulant, loss_of
from saddle.kernels import loss_interface, noisy
from saddle.kernels.floors import floor_of

if TYPE_CHECKING:
    from saddle.kernels.codegen import KernelWriter

_ORDERS = ((1, 0), (2, 0), (3, 0), (4, 0), (0, 1), (1, 1), (2, 1))
"""Orders of the cumulants that the routine returns after the logarithm."""
_GRAIN = 0.5
"""Length over which a loss without kinks is taken to be smooth: the logistic loss has its singularities at distance pi."""


INHERITED = tuple(sp.Symbol(f"noisy_{name}") for name in ("pace", "step", "reach", "marks", "table"))
"""Parameters by which a function without averages is given the table of the one loss under noise that it evaluates."""


def inherited(body: sp.Expr) -> tuple[sp.Symbol, ...]:
    """Return the further parameters of a function that evaluates this body: a table, where it has a loss under noise."""
    return INHERITED if body.has(*NOISY) else ()


def table_arguments(writer: KernelWriter, body: sp.Expr) -> list[str]:
    """Return the source of these parameters where such a function is called."""
    places = {node.args[1:4] for node in body.atoms(*NOISY)}
    if len(places) > 1:
        raise UnsupportedAnsatz("A maximum over several losses under noise has no kernel.")
    if not places:
        return []
    ((variance, beta, loss),) = places
    table = _table(writer, sp.Tuple(writer.define(variance, "v"), writer.define(beta, "v"), loss))
    return [f"pace_{table}", "quarter_step", "reach", f"marks_{table}", f"table_{table}"]


def loss_source(exprs: Iterable[sp.Expr]) -> str:
    """Return the routines of all losses in these expressions, under names with the tag of the loss."""
    from saddle.kernels.kernel_source import source_of
    from saddle.kernels.python_text import text

    found = {node.args[3] for expr in exprs for node in expr.atoms(*NOISY)}
    return "".join(_routines(name, source_of(noisy), text) for name in sorted(found, key=str))


def _routines(name: sp.Basic, plain: str, text: Callable[[sp.Expr], str]) -> str:
    """The routines of one loss, after what they need to know about it."""
    tag, loss, x = tag_of(name), loss_of(name), sp.Symbol("x")
    own = [node.name for node in ast.parse(inspect.getsource(noisy)).body if isinstance(node, ast.FunctionDef)]
    names = re.compile(rf"\b({'|'.join([*own, *_asked()])})\b")
    kinks = tuple(sorted(float(place) for place, _ in loss.kinks))
    return f"""
KINKS_{tag} = {kinks or "(math.inf,)"}
FLOOR_{tag} = {loss_floor(loss)}
GRAIN_{tag} = {0.0 if kinks else _GRAIN}


@_compiled
def cost_{tag}({text(x)}):
    return {text(loss(x))}


{names.sub(lambda match: f"{match[0]}_{tag}", plain)}
"""


def loss_floor(loss: type[LossFunction]) -> str:
    """The floor of a loss as source."""
    floor = floor_of(loss)
    return repr(floor) if math.isfinite(floor) else "-math.inf"


def _asked() -> list[str]:
    """The names that the routines of a loss find in their module."""
    return [name for name in vars(loss_interface) if name.isupper() or name == "cost"]


def tag_of(name: sp.Basic) -> str:
    """The suffix of the routines of a loss."""
    return hashlib.sha256(str(name).encode()).hexdigest()[:8]


def call_noisy(writer: KernelWriter, place: sp.Tuple, value: sp.Expr, used: set[tuple]) -> dict[sp.Expr, sp.Symbol]:
    """One call for all functions of a loss at a mean, as the kernel computes it: ``value``; the names of what it returns.

    ``place`` holds mean, variance, inverse temperature and loss, ``used`` the functions, each with its orders.
    """
    from saddle.kernels.python_text import text

    functions = [LogNoisy(*place), *(NoisyCumulant(*place, *orders) for orders in _ORDERS)]
    if unknown := used - {(f.func, *f.args[4:]) for f in functions}:
        raise UnsupportedAnsatz(f"Derivatives of a loss under noise of the orders {unknown} have no kernel.")
    variance, beta, tag = writer.define(place[1], "v"), writer.define(place[2], "v"), tag_of(place[3])
    if INHERITED[0].name in writer.parameters:
        there = ", ".join(map(text, INHERITED))
    else:
        table = _table(writer, sp.Tuple(variance, beta, place[3]))
        there = f"pace_{table}, quarter_step, reach, marks_{table}, table_{table}"
    names = {function: writer.fresh("noisy") for function in functions}
    scope = writer.scope_of(sp.Tuple(value, variance, beta))
    arguments = ", ".join(map(text, (value, variance, beta)))
    scope.add(f"{', '.join(map(text, names.values()))} = noisy_{tag}({arguments}, {there})")
    scope.symbols.update(names.values())
    scope.special[place] = dict(names)
    return names


def _table(writer: KernelWriter, key: sp.Tuple) -> str:
    """The suffix of the table of a loss at a variance and a temperature, made where these are known."""
    from saddle.kernels.python_text import text

    if key not in writer.tables:
        variance, beta, loss = key
        scope, table = writer.scope_of(sp.Tuple(variance, beta)), writer.fresh("t").name
        scope.add(f"pace_{table} = noisy_pace_{tag_of(loss)}({text(variance)}, quarter_step)")
        scope.add(f"marks_{table} = np.full({noisy._SLOTS}, math.nan)")
        scope.add(f"table_{table} = np.empty(({noisy._SLOTS}, {noisy._FUNCTIONS}, {noisy._DEGREE}))")
        writer.tables[key] = table
    return writer.tables[key]
