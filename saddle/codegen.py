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

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import sympy as sp
from sympy.printing.pycode import PythonCodePrinter

from replica.expr import Average, H, Log2Cosh, LogH, Mills, MillsExcess, TwoCosh, canonical, slope_and_rest
from replica.passes import TILTS, absorb, linear_arguments

_GAUSSIAN_TAIL = (H, Mills, MillsExcess, LogH)
_ISING = (TwoCosh, Log2Cosh, sp.tanh)
_SHARPEST = 1e-15
"""Width in standard deviations below which a kink is a jump in double precision."""
_STRIDES = ((8.0, 1), (3.4, 2), (1.2, 3))
"""Strides through a table of quarter steps, by the distance in standard deviations of the centre from the bulk.  Off
the real axis by an angle ``a`` the weight around a centre at distance ``c`` grows like exp(c^2/2 sin^2 a / cos 2a), so
that a given accuracy needs a smaller step the farther the centre is: these keep the error of a centre at 0."""
_NO_VARIANCE = 1e-280
"""Variance below which a variable is fixed (its inverse would overflow)."""
_LOG_OF = {H: LogH, TwoCosh: Log2Cosh}


@dataclass
class Loop:
    """Averages over one variable: their bodies, each with the name of its accumulator."""

    variable: sp.Symbol
    variance: sp.Expr
    averages: dict[Average, sp.Symbol] = field(default_factory=dict)


class _Printer(PythonCodePrinter):
    """Arithmetic with cheap integer and half-integer powers."""

    def _print_Pow(self, expr: sp.Expr, rational: bool = False, sqrt: str = "math.sqrt") -> str:
        base, exponent = expr.as_base_exp()
        text = self.parenthesize(base, 100)
        if exponent.is_Integer and 1 < abs(exponent) <= 6:
            power = "*".join([text] * abs(int(exponent)))
            return f"({power})" if exponent > 0 else f"(1.0/({power}))"
        if exponent == -1:
            return f"(1.0/{text})"
        if exponent == sp.Rational(1, 2):
            return f"math.sqrt({self._print(base)})"
        if exponent.is_Rational and exponent.q == 2:
            root, n = f"math.sqrt({self._print(base)})", (exponent.p - (1 if exponent.p > 0 else -1)) // 2
            power = "*".join([root, *([text] * abs(n))])
            return f"({power})" if exponent > 0 else f"(1.0/({power}))"
        return f"{text}**({self._print(exponent)})"

    def _print_Rational(self, expr: sp.Rational) -> str:
        return f"({expr.p}.0/{expr.q}.0)"

    def _print_Integer(self, expr: sp.Integer) -> str:
        return f"{int(expr)}.0"

    def _print_exp(self, expr: sp.exp) -> str:
        return f"math.exp({self._print(expr.args[0])})"

    def _print_Symbol(self, expr: sp.Symbol) -> str:
        return f"_{expr.name}"

    _print_Dummy = _print_Symbol


_PRINTER = _Printer({"fully_qualified_modules": True})


def text(expr: sp.Expr) -> str:
    """Python source of an expression without averages."""
    return str(_PRINTER.doprint(expr))


