r"""From expressions with averages to the source of a quadrature kernel.

A set of expressions becomes one loop nest.  Averages over the same variable share a loop, each with its own
accumulator; what depends on outer variables only is computed where it first can be.  The node rule is derived too:
an average over :math:`z \sim N(0, v)` is a trapezoid in :math:`t` after :math:`z = c + 2 w \sinh t`, with ``c`` and
``w`` the root and the width of the narrowest kink of the integrand (a special function's argument through zero; the
width is one over its slope, smeared by inner variables) and at most one standard deviation.  Tilts (powers of ``H``,
``2 cosh`` and exponentials in front of everything) join the Gaussian weight in one exponent, so that a ratio of tiny
numbers is never formed, and the range follows a tilt that moves the mass.

The printed source is plain Python: it also runs without a compiler.  Everything that it names is mangled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import sympy as sp

from replica.expr import (
    LOG_OF,
    H,
    Log2Cosh,
    LogH,
    Mills,
    MillsExcess,
    Step,
    TwoCosh,
    canonical,
    slope_and_rest,
)
from replica.limits.maximum import half_line
from replica.parts.levels import LogTrace, Moment, Trace
from replica.parts.noisy_losses import NOISY, Noisy
from replica.parts.pieces import SMOOTH, Pieces
from replica.passes import absorb, has_edges, linear_arguments
from saddle.kernels.centres import emit_centres, emit_node
from saddle.kernels.given_tails import conditioned, emit_conditioned
from saddle.kernels.imaginary import emit_imaginary_node, emit_imaginary_window
from saddle.kernels.kinks import emit_lightness, kinks_apart, shorten
from saddle.kernels.level_source import call_levels
from saddle.kernels.loss_source import call_noisy
from saddle.kernels.maximisers import at_maxima, emit_half_window
from saddle.kernels.maximising_fields import Problem, at_jumps, emit_listed, emit_listed_node, problem_of
from saddle.kernels.modes import Modes, Powers, arguments_of, powered
from saddle.kernels.piecewise import call_pieces
from saddle.kernels.python_text import text
from saddle.kernels.scales import unscaled
from saddle.kernels.scopes import Accumulators, Loop, Scope
from saddle.kernels.special_calls import call_special
from saddle.kernels.tilts import log_tilt, outermost_averages, split_tilts, tilts_as_exponentials

_GAUSSIAN_TAIL = (H, Mills, MillsExcess, LogH)
_ISING = (TwoCosh, Log2Cosh, sp.tanh)
_LEVELS = (Trace, LogTrace, Moment)
_FAMILIES = {H: _GAUSSIAN_TAIL, TwoCosh: _ISING, Trace: _LEVELS, Noisy: NOISY, Pieces: SMOOTH}
_CALLS: dict[type, Callable[..., dict[sp.Expr, sp.Symbol]]] = {Trace: call_levels, Noisy: call_noisy}
_FIELDS_AND_DATA: dict[type, int] = {Noisy: 4}
"""How many arguments say where a function is evaluated, for families with more than three."""
_NARROWEST = 0.1
"""What a negative variance may leave of that of a kink."""
_SHARPEST = 1e-15
"""Width in standard deviations below which a kink is a jump in double precision."""
_SPECIAL = (*_GAUSSIAN_TAIL, *_ISING, *_LEVELS, *NOISY, *SMOOTH)


class KernelWriter:
    """Writes one kernel function.

    Parameters
    ----------
    name : str
        Name of the function.
    parameters : sequence of str
        Names of the entries of its parameter array, in order.
    definitions : mapping
        Named subexpressions of the parameters, in order.
    outputs : sequence of sympy expressions
        What it writes into its output array, in order.
    continued : bool
        Averages of symbolic powers have negative variances: :mod:`saddle.kernels.imaginary`.
    """

    def __init__(
        self,
        name: str,
        parameters: Sequence[str],
        definitions: dict[sp.Symbol, sp.Expr],
        outputs: Sequence[sp.Expr],
        continued: bool = False,
    ) -> None:
        self.name, self.parameters, self.continued = name, list(parameters), continued
        self.imaginary: set[sp.Symbol] = set()
        self.outputs = [absorb(canonical(sp.sympify(e))) for e in outputs]
        self.definitions = definitions
        self.scopes = [Scope(0)]
        exprs = [*self.outputs, *definitions.values()]
        self.taken = {symbol.name for expr in exprs for symbol in expr.atoms(sp.Symbol)} | {*self.parameters}
        self.taken |= {symbol.name for symbol in definitions}
        self.counter = 0
        self.helpers: list[str] = []
        self.tables: dict[sp.Tuple, str] = {}
        self.maximisers: dict[tuple[sp.Expr, ...], str] = {}

    def source(self) -> str:
        """The source of the function ``name(p, S, C, origin, quarter_step, reach, out)`` and of those that it calls."""
        top = self.scopes[0]
        for index, parameter in enumerate(self.parameters):
            symbol = sp.Symbol(parameter)
            top.add(f"{text(symbol)} = p[{index}]")
            top.symbols.add(symbol)
        for symbol, definition in self.definitions.items():
            top.add(f"{text(symbol)} = {text(definition)}")
            top.symbols.add(symbol)
        self._emit_outputs()
        head = [
            *self.helpers,
            "",
            "",
            "@_compiled",
            f"def {self.name}(p, S, C, origin, quarter_step, reach, out):",
        ]
        return "\n".join(head + (top.lines or ["    return"])) + "\n"

    def _emit_outputs(self) -> None:
        for index, symbol in enumerate(self._values()):
            self.scopes[0].add(f"out[{index}] = {text(symbol)}")

    def _values(self) -> list[sp.Expr]:
        """The names of the outputs, after the statements that compute them."""
        outputs = at_jumps(self, at_maxima(self, self.outputs))
        found = self._loops(outputs)
        plain = []
        for output in outputs:
            rest, degree = unscaled(output.xreplace(found.names), found.scaled, found.shift)
            plain.append(tilts_as_exponentials(rest * sp.exp(degree * found.shift)))
        special = self._special(plain)
        return self._statements([expr.xreplace(special) for expr in plain])

    def function(self) -> str:
        """The source of ``name(*parameters)``, which returns the outputs; for expressions without averages."""
        self.scopes[0].symbols |= {sp.Symbol(parameter) for parameter in self.parameters}
        values = ", ".join(map(text, self._values()))
        arguments = ", ".join(text(sp.Symbol(parameter)) for parameter in self.parameters)
        lines = [f"def {self.name}({arguments}):", *self.scopes[0].lines, f"    return {values}"]
        return "\n\n\n@_compiled\n" + "\n".join(lines) + "\n"

    def fresh(self, hint: str) -> sp.Symbol:
        """A symbol that is neither the user's nor used before."""
        self.counter += 1
        while f"{hint}{self.counter}" in self.taken:
            self.counter += 1
        return sp.Symbol(f"{hint}{self.counter}")

    def _loops(self, exprs: Iterable[sp.Expr]) -> Accumulators:
        """Emit the loops that these expressions need; return the accumulator of every outermost average."""
        loops: dict[tuple[sp.Symbol, sp.Expr, bool, Powers, Problem], Loop] = {}
        for expr in exprs:
            for average in outermost_averages(expr):
                tilts, _ = split_tilts(average.body)
                powers = powered(tilts, average.variable)
                key = (average.variable, average.variance, half_line(average), powers, problem_of(average))
                loops.setdefault(key, Loop(*key)).averages.setdefault(average, self.fresh("acc"))
        shifts = {tag: loop for loop in loops.values() if (tag := self._emit_loop(loop)) and loop.powers}
        names = {average: name for loop in loops.values() for average, name in loop.averages.items()}
        scaled = {name for loop in shifts.values() for name in loop.averages.values()}
        return Accumulators(names, scaled, self._common_shift(shifts))

    def _common_shift(self, shifts: dict[str, Loop]) -> sp.Symbol:
        """The largest of the scales of several loops, with all their accumulators relative to it."""
        shift = self.fresh("shift")
        if not shifts:
            return shift
        scope, each = self.scopes[-1], [f"shift_{tag}" for tag in shifts]
        scope.symbols.add(shift)
        scope.add(f"{text(shift)} = {each[0] if len(each) == 1 else 'max(' + ', '.join(each) + ')'}")
        if len(each) > 1:
            for name, loop in zip(each, shifts.values(), strict=True):
                for accumulator in loop.averages.values():
                    scope.add(f"{text(accumulator)} *= math.exp({name} - {text(shift)})")
        return shift

    def define(self, expr: sp.Expr, hint: str) -> sp.Expr:
        """A name for an expression, assigned at the outermost depth where its symbols exist."""
        if expr.is_Atom:
            return expr
        for scope in self.scopes:
            if expr in scope.known:
                return scope.known[expr]
        scope = self.scope_of(expr)
        symbol = self.fresh(hint)
        scope.add(f"{text(symbol)} = {text(expr)}")
        scope.known[expr] = symbol
        scope.symbols.add(symbol)
        return symbol

    def scope_of(self, expr: sp.Expr) -> Scope:
        needed = set(expr.free_symbols)
        for scope in self.scopes:
            needed -= scope.symbols
            if not needed:
                return scope
        raise KeyError(f"{self.name} uses undefined symbols {sorted(s.name for s in needed)}")

    def _statements(self, exprs: list[sp.Expr]) -> list[sp.Expr]:
        """Common subexpressions and then the expressions, each assigned at its depth."""
        replacements, reduced = sp.cse(exprs, symbols=(self.fresh("x") for _ in iter(int, 1)), list=True)
        renamed: dict[sp.Symbol, sp.Expr] = {}
        for symbol, expr in replacements:
            renamed[symbol] = self.define(expr.xreplace(renamed), "x")
        return [self.define(expr.xreplace(renamed), "y") for expr in reduced]

    def _emit_loop(self, loop: Loop) -> str:
        z, tag = loop.variable, self.fresh("k").name
        outer = self.scopes[-1]
        bodies = {name: average.body.xreplace({Step(z): sp.Integer(1)}) for average, name in loop.averages.items()}
        several = not loop.half and not loop.problem and any(has_edges(body, z) for body in bodies.values())
        even = loop.even and not several
        if imaginary := self.continued and bool(loop.powers):
            even = emit_imaginary_window(self, loop, tag)
        elif loop.half:
            emit_half_window(self, loop, tag)
        elif loop.problem:
            emit_listed(self, loop, tag)
        elif several:
            emit_centres(self, loop, tag)
        else:
            self._emit_window(loop, tag, even)
        inner = Scope(len(self.scopes))
        self.scopes.append(inner)
        if imaginary:
            stretch = emit_imaginary_node(inner, text(z), tag)
        elif loop.half:
            inner.add(f"down_{tag} = C[i_{tag}] - S[i_{tag}]")
            inner.add(f"{text(z)} = sd_{tag} * math.exp((i_{tag} - origin) * quarter_step - down_{tag})")
            stretch = f"{text(z)} * (1.0 + down_{tag})"
        elif loop.problem:
            stretch = emit_listed_node(self, loop, tag)
        elif several:
            stretch = emit_node(inner, text(z), tag)
        else:
            inner.add(f"{text(z)} = centre_{tag} + span_{tag} * S[i_{tag}]")
            stretch = f"C[i_{tag}]"
        inner.symbols.add(z)
        self._emit_bodies(bodies, tag, loop, stretch, (f" - shift_{tag}" if loop.powers else "", even))
        self.scopes.pop()
        for name in bodies:
            outer.add(f"{text(name)} = 0.0")
        outer.add(f"for i_{tag} in range(first_{tag}, last_{tag} + 1, stride_{tag}):")
        outer.lines.extend(inner.lines)
        for name in bodies:
            outer.add(f"{text(name)} *= norm_{tag}")
            outer.symbols.add(name)
        return tag

    def _emit_bodies(
        self, bodies: dict[sp.Symbol, sp.Expr], tag: str, loop: Loop, stretch: str, scale: tuple[str, bool]
    ) -> None:
        """The statements of a loop; ``scale`` is what the exponent is relative to, and whether the node 0 counts half."""
        inner, (below, even), z, variance = self.scopes[-1], scale, loop.variable, loop.variance
        module, part = ("cmath", ".real") if z in self.imaginary else ("math", "")
        bodies = dict(zip(bodies, at_maxima(self, list(bodies.values())), strict=True))
        found = self._loops(bodies.values())
        stripped = {}
        for name, body in bodies.items():
            plain, degree = unscaled(body.xreplace(found.names), found.scaled, found.shift)
            tilts, rest = split_tilts(plain)
            stripped[name] = (tilts if degree == 0 else {**tilts, sp.exp(found.shift): degree}, rest)
        special = self._special([rest for _, rest in stripped.values()] + [t for ts, _ in stripped.values() for t in ts])
        groups: dict[tuple, list[sp.Symbol]] = {}
        for name, (tilts, _) in stripped.items():
            groups.setdefault(tuple(sorted(tilts.items(), key=str)), []).append(name)
        for powers, names in groups.items():
            exponent = sp.Add(*(power * log_tilt(tilt) for tilt, power in powers)).xreplace(special)
            exponent_name = self._statements([exponent])[0] if powers else sp.Integer(0)
            weight = self.fresh("weight")
            shift = f" + {text(exponent_name)}" if powers else ""
            line = f"{text(weight)} = {stretch} * {module}.exp(-{text(z)} * {text(z)} * half_{tag}{shift}{below})"
            tail = None if part or below else conditioned(powers, z, variance, self.definitions)
            if tail is None:
                inner.add(line)
            else:
                emit_conditioned(self, tail, tag, (text(weight), stretch, line))
            if even:
                inner.add(f"if i_{tag} == origin:")
                inner.add(f"    {text(weight)} *= 0.5")
            values = self._statements([stripped[name][1].xreplace(special) for name in names])
            for name, value in zip(names, values, strict=True):
                factor = "" if value == 1 else f" * {text(value)}"
                term = f"{text(weight)}{factor}"
                inner.add(f"{text(name)} += {f'({term}){part}' if part else term}")

    def _special(self, exprs: list[sp.Expr]) -> dict[sp.Expr, sp.Symbol]:
        """Emit one call per distinct argument of a special function; return the names of their values."""
        local = self.scopes[-1].symbols
        arguments: dict[tuple[type, sp.Tuple], set[tuple]] = {}
        for expr in exprs:
            for node in sorted(expr.atoms(*_SPECIAL), key=sp.default_sort_key):
                family: type = next(family for family, members in _FAMILIES.items() if isinstance(node, members))
                size = len(node.parameters) if family is Pieces else _FIELDS_AND_DATA.get(family, 3)
                place = sp.Tuple(*node.args[:size])
                wanted = (LOG_OF.get(node.func, node.func), *node.args[len(place) :])
                arguments.setdefault((family, place), set()).add(wanted)
        names: dict[sp.Expr, sp.Symbol] = {}
        for (family, place), used in sorted(arguments.items(), key=_inner_first):
            known = {k: v for scope in self.scopes for k, v in scope.special.get(place, {}).items()}
            if family is Pieces:
                names |= known or call_pieces(self, place, [self._linear(a, local) for a in place[: len(place) // 2]])
                continue
            if not used <= {(node.func, *node.args[len(place) :]) for node in known}:
                value = self.define(self._linear(place[0].xreplace(names), local), "a")
                known = _CALLS.get(family, call_special)(self, place, value, used)
            names |= known
        return names

    def _linear(self, argument: sp.Expr, local: set[sp.Symbol]) -> sp.Expr:
        """The argument as slope times variable plus rest, both hoisted."""
        variables = [s for s in argument.free_symbols if s in local and not s.name.startswith("acc")]
        if len(variables) != 1 or sp.diff(argument, variables[0]).has(variables[0]):
            return argument
        slope, rest = slope_and_rest(argument, variables[0])
        return self.define(slope, "b") * variables[0] + self.define(sp.factor_terms(rest), "a")

    def open_scope(self) -> Scope:
        """A block inside the present one."""
        self.scopes.append(Scope(len(self.scopes)))
        return self.scopes[-1]

    def close_scope(self, head: str) -> None:
        """The end of a block, whose statements follow its head in the one around it."""
        inner = self.scopes.pop()
        self.scopes[-1].add(head)
        self.scopes[-1].lines.extend(inner.lines)

    def written(self, exprs: Sequence[sp.Expr]) -> list[sp.Expr]:
        """The names of expressions without averages, after the statements that compute them."""
        exprs = [tilts_as_exponentials(canonical(e)) for e in exprs]
        special = self._special(exprs)
        return self._statements([e.xreplace(special) for e in exprs])

    def evaluate(self, exprs: Sequence[sp.Expr], symbol: sp.Symbol, deeper: int) -> tuple[list[str], list[str]]:
        """Lines of a block of its own that compute expressions of one symbol, and their source."""
        inner = Scope(self.scopes[-1].depth + deeper)
        inner.symbols.add(symbol)
        self.scopes.append(inner)
        found = self.written(exprs)
        self.scopes.pop()
        return inner.lines, [text(e) for e in found]

    def _emit_window(self, loop: Loop, tag: str, even: bool) -> None:
        """Centre, width and range of the nodes of a loop, as statements before it."""
        scope = self.scopes[-1]
        variance = self.emit_deviation(loop, tag)
        scope.add(f"bulk_{tag} = 0.0")
        kinks: dict[tuple, bool] = {}
        common: set[tuple[sp.Expr, sp.Expr]] | None = None
        for average in loop.averages:
            tilts = set()
            for slope, rest, spread, tilting, power in linear_arguments(average.body, loop.variable):
                # all roots of an even integrand are put into the middle
                place = sp.Integer(0) if even and power != 1 else sp.factor_terms(rest)
                key = (slope, place, tuple(spread), power)
                kinks[key] = kinks.get(key, False) or tilting
                tilts |= {key[:2]} if tilting else set()
            common = tilts if common is None else common & tilts
        modes, light, gathers = None, "", False
        if loop.powers:
            modes = Modes(tag, loop.powers, loop.variable, text(variance), scope, self.evaluate, log_tilt)
            modes.write()
        else:
            if gathers := any(kinks.values()):
                scope.add(f"spread_{tag} = sd_{tag}")
            for (slope, rest, *_), tilting in sorted(kinks.items(), key=str):
                if tilting:
                    self._emit_tilt(tag, slope, rest, variance)
            for line in (
                f"low_{tag} = min(bulk_{tag}, 0.0) - reach * sd_{tag}",
                f"high_{tag} = max(bulk_{tag}, 0.0) + reach * sd_{tag}",
                f"centre_{tag} = bulk_{tag}",
                f"width_{tag} = sd_{tag}",
            ):
                scope.add(line)
            light = emit_lightness(self, tag, sorted(common or (), key=str))
            if light and not even:
                shorten(self, tag, [average.body for average in loop.averages], loop.variable)
        edges = arguments_of(loop.powers, loop.variable)
        for slope, rest, spread, power in sorted(kinks, key=str):
            if (slope, rest) in edges:
                b, a = self.define(slope, "b"), self.define(rest, "a")
                assert modes is not None
                for line in modes.kink(text(b), text(a), text(edges[slope, rest])):
                    scope.add(line)
            else:
                self._emit_kink(tag, slope, rest, sp.Add(*spread), power, even, light)
        if gathers:
            scope.add(f"width_{tag} = gathered(centre_{tag}, width_{tag}, bulk_{tag}, spread_{tag})")
        finer = modes.strides() if modes else [] if even else kinks_apart(self, tag, kinks, light, gathers)
        names = ", ".join(f"{name}_{tag}" for name in ("low", "high", "centre", "span", "bulk", "sd"))
        for line in (
            f"span_{tag} = 2.0 * width_{tag}",
            f"fine_{tag} = 1.0",
            f"widest_{tag} = 4",
            *finer,
            f"first_{tag}, last_{tag}, stride_{tag}, norm_{tag} = window({names}, {text(variance)}, "
            f"fine_{tag}, widest_{tag}, origin, quarter_step)",
            *([f"first_{tag} = origin", f"norm_{tag} = 2.0 * norm_{tag}"] if even else []),
        ):
            scope.add(line)

    def emit_deviation(self, loop: Loop, tag: str) -> sp.Expr:
        """Variance and standard deviation of a loop; a variance too small to be inverted is none."""
        scope = self.scopes[-1]
        variance = self.define(loop.variance, "v")
        scope.add(f"half_{tag}, sd_{tag} = deviation({text(variance)})")
        scope.add(f"norm_{tag} = math.nan")
        return variance

    def _emit_tilt(self, tag: str, slope: sp.Expr, rest: sp.Expr, variance: sp.Expr) -> None:
        """Where a factor ``H(b z + a)`` moves the mass: where it is small it is a Gaussian, whose product has this mode."""
        scope = self.scopes[-1]
        b, a = self.define(slope, "b"), self.define(rest, "a")
        mass = f"bulk_{tag}, spread_{tag}"
        scope.add(f"{mass} = tilted({mass}, {text(a)}, {text(b)}, {text(variance)})")

    def _emit_kink(
        self, tag: str, slope: sp.Expr, rest: sp.Expr, spread: sp.Expr, power: sp.Expr, even: bool, light: str
    ) -> None:
        """The root of an argument and the width of its kink; both ends of the line see the middle of an even integrand."""
        scope = self.scopes[-1]
        b, a = self.define(slope, "b"), self.define(rest, "a")
        if power == 1:
            smear = f"math.sqrt(1.0 + {text(self.define(spread, 's'))})" if spread != 0 else "1.0"
        else:
            smear = f"{self.sharpened(spread, power)}"
        root = f"-{text(a)} / {text(b)}"
        lines = [
            f"root_{tag} = {'0.0' if even else root}",
            f"kink_{tag} = max({smear} / abs({text(b)}), {_SHARPEST} * sd_{tag})",
        ]
        here = f"centre_{tag}, width_{tag}"
        lines += [f"{here} = narrowed({here}, root_{tag}, kink_{tag}, low_{tag}, high_{tag}, {light or True})"]
        if not b.is_number:
            lines = [f"if {text(b)} != 0.0:", *("    " + line for line in lines)]
        for line in lines:
            scope.add(line)

    def sharpened(self, spread: sp.Expr, power: sp.Expr) -> str:
        """The width of a kink under an inner average of a power: a power above 1 makes it sharper than its mean."""
        s, p = text(self.define(spread, "s")), text(self.define(power, "p"))
        return f"math.sqrt({f'max(1.0 + {s}, {_NARROWEST})' if self.continued else f'1.0 + {s}'}) / max(1.0, {p})"


def _inner_first(item: tuple[tuple[type, sp.Tuple], set[tuple]]) -> tuple[bool, object]:
    """Sorts arguments so that those with special functions in them come after these."""
    argument = item[0][1][0]
    return argument.has(*_SPECIAL), sp.default_sort_key(item[0][1])
