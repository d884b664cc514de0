"""The source of a kernel module: which derived expressions a solver needs, in which order, and the solver itself.

Two blocks, the energetic average as a function of the overlaps and the weights as a function of the conjugates (for
spherical weights: of the overlaps), each once for values and once with the Jacobian, so that a line search
does not pay for derivatives.  Small closed forms (interaction, pivots) follow, and then :mod:`saddle.kernels.assembly`,
which puts them together, with the counts and places of the unknowns as constants.
"""

from __future__ import annotations

import ast
import inspect
import pprint
from collections.abc import Mapping
from functools import cached_property
from itertools import accumulate
from types import ModuleType
from typing import TYPE_CHECKING

import sympy as sp

from replica.ansatz import SELF, conjugate
from replica.derivation import derive
from replica.expr import canonical
from replica.fields import Definitions
from replica.limits.hard_limit import limit_load
from replica.limits.sat_limit import SatLimit, limit_replicon, sat_limit
from replica.parts.covariance import slopes_at_one
from replica.parts.teacher import nishimori
from replica.passes import log_sums
from saddle.kernels import assembly, edges, elimination, readings, special, special_complex, stepping, window
from saddle.kernels.codegen import KernelWriter
from saddle.kernels.complements import complements
from saddle.kernels.conditioning import Conditioning, series_tables
from saddle.kernels.loss_source import loss_source
from saddle.kernels.offsets import Shift, origins
from saddle.kernels.specialising import specialised

if TYPE_CHECKING:
    from replica.ansatz import Ansatz
    from replica.free_entropy import FreeEntropy
    from replica.model import Model


def kernel_source(model: Model, ansatz: Ansatz, continued: bool = False) -> str:
    """Return the Python source of the kernel module of a model under an ansatz.

    ``continued`` asks for averages of powers at negative variances (:mod:`saddle.kernels.imaginary`).
    """
    return render(derive(model, ansatz), continued)


def render(free_entropy: FreeEntropy, continued: bool = False) -> str:
    """Return the kernel module of a derived free entropy."""
    layout = Layout(free_entropy, continued)
    meta = pprint.pformat(layout.meta(), width=110, sort_dicts=False)
    header = (
        f'"""Quadrature kernels of {free_entropy.model.name} under {free_entropy.ansatz.name}, generated."""\n\n'
        f"{special_source()}\n{source_of(special_complex) if continued else ''}\nMETA = {meta}\n"
    )
    constants = layout.constants()
    writers = layout.writers()
    losses = loss_source(output for writer in writers for output in writer.outputs)
    functions = losses + "".join(writer.source() for writer in writers)
    solver = specialised("\n".join(source_of(module) for module in (elimination, assembly, stepping, readings)), constants)
    known = "\n".join(f"{name} = {value!r}" for name, value in constants.items())
    return f"{header}{series_tables(functions)}{functions}\n\n{known}\n{solver}\n"


def special_source(compiled: bool = True) -> str:
    """The source of the special functions; without what compiles them for a caller that brings its own ``_compiled``."""
    return "\n".join(source_of(module, compiled) for module in (special, edges, window))


def observable_source(free_entropy: FreeEntropy, expr: sp.Expr, patterns: bool) -> str:
    """Return plain Python with a function ``observable`` of one average, for a name space with ``_compiled`` in it."""
    writer = Layout(free_entropy).observable(expr, patterns)
    functions = loss_source(writer.outputs) + writer.source()
    return f"{special_source(compiled=False)}\n{series_tables(functions)}{functions}"


def source_of(module: ModuleType, compiled: bool = True) -> str:
    """Return a module's functions without docstrings, annotations and imports of ours, so that a kernel stands alone."""
    body = []
    for node in ast.parse(inspect.getsource(module)).body:
        ours = isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] in ("__future__", "saddle")
        if ours or isinstance(node, ast.Expr) or (not compiled and getattr(node, "name", "") == "_compiled"):
            continue
        if isinstance(node, ast.FunctionDef):
            node.returns = None
            for argument in node.args.args:
                argument.annotation = None
            if isinstance(node.body[0], ast.Expr):
                node.body = node.body[1:] or [ast.Pass()]
        body.append(ast.unparse(node))
    return "\n".join(body)