class Scope:
    """Statements at one loop depth, and which symbols can be used there."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.lines: list[str] = []
        self.known: dict[sp.Expr, sp.Symbol] = {}
        self.special: dict[sp.Expr, dict[sp.Expr, sp.Symbol]] = {}
        self.symbols: set[sp.Symbol] = set()

    def add(self, line: str) -> None:
        self.lines.append("    " * (self.depth + 1) + line)


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
    """

    def __init__(
        self,
        name: str,
        parameters: Sequence[str],
        definitions: dict[sp.Symbol, sp.Expr],
        outputs: Sequence[sp.Expr],
    ) -> None:
        self.name, self.parameters = name, list(parameters)
        self.outputs = [absorb(canonical(sp.sympify(e))) for e in outputs]
        self.definitions = definitions
        self.scopes = [Scope(0)]
        exprs = [*self.outputs, *definitions.values()]
        self.taken = {symbol.name for expr in exprs for symbol in expr.atoms(sp.Symbol)} | {*self.parameters}
        self.taken |= {symbol.name for symbol in definitions}
        self.counter = 0

    def source(self) -> str:
        """The source of the function ``name(p, S, C, origin, quarter_step, reach, out)``."""
        top = self.scopes[0]
        for index, parameter in enumerate(self.parameters):
            symbol = sp.Symbol(parameter)
            top.add(f"{text(symbol)} = p[{index}]")
            top.symbols.add(symbol)
        for symbol, definition in self.definitions.items():
            top.add(f"{text(symbol)} = {text(definition)}")
            top.symbols.add(symbol)
        self._emit_outputs()
        loops = any(expr.has(Average, *_GAUSSIAN_TAIL, *_ISING) for expr in self.outputs)
        head = [
            "",
            "",
            *(["@_compiled"] if loops else []),
            f"def {self.name}(p, S, C, origin, quarter_step, reach, out):",
        ]
        return "\n".join(head + top.lines) + "\n"

    def _emit_outputs(self) -> None:
        names = self._loops(self.outputs)
        plain = [_tilts_as_exponentials(output.xreplace(names)) for output in self.outputs]
        special = self._special(plain)
        for index, symbol in enumerate(self._statements([expr.xreplace(special) for expr in plain])):
            self.scopes[0].add(f"out[{index}] = {text(symbol)}")

    def _fresh(self, hint: str) -> sp.Symbol:
        """A symbol that is neither the user's nor used before."""
        self.counter += 1
        while f"{hint}{self.counter}" in self.taken:
            self.counter += 1
        return sp.Symbol(f"{hint}{self.counter}")

    def _loops(self, exprs: Iterable[sp.Expr]) -> dict[sp.Expr, sp.Symbol]:
        """Emit the loops that these expressions need; return the accumulator of every outermost average."""
        loops: dict[tuple[sp.Symbol, sp.Expr], Loop] = {}
        for expr in exprs:
            for average in outermost_averages(expr):
                loop = loops.setdefault(
                    (average.variable, average.variance), Loop(average.variable, average.variance)
                )
                loop.averages.setdefault(average, self._fresh("acc"))
        for loop in loops.values():
            self._emit_loop(loop)
        return {average: name for loop in loops.values() for average, name in loop.averages.items()}

    def _define(self, expr: sp.Expr, hint: str) -> sp.Expr:
        """A name for an expression, assigned at the outermost depth where its symbols exist."""
        if expr.is_Atom:
            return expr
        for scope in self.scopes:
            if expr in scope.known:
                return scope.known[expr]
        scope = self._scope_of(expr)
        symbol = self._fresh(hint)
        scope.add(f"{text(symbol)} = {text(expr)}")
        scope.known[expr] = symbol
        scope.symbols.add(symbol)
        return symbol

    def _scope_of(self, expr: sp.Expr) -> Scope:
        needed = set(expr.free_symbols)
        for scope in self.scopes:
            needed -= scope.symbols
            if not needed:
                return scope
        raise KeyError(f"{self.name} uses undefined symbols {sorted(s.name for s in needed)}")

    def _statements(self, exprs: list[sp.Expr]) -> list[sp.Expr]:
        """Common subexpressions and then the expressions, each assigned at its depth."""
        replacements, reduced = sp.cse(exprs, symbols=(self._fresh("x") for _ in iter(int, 1)), list=True)
        renamed: dict[sp.Symbol, sp.Expr] = {}
        for symbol, expr in replacements:
            renamed[symbol] = self._define(expr.xreplace(renamed), "x")
        return [self._define(expr.xreplace(renamed), "y") for expr in reduced]

    def _emit_loop(self, loop: Loop) -> None:
        z, tag = loop.variable, self._fresh("k").name
        outer = self.scopes[-1]
        bodies = {name: average.body for average, name in loop.averages.items()}
        self._emit_window(loop, tag)
        inner = Scope(len(self.scopes))
        self.scopes.append(inner)
        inner.add(f"{text(z)} = centre_{tag} + span_{tag} * S[i_{tag}]")
        inner.symbols.add(z)
        self._emit_bodies(bodies, tag, z)
        self.scopes.pop()
        for name in bodies:
            outer.add(f"{text(name)} = 0.0")
        outer.add(f"for i_{tag} in range(first_{tag}, last_{tag} + 1, stride_{tag}):")
        outer.lines.extend(inner.lines)
        for name in bodies:
            outer.add(f"{text(name)} *= norm_{tag}")
            outer.symbols.add(name)

    def _emit_bodies(self, bodies: dict[sp.Symbol, sp.Expr], tag: str, z: sp.Symbol) -> None:
        inner = self.scopes[-1]
        accumulators = self._loops(bodies.values())
        plain = {name: body.xreplace(accumulators) for name, body in bodies.items()}
        stripped = {name: split_tilts(body) for name, body in plain.items()}
        special = self._special([rest for _, rest in stripped.values()] + [t for ts, _ in stripped.values() for t in ts])
        groups: dict[tuple, list[sp.Symbol]] = {}
        for name, (tilts, _) in stripped.items():
            groups.setdefault(tuple(sorted(tilts.items(), key=str)), []).append(name)
        for powers, names in groups.items():
            exponent = sp.Add(*(power * log_tilt(tilt) for tilt, power in powers)).xreplace(special)
            exponent_name = self._statements([exponent])[0] if powers else sp.Integer(0)
            weight = self._fresh("weight")
            shift = f" + {text(exponent_name)}" if powers else ""
            inner.add(f"{text(weight)} = C[i_{tag}] * math.exp(-{text(z)} * {text(z)} * half_{tag}{shift})")
            values = self._statements([stripped[name][1].xreplace(special) for name in names])
            for name, value in zip(names, values, strict=True):
                factor = "" if value == 1 else f" * {text(value)}"
                inner.add(f"{text(name)} += {text(weight)}{factor}")

    def _special(self, exprs: list[sp.Expr]) -> dict[sp.Expr, sp.Symbol]:
        """Emit one call per distinct argument of a special function; return the names of their values."""
        local = self.scopes[-1].symbols
        arguments: dict[tuple[type, sp.Expr], set[type]] = {}
        for expr in exprs:
            for node in sorted(expr.atoms(*_GAUSSIAN_TAIL, *_ISING), key=sp.default_sort_key):
                family: type = H if isinstance(node, _GAUSSIAN_TAIL) else TwoCosh
                arguments.setdefault((family, node.args[0]), set()).add(_LOG_OF.get(node.func, node.func))
        names: dict[sp.Expr, sp.Symbol] = {}
        for (family, argument), used in sorted(arguments.items(), key=lambda item: sp.default_sort_key(item[0][1])):
            known = {k: v for scope in self.scopes for k, v in scope.special.get(argument, {}).items()}
            if not used <= {node.func for node in known}:
                value = self._define(self._linear(argument, local), "a")
                known = self._call(family, argument, value, used)
            names |= known
        return names

    def _linear(self, argument: sp.Expr, local: set[sp.Symbol]) -> sp.Expr:
        """The argument as slope times variable plus rest, both hoisted."""
        variables = [s for s in argument.free_symbols if s in local and not s.name.startswith("acc")]
        if len(variables) != 1:
            return argument
        slope, rest = slope_and_rest(argument, variables[0])
        return self._define(slope, "b") * variables[0] + self._define(sp.factor_terms(rest), "a")

    def _call(self, family: type, argument: sp.Expr, value: sp.Expr, used: set[type]) -> dict[sp.Expr, sp.Symbol]:
        scope = self._scope_of(value)
        if family is TwoCosh:
            names = [self._fresh("logc"), self._fresh("tanh")]
            scope.add(f"{', '.join(map(text, names))} = log2cosh_tanh({text(value)})")
            values: dict[sp.Expr, sp.Symbol] = {Log2Cosh(argument): names[0], sp.tanh(argument): names[1]}
        elif LogH in used:
            names = [self._fresh("logh"), self._fresh("mills"), self._fresh("excess")]
            scope.add(f"{', '.join(map(text, names))} = log_h_mills_excess({text(value)})")
            values = {LogH(argument): names[0], Mills(argument): names[1], MillsExcess(argument): names[2]}
        else:
            names = [self._fresh("mills"), self._fresh("excess")]
            scope.add(f"{', '.join(map(text, names))} = mills_and_excess({text(value)})")
            values = {Mills(argument): names[0], MillsExcess(argument): names[1]}
        scope.symbols.update(names)
        scope.special[argument] = values
        return values

    def _emit_window(self, loop: Loop, tag: str) -> None:
        """Centre, width and range of the nodes of a loop, as statements before it."""
        scope = self.scopes[-1]
        variance = self._define(loop.variance, "v")
        lines = [
            f"half_{tag} = 0.0",
            f"sd_{tag} = 0.0",
            f"norm_{tag} = math.nan",
            f"if {text(variance)} > {_NO_VARIANCE}:",
            f"    half_{tag} = 0.5 / {text(variance)}",
            f"    sd_{tag} = math.sqrt({text(variance)})",
            f"bulk_{tag} = 0.0",
        ]
        for line in lines:
            scope.add(line)
        kinks: dict[tuple, bool] = {}
        for average in loop.averages:
            for slope, rest, spread, tilting in linear_arguments(average.body, loop.variable):
                key = (slope, sp.factor_terms(rest), tuple(spread))
                kinks[key] = kinks.get(key, False) or tilting
        for (slope, rest, _), tilting in sorted(kinks.items(), key=str):
            if tilting:
                self._emit_tilt(tag, slope, rest, variance)
        for line in (
            f"low_{tag} = min(bulk_{tag}, 0.0) - reach * sd_{tag}",
            f"high_{tag} = max(bulk_{tag}, 0.0) + reach * sd_{tag}",
            f"centre_{tag} = bulk_{tag}",
            f"width_{tag} = sd_{tag}",
        ):
            scope.add(line)
        for slope, rest, spread in sorted(kinks, key=str):
            self._emit_kink(tag, slope, rest, sp.Add(*spread))
        for line in (
            f"span_{tag} = 2.0 * width_{tag}",
            f"first_{tag} = origin",
            f"last_{tag} = origin",
            f"stride_{tag} = 4",
            f"if span_{tag} > 0.0:",
            *(
                line
                for i, (far, stride) in enumerate(_STRIDES)
                for line in (
                    f"    {'el' if i else ''}if abs(centre_{tag} - bulk_{tag}) > {far} * sd_{tag}:",
                    f"        stride_{tag} = {stride}",
                )
            ),
            f"    mesh_{tag} = stride_{tag} * quarter_step",
            f"    lowest_{tag} = math.asinh((low_{tag} - centre_{tag}) / span_{tag}) / mesh_{tag}",
            f"    highest_{tag} = math.asinh((high_{tag} - centre_{tag}) / span_{tag}) / mesh_{tag}",
            f"    first_{tag} = origin + stride_{tag} * math.ceil(lowest_{tag})",
            f"    last_{tag} = origin + stride_{tag} * math.floor(highest_{tag})",
            f"    norm_{tag} = span_{tag} * mesh_{tag} / (2.5066282746310002 * sd_{tag})",
            f"elif {text(variance)} >= 0.0:",
            f"    norm_{tag} = 1.0",
        ):
            scope.add(line)

    def _emit_tilt(self, tag: str, slope: sp.Expr, rest: sp.Expr, variance: sp.Expr) -> None:
        """Where a factor ``H(b z + a)`` moves the mass: where it is small it is a Gaussian, whose product has this mode."""
        scope = self.scopes[-1]
        b, a = self._define(slope, "b"), self._define(rest, "a")
        scope.add(f"if {text(a)} > 0.0:")
        scope.add(f"    gain_{tag} = {text(b)} * {text(variance)}")
        scope.add(f"    mode_{tag} = -{text(a)} * gain_{tag} / (1.0 + {text(b)} * gain_{tag})")
        scope.add(f"    if abs(mode_{tag}) > abs(bulk_{tag}):")
        scope.add(f"        bulk_{tag} = mode_{tag}")

    def _emit_kink(self, tag: str, slope: sp.Expr, rest: sp.Expr, spread: sp.Expr) -> None:
        scope = self.scopes[-1]
        b, a = self._define(slope, "b"), self._define(rest, "a")
        smear = f"math.sqrt(1.0 + {text(self._define(spread, 's'))})" if spread != 0 else "1.0"
        lines = [
            f"root_{tag} = -{text(a)} / {text(b)}",
            f"kink_{tag} = max({smear} / abs({text(b)}), {_SHARPEST} * sd_{tag})",
        ]
        lines += [
            f"if kink_{tag} < width_{tag} and low_{tag} < root_{tag} < high_{tag}:",
            f"    centre_{tag} = root_{tag}",
            f"    width_{tag} = kink_{tag}",
        ]
        if not b.is_number:
            lines = [f"if {text(b)} != 0.0:", *("    " + line for line in lines)]
        for line in lines:
            scope.add(line)


