"""The kernel of a limit of infinitely many replicas: values, gradients and Hessians of its three terms.

Each function writes, in this order: the leading order, the next order, the gradient of the leading order in all variables
(unknowns and imposed overlaps), its Hessian (upper triangle, row by row), its derivatives in the constraint's
parameters, and its part of the order parameters that are read off at the saddle.
"""

from __future__ import annotations

import itertools
import pprint
from typing import TYPE_CHECKING

import sympy as sp

from replica.limits.infinite import InfiniteLimit, Series, infinite_limit
from replica.limits.maximum import ScaledAverage, along_characteristics
from saddle.kernels.codegen import KernelWriter
from saddle.kernels.conditioning import series_tables
from saddle.kernels.kernel_source import special_source
from saddle.kernels.loss_source import loss_source

if TYPE_CHECKING:
    from replica.ansatz import Ansatz
    from replica.model import Model


def infinite_kernel_source(model: Model, ansatz: Ansatz) -> str:
    """Return the Python source of the kernel module of a model under an ansatz at infinite multiplicity."""
    limit = infinite_limit((model, ansatz))
    variables = [*limit.unknowns, *limit.imposed]
    constraint = _constraint(limit, variables)
    meta = {
        "model": model.name,
        "ansatz": ansatz.name,
        "multiplicity": limit.multiplicity,
        "unknowns": list(limit.unknowns),
        "imposed": list(limit.imposed),
        "shifts": {name: list(pair) for name, pair in limit.shifts.items()},
        "rooms": _rooms(limit),
        "relations": {name: _linear(value) for name, value in limit.relations.items()},
        "readings": list(limit.readings),
        "constraint": constraint,
        "positive": _variances(limit, variables),
        "field_variance": float(model.architecture.covariance(sp.Integer(1))),
        "normalized": getattr(model.architecture, "normalized", True),
    }
    header = (
        f'"""Quadrature kernels of {model.name} under {ansatz.name}, {limit.multiplicity} infinite, generated."""\n\n'
        f"{special_source()}\n\nMETA = {pprint.pformat(meta, width=110, sort_dicts=False)}\n"
    )
    nothing = [sp.Integer(0)] * len(limit.readings)
    terms = {
        "interaction": (limit.interaction, nothing),
        "weights": (limit.entropic, [*limit.readings.values()]),
        "energetic": (limit.energetic, nothing),
    }
    writers = [
        KernelWriter(name, [*variables, *constraint], {}, _outputs(term, variables, constraint, readings))
        for name, (term, readings) in terms.items()
    ]
    losses = loss_source(output for writer in writers for output in writer.outputs)
    functions = losses + "".join(writer.source() for writer in writers)
    return f"{header}{series_tables(functions)}{functions}"


def _rooms(limit: InfiniteLimit) -> dict[str, dict[str, float]]:
    """What the limit of an overlap leaves to the norm, by the name of the shift, as a linear form."""
    names = {name: key for key, name in limit.ansatz.names().items()}
    found = {}
    for name, (inside, shift) in limit.shifts.items():
        if name in names:
            norm = limit.ansatz.norm(names[name][1])
            room = (sp.Symbol(norm) if norm else sp.Integer(1)) - sp.Symbol(inside)
            found[shift] = _linear(room.subs({sp.Symbol(k): value for k, value in limit.relations.items()}))
    return found


def _linear(form: sp.Expr) -> dict[str, float]:
    """The coefficients of a linear form by name; that of the constant by an empty one."""
    return {str(name) if name != 1 else "": float(c) for name, c in sp.expand(form).as_coefficients_dict().items()}


def _constraint(limit: InfiniteLimit, variables: list[str]) -> list[str]:
    """The parameters of the constraint that appear."""
    symbols = (limit.leading + limit.next).free_symbols
    return sorted({symbol.name for symbol in symbols} - {*variables, "alpha"})


def _variances(limit: InfiniteLimit, variables: list[str]) -> list[str]:
    """Variables that are the variance of an average between clusters, and so positive."""
    found = {average.variance for average in limit.leading.atoms(ScaledAverage)}
    return [name for name in variables if sp.Symbol(name) in found]


def _outputs(term: Series, variables: list[str], constraint: list[str], readings: list[sp.Expr]) -> list[sp.Expr]:
    symbols = [sp.Symbol(name) for name in variables]
    gradient = [sp.diff(term.leading, s) for s in symbols]
    hessian = [sp.diff(gradient[i], symbols[j]) for i, j in itertools.combinations_with_replacement(range(len(symbols)), 2)]
    slopes = [sp.diff(term.leading, sp.Symbol(name)) for name in constraint]
    return [along_characteristics(sp.sympify(e)) for e in (term.leading, term.next, *gradient, *hessian, *slopes, *readings)]