class Layout:
    """Parameters, unknowns and outputs of a kernel module, by name."""

    def __init__(self, free_entropy: FreeEntropy, continued: bool = False) -> None:
        self.f, self.continued = free_entropy, continued
        self.ansatz, self.discrete = free_entropy.ansatz, free_entropy.model.weights.discrete
        self.given = [name for name, _ in self.ansatz.given]
        self.active = [op.symbol for op in free_entropy.order_parameters if op.symbol not in self.given]
        self.free = [name for name in self.active if name not in self.ansatz.imposed]
        self.overlaps = [*self.active, *self.given]
        self.conjugates = [conjugate(name) for name in self.overlaps]
        self.multiplicities = list(self.ansatz.multiplicities)
        self.remaining = {sp.Symbol(f"left_{k}"): self._norm_of(k) - sp.Symbol(k) for k in self._free_pivots()}
        self.covariance = Conditioning(free_entropy, self.overlaps, self.remaining)
        self.shift = Shift({} if self.discrete else self._origins())
        known = {**self.remaining, **self.shift.definitions, **self._variances(), **self.covariance.definitions}
        self.definitions = Definitions("", known)
        self.constraint = self._constraint_parameters()

    def _origins(self) -> dict[str, sp.Expr]:
        """Where free overlaps without a pivot are measured from."""
        pivots = {k: self.f.pivots[k] for k in self._free_pivots()}
        cross = [k for k in self.free if k not in pivots]
        return {} if self._norms() else origins(pivots, cross, {*self.ansatz.imposed, *self.given})

    def _variances(self) -> dict[sp.Symbol, sp.Expr]:
        """Pivots with a name of their own, as functions of the overlaps."""
        pivots = {sp.Symbol(k): self.f.pivots[k] for k in self._free_pivots()}
        named = {k: p for k, p in pivots.items() if isinstance(p.variance, sp.Symbol) and p.variance != k}
        return {p.variance: k - p.explained for k, p in named.items()}

    def _norm_of(self, name: str) -> sp.Expr:
        """The overlap of a replica with itself that bounds this overlap: 1, or an order parameter."""
        norm = self.ansatz.norm(self.f.pivots[name].key[1])
        return sp.Integer(1) if norm is None else sp.Symbol(norm)

    def _norms(self) -> list[str]:
        """The norms that are solved for."""
        return [k for (node, *_), k in self.ansatz.names().items() if node == SELF and k in self.free]

    def _total(self, expr: sp.Expr, name: str) -> sp.Expr:
        """The derivative in a free overlap; a norm moves the imposed overlaps along, at fixed distance."""
        slope = self.definitions.total_derivative(expr, sp.Symbol(name))
        for imposed, norms in self.f.imposed_norms().items():
            if share := norms.count(name):
                slope += sp.Rational(share, 2) * self.definitions.total_derivative(expr, sp.Symbol(imposed))
        return slope

    def _constraint_parameters(self) -> list[str]:
        order = {*self.overlaps, *self.conjugates, *self.multiplicities, "alpha"}
        order |= {symbol.name for symbol in (*self.remaining, *self.shift.definitions)}
        exprs = [self.f.energetic, *self.f.energetic_pairs.values()]
        symbols = {s.name for e in exprs for s in self.definitions.expand(e).free_symbols}
        return sorted(symbols - order)

    @property
    def energetic_parameters(self) -> list[str]:
        """Arguments of the energetic functions, in order."""
        return [*self.overlaps, *self._conditioning, *self.multiplicities, *self.constraint]

    @property
    def _conditioning(self) -> list[str]:
        """Pivots, what is left to 1, and offsets: known to a solver without cancellation."""
        return [*self.pivot_variances, *(symbol.name for symbol in (*self.remaining, *self.shift.definitions))]

    @property
    def pivot_variances(self) -> list[str]:
        """Pivots of free overlaps that are not the overlap itself: arguments of their own, free of cancellation."""
        variances = [self.f.pivots[k].variance for k in self._free_pivots()]
        return [v.name for v in variances if isinstance(v, sp.Symbol) and v.name not in self.overlaps]

    def _free_pivots(self) -> list[str]:
        return [name for name in self.free if name in self.f.pivots]

    @property
    def weights_parameters(self) -> list[str]:
        """Arguments of the weights functions, in order."""
        if self.discrete:
            return [*self.conjugates, *self.multiplicities]
        return [*self.overlaps, *self._conditioning, *self.multiplicities]

    @property
    def all_parameters(self) -> list[str]:
        """Arguments of the interaction, in order."""
        return [*self.overlaps, *self.conjugates, *self.multiplicities]

    def meta(self) -> dict[str, object]:
        """The description that a solver reads."""
        return {
            "model": self.f.model.name,
            "ansatz": self.ansatz.name,
            "discrete": self.discrete,
            "overlaps": self.overlaps,
            "active": self.active,
            "free": self.free,
            "imposed": list(self.ansatz.imposed),
            "given": dict(self.ansatz.given),
            "reference": self.ansatz.reference,
            "multiplicities": self.multiplicities,
            "constraint": self.constraint,
            "offsets": list(self.shift.table),
            "bounded": self._bounded(),
            "prefixes": dict(self.ansatz.prefixes),
            "norm_of": {k: str(norm) for k in self._free_pivots() if (norm := self._norm_of(k)) != 1},
            "norms": self._norms(),
            "imposed_norms": self.f.imposed_norms(),
            "pivots": self._free_pivots(),
            "ceilings": self._ceilings(),
            "own_pivots": self._own_pivots(),
            "sections": self.sections(),
            "replicons": list(self._replicons()),
            "limit_load": limit_load(self.f) is not None,
            "field_variance": float(self.f.model.architecture.covariance(sp.Integer(1))),
            "infinite_slope": bool(slopes_at_one(self.f.model.architecture)[0].is_infinite),
            "normalized": getattr(self.f.model.architecture, "normalized", True),
            "covariance_error": self.covariance.has_error,
            "nishimori": nishimori(self.f.model, self.ansatz),
            "limit_replicon": limit_replicon(self.f) is not None,
            "sat_limit": self._sat_meta(),
            "zero": list(self.ansatz.zero_names().values()),
            "continued": self.continued,
        }

    def _ceilings(self) -> dict[str, str]:
        """Free pivots that an imposed overlap further down bounds: what is explained there is the free overlap."""
        found: dict[str, str] = {}
        for name in [k for k in self.active if k in self.f.pivots and k not in self.free]:
            below = name
            while (above := str(self.f.pivots[below].explained)) in self._free_pivots():
                found[above] = name
                below = above
        return found

    def _bounded(self) -> list[str]:
        """Free overlaps that can tend to 1 along with a pivot below them: of a student with its teacher."""
        pivots = self._free_pivots() if self.discrete else []
        return [k for k in self.free if any(self._bounds(k, pivot) for pivot in pivots)]

    def _lacks(self) -> list[sp.Expr]:
        """What the averages over the weights lack to 1, where overlaps can tend to 1 together."""
        return complements(self.f.weight_pairs[k] for k in self.active) if self._bounded() else []

    def _bounds(self, name: str, pivot: str) -> bool:
        """Whether the square of an overlap is all that is explained above a pivot."""
        square = sp.Symbol(name) ** 2
        return bool(self.f.pivots[pivot].explained == square and self.f.pivots[pivot].left == 1 - square)

    def _multiplicities(self) -> list[KernelWriter]:
        """Per multiplicity that stays: the number of copies, and its derivatives of the free entropy of all of them."""
        if not self.multiplicities:
            return []
        symbols = [sp.Symbol(m) for m in self.multiplicities]
        copies = [sp.cancel(m / self.f.replicas) for m in symbols]

        def slopes(term: sp.Expr) -> list[sp.Expr]:
            return [self.definitions.total_derivative(n * term, m) for n, m in zip(copies, symbols, strict=True)]

        return [
            self._writer("energetic_multiplicities", self.energetic_parameters, slopes(self._left(self.f.energetic))),
            self._writer("weights_multiplicities", self.weights_parameters, slopes(self._weights(self.f.entropic))),
            self._writer("multiplicities", self.all_parameters, [*copies, *slopes(self.f.interaction)]),
        ]

    @property
    def unknown(self) -> list[str]:
        """What is solved for: the free overlaps, and for discrete weights the conjugates of the imposed ones."""
        return self.free + ([conjugate(k) for k in self.ansatz.imposed] if self.discrete else [])

    def sections(self) -> dict[str, int]:
        """Sections of the record of a state, in order, with their sizes."""
        n, k = len(self.active), len(self.unknown)
        scalars = dict.fromkeys(("free_entropy", "scale", "energetic", "noise", "orientation"), 1)
        of_overlaps = {"overlaps": n, "left": n, "pivots": len(self._free_pivots()), "conjugates": n, "pairs": n}
        of_overlaps["offsets"] = len(self.shift.table)
        return {**scalars, **of_overlaps, "residuals": k, "relative": k, "chain": k * k, "jacobian": k * k}

    def constants(self) -> dict[str, object]:
        """The constants of :mod:`saddle.kernels.kernel_interface` in this kernel."""
        imposed, pivots, own = list(self.ansatz.imposed), self._free_pivots(), self._own_pivots()
        bounded = self._bounded()
        ceilings, norms, norm_of = self._ceilings(), self._norms(), {k: str(self._norm_of(k)) for k in pivots}
        parameters = {
            "imposed": len(imposed),
            "room": len(imposed),
            "shares": len(imposed) * len(norms),
            "ties": len(imposed) * len(norms),
            "given": len(self.given),
            "given_conjugates": len(self.given),
            "tail": len(self.multiplicities),
            "constraint": len(self.constraint),
            "origins": len(self.free),
        }
        places = {
            "FREE_AT": [self.active.index(k) for k in self.free],
            "IMPOSED_AT": [self.active.index(k) for k in imposed],
            "PIVOT_AT": [self.free.index(k) for k in pivots],
            "CEILING_AT": [imposed.index(ceilings[k]) if k in ceilings else -1 for k in pivots],
            "NORM_AT": [self.free.index(k) for k in norms],
            "PIVOT_NORM": [self.free.index(norm_of[k]) if norm_of[k] in norms else -1 for k in pivots],
            "OWN_AT": [pivots.index(k) for k in own],
            "OFFSET_AT": [self.free.index(k) for k in self.shift.table],
            "BOUND_AT": [self.free.index(k) for k in bounded],
            "PIVOT_BOUND": [next((self.free.index(b) for b in bounded if self._bounds(b, k)), -1) for k in pivots],
        }
        counted = ("imposed", "given", "tail", "constraint")
        return {
            "DISCRETE": self.discrete,
            "N_ACTIVE": len(self.active),
            "N_FREE": len(self.free),
            "N_PIVOTS": len(pivots),
            "N_OWN": len(own),
            "N_OFFSETS": len(self.shift.table),
            "N_BOUND": len(bounded),
            "N_LACKS": len(self._lacks()),
            "N_UNKNOWN": len(self.unknown),
            "N_NORMS": len(norms),
            "N_REPLICONS": len(self._replicons()),
            **{f"N_{name.upper()}": size for name, size in parameters.items() if name in counted},
            **{f"P_{name.upper()}": start for name, start in _starts(parameters, 1).items()},
            **{name: tuple(at) or (-1,) for name, at in places.items()},
            **{name.upper(): start for name, start in _starts(self.sections(), 0).items()},
            "RECORD": sum(self.sections().values()),
        }

    def _own_pivots(self) -> list[str]:
        return [k for k in self._free_pivots() if str(self.f.pivots[k].variance) in self.pivot_variances]

    def _replicons(self) -> dict[str, tuple[sp.Expr, sp.Expr]]:
        # an overlap that vanishes by symmetry has a replicon like any other; in a conditioned problem it is the reference's
        known = {*self.active, *(() if self.ansatz.reference else self.ansatz.zero_names().values())}
        return {r.overlap: (r.energetic, r.weights) for r in self.f.replicons.values() if r.overlap in known}

    def writers(self) -> list[KernelWriter]:
        """The functions of the module."""
        weights_pairs = [self._weights(self.f.weight_pairs[k]) for k in self.active]
        energetic_pairs = [self._left(self.f.energetic_pairs[k]) for k in self.active]
        energetic = [self._left(self.f.energetic), *energetic_pairs]
        weights = [self._weights(self.f.entropic), *weights_pairs]
        return [
            self._writer("energetic", self.energetic_parameters, energetic),
            self._writer(
                "energetic_jacobian",
                self.energetic_parameters,
                energetic + self._jacobian(energetic_pairs, self.active),
            ),
            self._writer("weights", self.weights_parameters, weights),
            *([self._writer("weights_lacks", self.weights_parameters, self._lacks())] if self._lacks() else []),
            self._writer("weights_jacobian", self.weights_parameters, weights + self._weights_jacobian(weights_pairs)),
            self._writer(
                "energetic_observables",
                self.energetic_parameters,
                [self._left(e) for e, _ in self._replicons().values()]
                + [self.definitions.total_derivative(energetic[0], sp.Symbol(c)) for c in self.constraint],
            ),
            self._writer(
                "weights_observables", self.weights_parameters, [self._left(w) for _, w in self._replicons().values()]
            ),
            self._writer(
                "interaction", self.all_parameters, [self.f.interaction, *(self.f.weight_of[k] for k in self.active)]
            ),
            self._writer("pivots", self.overlaps, self._pivots()),
            self._writer("origins", self.overlaps, list(self.shift.table.values())),
            *self._limit(),
            *self._sat_limit(),
            *self._multiplicities(),
            *self._covariance_error(),
        ]

    def observable(self, expr: sp.Expr, patterns: bool) -> KernelWriter:
        """The function of one average, over the patterns or over the weights."""
        parameters = self.energetic_parameters if patterns else self.weights_parameters
        return self._writer("observable", parameters, [self._left(expr)])

    def _covariance_error(self) -> list[KernelWriter]:
        """For every active overlap the derivative of the covariance and a bound of its error, and that of the variance."""
        if not self.covariance.has_error:
            return []
        outputs = [*self.covariance.errors(self.active), self.covariance.error(sp.Integer(0))]
        return [self._writer("covariance_error", self.overlaps, outputs)]

    def _limit(self) -> list[KernelWriter]:
        """The load at which the overlap reaches 1, and its derivatives in the constraint's parameters."""
        limit = limit_load(self.f)
        if limit is None:
            return []
        outputs = [limit, *(sp.diff(limit, sp.Symbol(c)) for c in self.constraint)]
        writers = [self._writer("limit_load", self.constraint, outputs)]
        replicon = limit_replicon(self.f)
        return writers if replicon is None else [*writers, self._writer("limit_replicon", self.constraint, [replicon])]

    @cached_property
    def _sat(self) -> SatLimit | None:
        return sat_limit(self.f)

    def _sat_meta(self) -> dict[str, object] | None:
        """The unknowns of the limit in which states shrink, and the symbols that tend to 1 and to 0."""
        if self._sat is None:
            return None
        return {
            "unknowns": list(self._sat.unknowns),
            "saturated": self._sat.saturated,
            "multiplicity": self._sat.multiplicity,
        }

    def _sat_limit(self) -> list[KernelWriter]:
        """Both terms of the limit in which states shrink, with gradients in its unknowns and in the margins."""
        if (limit := self._sat) is None:
            return []
        variables = [sp.Symbol(name) for name in limit.unknowns]
        left = {sp.Symbol(f"left_{k}"): 1 - sp.Symbol(k) for k in limit.unknowns[:-1]}
        inverse = {sp.Symbol(k): 1 - sp.Symbol(f"left_{k}") for k in limit.unknowns[:-1]}
        # what is left to 1, or what a covariance lacks to the variance of a field, stands in every denominator
        covariance = Conditioning(self.f, limit.unknowns[:-1], left)
        own = {s: e for s, e in covariance.definitions.items() if s not in limit.definitions}
        named = {s: covariance.definitions.get(s, covariance.through_gaps(e)) for s, e in limit.definitions.items()}
        named = {s: e if s in covariance.definitions else e.subs(inverse) for s, e in named.items()}
        chain = Definitions("", {**left, **own, **named})
        parts = [term.subs(inverse) for term in sp.Add.make_args(limit.entropic)]
        parts = [sp.cancel(p) if not p.has(sp.log) else p.replace(sp.log, lambda a: sp.log(sp.expand(a))) for p in parts]
        terms = [sp.Add(*parts), log_sums(canonical(limit.energetic))]
        outputs = list(terms)
        outputs += [chain.total_derivative(term, v) for term in terms for v in variables]
        outputs += [sp.diff(terms[1], sp.Symbol(c)) for c in self.constraint]
        if self.covariance.has_error:
            outputs += [self._covariance_response(chain, terms[1], k) for k in limit.unknowns[:-1]]
        parameters = [*limit.unknowns, *(symbol.name for symbol in left), *self.constraint]
        used = chain.used_by(*outputs)
        return [KernelWriter("sat_limit", parameters, {s: e for s, e in used.items() if s.name not in parameters}, outputs)]

    def _covariance_response(self, chain: Definitions, energetic: sp.Expr, name: str) -> sp.Expr:
        """The derivative in the covariance at an overlap, which its gap lacks."""
        covariance, gap = sp.Symbol(f"D_{name}"), sp.Symbol(f"gap_{name}")
        free = Definitions("", {s: e for s, e in chain.table.items() if s not in (covariance, gap)})
        return free.total_derivative(energetic, covariance) - free.total_derivative(energetic, gap)

    def _left(self, expr: sp.Expr) -> sp.Expr:
        """The expression through what the overlaps have left to 1, and their covariances to the variance."""
        for symbol, definition in self.remaining.items():
            expr = expr.subs(definition, symbol)
        return self.covariance.through_gaps(expr)

    def _weights(self, expr: sp.Expr) -> sp.Expr:
        """An expression of the weights; a determinant through pivots, as sums of positive terms over what is left."""
        if self.discrete:
            return expr
        return sp.Add(*(self._conditioned(term) for term in sp.Add.make_args(expr)))

    def _conditioned(self, term: sp.Expr) -> sp.Expr:
        if term.has(sp.log):
            return self._left(term)
        for symbol, definition in self.remaining.items():
            name = next(k for k in self._free_pivots() if symbol.name == f"left_{k}")
            pivot, q = self.f.pivots[name], sp.Symbol(name)
            numerator, denominator = sp.fraction(sp.together(term))
            inverse = sp.solve(definition - symbol, q)[0]
            denominator = sp.factor(denominator.subs(q, inverse))
            if isinstance(pivot.variance, sp.Symbol) and pivot.variance != q:
                numerator = sp.factor(sp.cancel(numerator.subs(q, pivot.explained + pivot.variance)))
            term = numerator / denominator
        return self.shift(term, *map(sp.Symbol, self.pivot_variances))

    def _weights_jacobian(self, pairs: list[sp.Expr]) -> list[sp.Expr]:
        if self.discrete:
            return self._jacobian(pairs, [conjugate(k) for k in self.active])
        return [self._total(pair, v) for pair in pairs for v in self.free]

    def _jacobian(self, exprs: list[sp.Expr], variables: list[str]) -> list[sp.Expr]:
        return [self.definitions.total_derivative(e, sp.Symbol(v)) for e in exprs for v in variables]

    def _pivots(self) -> list[sp.Expr]:
        """For every free pivot: explained variance, what is left, and the gradient of the former."""
        outputs = []
        for name in self._free_pivots():
            pivot = self.f.pivots[name]
            explained = self.shift(pivot.explained)
            outputs += [explained, self.shift(pivot.left)]
            outputs += [self._total(explained, v) for v in self.free]
        return outputs

    def _writer(self, name: str, parameters: list[str], outputs: list[sp.Expr]) -> KernelWriter:
        outputs = [self.covariance.near_one(sp.sympify(e)) for e in outputs]
        used = self.definitions.used_by(*outputs)
        table = {symbol: expr for symbol, expr in used.items() if symbol.name not in parameters}
        return KernelWriter(name, parameters, table, outputs, self.continued)


def _starts(sizes: Mapping[str, int], first: int) -> dict[str, int]:
    """Where sections of these sizes start, one after the other."""
    return dict(zip(sizes, accumulate(sizes.values(), initial=first), strict=False))