def outermost_averages(expr: sp.Expr) -> list[Average]:
    """The averages that no other average contains."""
    if isinstance(expr, Average):
        return [expr]
    found: dict[Average, None] = {}
    for arg in expr.args:
        found.update(dict.fromkeys(outermost_averages(arg)))
    return list(found)


def log_tilt(tilt: sp.Expr) -> sp.Expr:
    """The logarithm of a tilt."""
    if isinstance(tilt, H):
        return LogH(tilt.args[0])
    if isinstance(tilt, TwoCosh):
        return Log2Cosh(tilt.args[0])
    return tilt.args[0]


def split_tilts(body: sp.Expr) -> tuple[dict[sp.Expr, sp.Expr], sp.Expr]:
    """``(powers, rest)``: the tilts in front of the whole body with their powers, and what they multiply.

    A tilt that does not multiply every term with the same power stays in the rest, as an exponential.
    """
    powers: dict[sp.Expr, sp.Expr] = {}
    for tilt in sorted(body.atoms(*TILTS), key=sp.default_sort_key):
        power = _degree(body, tilt)
        if power is not None and power != 0:
            powers[tilt] = power
            body = body.xreplace({tilt: sp.Integer(1)})
            body = body.doit() if not body.has(Average) else body
    return powers, _tilts_as_exponentials(body)


def _tilts_as_exponentials(expr: sp.Expr) -> sp.Expr:
    """``H`` and ``2 cosh`` through their logarithms, which is what the special functions return."""
    return expr.xreplace({tilt: sp.exp(log_tilt(tilt), evaluate=False) for tilt in expr.atoms(H, TwoCosh)})


def _degree(expr: sp.Expr, tilt: sp.Expr) -> sp.Expr | None:
    """The degree in ``tilt`` if the expression is homogeneous in it."""
    if expr == tilt:
        return sp.Integer(1)
    if not expr.has(tilt):
        return sp.Integer(0)
    if isinstance(expr, sp.Mul):
        degrees = [_degree(arg, tilt) for arg in expr.args]
        return None if None in degrees else sp.Add(*degrees)
    if isinstance(expr, sp.Pow):
        base = _degree(expr.base, tilt)
        return None if base is None or expr.exp.has(tilt) else base * expr.exp
    if isinstance(expr, sp.Add):
        degrees = [_degree(arg, tilt) for arg in expr.args]
        return degrees[0] if None not in degrees and len(set(degrees)) == 1 else None
    return None
