r"""How a derivation's expressions are written: in pieces that a line may break between.

One traversal serves LaTeX and text: a :class:`Writer` decides the order of terms and factors, what goes into a fraction
and where a line may end; its subclasses (:mod:`replica.printing.looks`) say what each construct looks like.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache

import sympy as sp
from sympy.core.function import AppliedUndef

from replica.expr import Average, Delta, H, Log2Cosh, LogH, Mills, MillsExcess, Positive, SiteSum, Step, TwoCosh
from replica.limits.maximum import AtMaximum, Maximum
from replica.parts.hermite import PowerSeries
from replica.parts.levels import Trace
from replica.parts.noisy_losses import Noisy
from replica.parts.pieces import BARE, SMOOTH, edge_count
from replica.parts.pieces import Pieces as Smoothed
from replica.printing.level_words import LEVELS
from replica.printing.loss_words import LOSSES
from replica.printing.notation import Name, Notation
from replica.printing.piecewise_words import written_out

_TAILS = (H, LogH, Mills, MillsExcess)
SPECIAL_FORMS = (*_TAILS, TwoCosh, Log2Cosh, Step, Delta, sp.tanh, sp.exp, *SMOOTH, *BARE, *LEVELS, *LOSSES)


BINDERS = (Average, SiteSum, Maximum, AtMaximum)


@dataclass(frozen=True)
class Piece:
    """A part of a formula; a line may break before it if ``depth`` is given (how many brackets are open there).

    Half a bracket stands for the place between two factors, where a break is worse than between terms.
    """

    text: str
    depth: float | None = None


Pieces = list[Piece]
Key = tuple[sp.Expr, tuple[tuple[str, str], ...]]


def joined(pieces: Pieces) -> str:
    """The pieces on one line."""
    return "".join(piece.text for piece in pieces)


class Writer(ABC):
    """The common part of both looks.

    Parameters
    ----------
    notation : Notation
        Printed names.
    arguments : dict
        Names for arguments of special functions by :meth:`key`, to be written instead of them.
    """

    def __init__(self, notation: Notation, arguments: dict[Key, Name] | None = None) -> None:
        self.notation, self.arguments = notation, {} if arguments is None else arguments
        self.scope: dict[sp.Symbol, Name] = {}

    def key(self, argument: sp.Expr) -> Key:
        """What identifies an argument: its expression and the names of its variables at this place."""
        expanded = sp.expand(argument)
        return expanded, tuple(sorted((s.name, self.symbol(s).letter) for s in expanded.free_symbols))

    LOSS = "ℓ"

    # -- the traversal ------------------------------------------------------------------------------------------

    def line(self, expr: sp.Expr) -> str:
        """The expression on one line."""
        return joined(self.pieces(expr))

    def pieces(self, expr: sp.Expr, depth: int = 0) -> Pieces:
        """The expression in pieces."""
        if isinstance(expr, sp.Add):
            return self._sum(expr, depth)
        if isinstance(expr, Positive):
            return self.pieces(expr.args[0], depth)
        if isinstance(expr, BARE):
            return self._grouped(written_out(expr), depth)
        if isinstance(expr, Average):
            return self._average(expr, depth)
        if isinstance(expr, Maximum):
            cost = expr.variable**2 / (2 * expr.variance)
            return self._bracketed(self.maximum(self._bound_names(expr)), expr.body - cost, depth)
        if isinstance(expr, AtMaximum):
            *pieces, last = self._bracketed("", expr.value, depth)
            return [*pieces, Piece(last.text + self.at_maximum(self._bound_names(expr)), last.depth)]
        if isinstance(expr, SiteSum):
            front = self.site_sum(self.notation.name(expr.variable), expr.values)
            return [Piece(front, depth), *self._grouped(expr.body, depth)]
        if isinstance(expr, sp.log):
            inner = expr.args[0]
            if isinstance(inner, Average):
                return [Piece(self.word("ln"), depth), *_glued(self.pieces(inner, depth))]
            if inner.is_Integer or (isinstance(inner, AppliedUndef) or inner.is_Symbol):
                return [Piece(self.word("ln") + self.line(inner), depth)]
            return self._bracketed(self.word("ln"), inner, depth)
        if isinstance(expr, sp.Pow) and _breaks(expr.base) and not expr.exp.could_extract_minus_sign():
            return self._bracketed("", expr.base, depth, self._exponent(expr.exp))
        if isinstance(expr.as_base_exp()[0], SMOOTH) and not expr.as_base_exp()[1].could_extract_minus_sign():
            return self._between_edges(self._atom(expr), self.edges(expr.as_base_exp()[0]), depth)
        if isinstance(expr, sp.Mul) or (isinstance(expr, sp.Pow) and expr.exp.could_extract_minus_sign()):
            return self._product(expr, depth)
        return [Piece(self._atom(expr))]

    def _between_edges(self, whole: str, edges: list[str], depth: int) -> Pieces:
        """A function of several edges; a line may end between these if they are long."""
        row = ", ".join(edges)
        front, found, rest = whole.partition(row)
        if not found or not self.long(row * 2) or self.stretches(whole):
            return [Piece(whole)]
        inner = [Piece(f"{edge}," if more else edge, depth + 1) for edge, more in zip(edges, [*edges[1:], ""], strict=True)]
        inner = [Piece(front + inner[0].text), *(Piece(" " + p.text, p.depth) for p in inner[1:])]
        return [*inner[:-1], Piece(inner[-1].text + rest, inner[-1].depth)]

    def _bound_names(self, expr: Maximum | AtMaximum) -> list[Name]:
        """The variables that a maximum runs over."""
        return [self.symbol(s) for s in (expr.variable, *(expr.site[:1] if expr.site else ()))]

    def _sum(self, expr: sp.Expr, depth: int) -> Pieces:
        pieces: Pieces = []
        for term in self.terms(expr):
            negative = self._negative(term)
            sign = self.sign(negative, first=not pieces)
            if isinstance(term, sp.Mul):
                body = self._product(term, depth, signed=False)
            else:
                body = self._grouped(-term if negative else term, depth)
            pieces += [Piece(sign, depth if pieces else None), *_glued(body)] if sign else body
        return pieces

    def _grouped(self, expr: sp.Expr, depth: int) -> Pieces:
        return self._bracketed("", expr, depth) if isinstance(expr, sp.Add) else self.pieces(expr, depth)

    def _negative(self, term: sp.Expr) -> bool:
        return bool(self._factors(term)[0]) if isinstance(term, sp.Mul) else bool(term.is_number and term < 0)

    def terms(self, expr: sp.Expr) -> list[sp.Expr]:
        """The terms of a sum as a reader would collect and order them."""
        heavy = [term for term in expr.args if term.has(*BINDERS, sp.log, *SPECIAL_FORMS)]
        light = [term for term in expr.args if term not in heavy]
        plain = self._collected(sp.Add(*light)) if len(light) > 1 else light
        ordered = sorted([*plain, *heavy], key=self._place)
        interaction = expr.has(*self.notation.conjugates) and any(
            s.name in self.notation.overlaps for s in expr.free_symbols
        )
        if self._negative(ordered[0]) and not interaction and not expr.has(Average, LogH, Log2Cosh):
            ordered.sort(key=self._negative)
        return ordered

    def _collected(self, expr: sp.Expr) -> list[sp.Expr]:
        """The terms of a polynomial, by conjugate if it has any, else as few factors as a simple collection gives."""
        notation, free = self.notation, expr.free_symbols
        sites = [s for s in free if s in notation.sites]
        if sites:
            return list(sp.Add.make_args(sp.collect(sp.expand(expr), sites)))
        if any(s.name in notation.order for s in free):
            return list(expr.args)
        if conjugates := sorted((s for s in free if s in notation.conjugates), key=str):
            if all(expr.has(s) for s in notation.overlaps_of(conjugates)):
                parts = sp.collect(sp.expand(expr), conjugates, sp.factor, evaluate=False)
                return [symbol * part for symbol, part in parts.items()]
            return list(expr.args)
        if len(expr.args) < 3 or not expr.is_polynomial(*free):
            return list(expr.args)
        expanded = sp.expand(expr)
        overlaps = sorted((s for s in free if s.name in notation.overlaps), key=str)
        multiplicities = sorted((s for s in free if s.name in notation.multiplicities), key=str)
        choices = [_collect(expanded, tuple(s)) for s in (overlaps, multiplicities, *([o] for o in overlaps)) if s] or [
            expanded
        ]
        best = min((c for c in choices if isinstance(c, sp.Add)), key=lambda c: len(str(c)) + 3 * len(c.args))
        return list(best.args)

    def _place(self, term: sp.Expr) -> tuple[object, ...]:
        heavy = term.has(*BINDERS, sp.log)
        bound = {a.variable for a in term.atoms(Average, SiteSum)}
        ranks = sorted((self.notation.rank(s) for s in term.free_symbols - bound), reverse=True)
        single = 0 if term.is_number else 1
        return heavy, term.has(sp.Symbol("alpha")), single, ranks[:1] if not heavy else [], -_degree(term), str(term)

    def _product(self, expr: sp.Expr, depth: int, signed: bool = True) -> Pieces:
        negative, numerator, denominator, averages = self._factors(expr)
        pieces = [Piece(self.sign(True, first=True))] if negative and signed else []
        if denominator or numerator:
            pieces += self._quotient_in_pieces(numerator, denominator, depth, followed=bool(averages))
        for place, factor in enumerate(averages):
            inner = _glued(self._grouped(factor, depth)) if not pieces else self._grouped(factor, depth + 1)
            if pieces:
                # a prefactor stays with the first average, a second average may start a line
                between = depth + 0.5 if place else depth + 1 if depth else None
                inner = [Piece(self.space() + inner[0].text, between), *inner[1:]]
            pieces += inner
        return pieces

    def _quotient_in_pieces(self, above: list[sp.Expr], below: list[sp.Expr], depth: int, followed: bool) -> Pieces:
        """A fraction or a row of factors; a long sum among these stands behind the rest, so that lines may end in it."""
        whole = self._quotient(above, below) if below else self._row(above, followed=followed)
        sums = [f for f in above if isinstance(f, sp.Add)]
        if not sums or not self.long(whole):
            return [Piece(whole)]
        rest = [f for f in above if f is not sums[-1]]
        front = self.fraction(self._row(rest), self._row(below)) if below else self._row(rest, followed=True) if rest else ""
        bracketed = self._bracketed("", sums[-1], depth)
        if not front:
            return bracketed
        return [Piece(front), Piece(self.space() + bracketed[0].text, depth + 0.5), *bracketed[1:]]

    def _quotient(self, above: list[sp.Expr], below: list[sp.Expr]) -> str:
        exponents = {f.as_base_exp()[1] for f in (*above, *below)}
        if len(above) == len(below) == 1 and above[0].has(Average) and len(exponents) == 1 and exponents != {1}:
            quotient = self.fraction(self.line(above[0].as_base_exp()[0]), self.line(below[0].as_base_exp()[0]))
            return self.parenthesised(quotient) + self.power(self._exponent(exponents.pop()))
        return self.fraction(self._row(above), self._row(below))

    def _factors(self, expr: sp.Expr) -> tuple[bool, list[sp.Expr], list[sp.Expr], list[sp.Expr]]:
        """Sign, plain factors above and below the line, and what follows the fraction."""
        coefficient, rest = expr.as_coeff_Mul()
        parts = [part for factor in sp.Mul.make_args(rest) for part in self._split(factor)]
        coefficient *= sp.Mul(*(part for part in parts if part.is_Rational))
        factors = [part for part in parts if not part.is_Rational]
        negative, coefficient = bool(coefficient < 0), abs(coefficient)
        above: list[sp.Expr] = [sp.Integer(coefficient.p)] if coefficient.p != 1 else []
        below: list[sp.Expr] = [sp.Integer(coefficient.q)] if coefficient.q != 1 else []
        after: list[sp.Expr] = []
        quotient = any(f.has(Average) and f.as_base_exp()[1].could_extract_minus_sign() for f in factors)
        special_below = any(
            isinstance(f.as_base_exp()[0], SPECIAL_FORMS) and f.as_base_exp()[1].could_extract_minus_sign() for f in factors
        )
        for factor in factors:
            base, exponent = factor.as_base_exp()
            if isinstance(factor, sp.exp):
                base, exponent = factor, sp.Integer(1)
            if isinstance(base, sp.Add) and exponent.is_integer and self._reads_backwards(base, negative and exponent % 2):
                negative ^= bool(exponent % 2)
                base = -base
            if exponent.could_extract_minus_sign():
                below.append(base**-exponent)
            elif base.has(*BINDERS, sp.log):
                (above if quotient and base.has(Average) else after).append(base**exponent)
            elif isinstance(base, (*SPECIAL_FORMS, sp.Add)) and not special_below and _has_special(base):
                after.append(base**exponent)
            else:
                above.append(base**exponent)
        tilts = (H, TwoCosh, Trace, sp.exp, Smoothed, Noisy)
        after.sort(key=lambda f: (f.has(*BINDERS), not isinstance(f.as_base_exp()[0], tilts)))
        return negative, sorted(above, key=self._factor_place), sorted(below, key=self._factor_place), after

    def _split(self, factor: sp.Expr) -> tuple[sp.Expr, ...]:
        """A long polynomial in its factors, and fractions of multiplicities over one denominator."""
        base, exponent = factor.as_base_exp()
        if not isinstance(base, sp.Add) or base.has(*BINDERS, sp.log, *SPECIAL_FORMS):
            return (factor,)
        counts = {s.name for s in base.free_symbols} <= self.notation.multiplicities
        if counts or len(base.args) > 3:
            found = sp.Mul.make_args(_factored(base))
            if len(found) > 1 or found[0].is_Pow:
                return tuple(part**exponent for part in found)
        return (factor,)

    def _reads_backwards(self, base: sp.Expr, negative: bool) -> bool:
        """Whether a sum is better written with the opposite sign: ``q - 1`` as ``1 - q``."""
        if base.has(*BINDERS, sp.log):
            return False
        if not any(s.name in self.notation.overlaps for s in base.free_symbols):
            counts = {s.name for s in base.free_symbols} <= self.notation.multiplicities
            return bool(negative and counts and base.as_coeff_Add()[0] == 0)
        constant = base.as_coeff_Add()[0]
        below_zero = sum(term.could_extract_minus_sign() for term in base.args)
        excess = 2 * below_zero - len(base.args)
        return bool(constant < 0 or (constant == 0 and (excess > 0 or (excess == 0 and negative))))

    def _factor_place(self, factor: sp.Expr) -> tuple[object, ...]:
        base = factor.as_base_exp()[0] if not isinstance(factor, sp.exp) else factor
        kind = 0 if base.is_number else 1 if isinstance(base, sp.Symbol) else 3 if _has_special(base) else 2
        rank = self.notation.rank(base) if isinstance(base, sp.Symbol) else (0, 0, "")
        hat = isinstance(base, sp.Symbol) and self.notation.name(base).hat
        return kind, base.name != "alpha" if isinstance(base, sp.Symbol) else True, hat, rank, str(factor)

    def _row(self, factors: list[sp.Expr], followed: bool = False) -> str:
        """Factors side by side, roots under one root sign; ``followed`` by others."""
        if not factors:
            return "1"
        roots = [
            f.base for f in factors if isinstance(f, sp.Pow) and f.exp == sp.Rational(1, 2) and not self._is_square(f.base)
        ]
        rest = [f for f in factors if not (isinstance(f, sp.Pow) and f.base in roots and f.exp == sp.Rational(1, 2))]
        alone = len(rest) + bool(roots) == 1 and not followed
        texts = [self.line(f) if alone else self._factor(f) for f in rest]
        if roots:
            texts.append(self.root(self.line(roots[0]) if len(roots) == 1 else "".join(map(self._factor, roots))))
        return self.product(texts)

    def _factor(self, expr: sp.Expr) -> str:
        text = joined(self._grouped(expr, 1))
        return self.parenthesised(text) if isinstance(expr, SiteSum) else text

    def _is_square(self, expr: sp.Expr) -> bool:
        return isinstance(expr, sp.Symbol) and self.notation.name(expr).squared

    def _average(self, expr: Average, depth: int) -> Pieces:
        name = self.notation.variable(expr.variable, expr.variance)
        outer = self.scope.get(expr.variable)
        self.scope[expr.variable] = name
        body = self._bracketed(self.expectation(name), expr.body, depth)
        if outer is None:
            del self.scope[expr.variable]
        else:
            self.scope[expr.variable] = outer
        return body

    def _bracketed(self, before: str, body: sp.Expr, depth: int, power: str = "") -> Pieces:
        inner = self.pieces(body, depth + 1)
        left, right = self.brackets(joined(inner), round_=not before or before == self.word("ln"))
        first, *rest = _glued(inner)
        pieces = [Piece(before + left + first.text, depth), *rest]
        last = pieces.pop()
        return [*pieces, Piece(last.text + right + (self.power(power) if power else ""), last.depth)]

    def symbol(self, symbol: sp.Expr) -> Name:
        """The printed name of a symbol at this place, or of a function that hides its variables."""
        if isinstance(symbol, AppliedUndef):
            return self.notation.names[symbol.func.__name__]
        return self.scope.get(symbol) or self.notation.name(symbol)

    def _atom(self, expr: sp.Expr) -> str:
        if isinstance(expr, (sp.Symbol, AppliedUndef)):
            return self.named(self.symbol(expr), "")
        if isinstance(expr, sp.Rational) and expr.q != 1:
            return self.fraction(str(expr.p), str(expr.q))
        if isinstance(expr, sp.exp):
            minus = self.arguments.get(self.key(-expr.args[0]))
            return self.exponential(self.argument(expr)[0] if minus is None else f"-{self.named(minus, '')}")
        if isinstance(expr, SPECIAL_FORMS):
            return self._function(expr, "")
        if isinstance(expr, sp.Pow):
            return self._power(expr.base, expr.exp)
        if expr == sp.pi:
            return self.named(Name("pi"), "")
        if isinstance(expr, sp.asin):
            return f"{self.word('arcsin').strip()}({self.line(expr.args[0])})"
        if isinstance(expr, PowerSeries):
            return f"{self.named(Name('Delta', 'g', primes=expr.order), '')}({self.line(expr.args[0])})"
        return str(expr)

    def _power(self, base: sp.Expr, exponent: sp.Expr) -> str:
        if self._is_square(base) and (2 * exponent).is_Integer:
            return self.named(self.symbol(base), str(2 * exponent) if exponent != sp.Rational(1, 2) else "1")
        if exponent == sp.Rational(1, 2):
            return self.root(self.line(base))
        power = self._exponent(exponent)
        if isinstance(base, (sp.Symbol, AppliedUndef)):
            return self.named(self.symbol(base), power)
        if base.is_Integer and base > 0:
            return str(base) + self.power(power)
        if isinstance(base, SPECIAL_FORMS):
            return self._function(base, power)
        return self.parenthesised(self.line(base)) + self.power(power)

    def _exponent(self, exponent: sp.Expr) -> str:
        above, below = exponent.as_numer_denom()
        if below == 1:
            return self.line(exponent)
        return (self.parenthesised(self.line(above)) if above.is_Add else self.line(above)) + "/" + self.line(below)

    def argument(self, expr: sp.Expr, place: int = 0) -> tuple[str, bool]:
        """What is written for an argument of a special function, and whether it is a single symbol."""
        argument = expr.args[place]
        if (name := self.arguments.get(self.key(argument))) is not None:
            return self.named(name, ""), True
        return self.line(argument), argument.is_Symbol

    def edges(self, expr: sp.Expr) -> list[str]:
        """What is written for the edges of a piecewise constant factor."""
        return [self.argument(expr, place)[0] for place in range(edge_count(expr))]

    # -- the looks ----------------------------------------------------------------------------------------------

    @abstractmethod
    def named(self, name: Name, power: str) -> str:
        """A symbol to a power."""

    @abstractmethod
    def long(self, text: str) -> bool:
        """Whether a text takes most of a line."""

    @abstractmethod
    def stretches(self, text: str) -> bool:
        """Whether a text has brackets that no line may end between."""

    @abstractmethod
    def word(self, word: str) -> str:
        """The name of a function in front of its argument."""

    @abstractmethod
    def sign(self, negative: bool, first: bool) -> str:
        """A sign between terms, or in front of the first one."""

    @abstractmethod
    def space(self) -> str:
        """What stands between factors."""

    @abstractmethod
    def product(self, factors: list[str]) -> str:
        """Factors side by side."""

    @abstractmethod
    def fraction(self, above: str, below: str) -> str:
        """A fraction."""

    @abstractmethod
    def root(self, inner: str) -> str:
        """A square root."""

    @abstractmethod
    def power(self, power: str) -> str:
        """An exponent."""

    @abstractmethod
    def exponential(self, argument: str) -> str:
        """The exponential function."""

    @abstractmethod
    def parenthesised(self, inner: str) -> str:
        """Parentheses that grow with their content."""

    @abstractmethod
    def brackets(self, inner: str, round_: bool = False) -> tuple[str, str]:
        """Brackets of a size for this content, between which a line may break."""

    @abstractmethod
    def expectation(self, name: Name) -> str:
        """The sign of a Gaussian average."""

    @abstractmethod
    def maximum(self, names: list[Name]) -> str:
        """The sign of a maximum over these variables."""

    @abstractmethod
    def at_maximum(self, names: list[Name]) -> str:
        """What says that these variables have their maximising values."""

    @abstractmethod
    def site_sum(self, name: Name, values: sp.Tuple) -> str:
        """The sign of a sum over a weight."""

    @abstractmethod
    def _function(self, expr: sp.Expr, power: str) -> str:
        """A special function to a power."""


def _glued(pieces: Pieces) -> Pieces:
    """The pieces with no break before the first one."""
    return [Piece(pieces[0].text), *pieces[1:]] if pieces else pieces


def _breaks(base: sp.Expr) -> bool:
    """Whether a line may end inside the base of a power."""
    return isinstance(base, Average) or (isinstance(base, sp.Add) and base.has(Average, *SPECIAL_FORMS))


def _degree(term: sp.Expr) -> int:
    return sum(1 for s in term.free_symbols) if not term.has(Average) else 0


def _has_special(expr: sp.Expr) -> bool:
    return bool(expr.has(*SPECIAL_FORMS))


@lru_cache(maxsize=4096)
def _factored(expr: sp.Expr) -> sp.Expr:
    return sp.factor(expr)


@lru_cache(maxsize=4096)
def _collect(expr: sp.Expr, symbols: tuple[sp.Symbol, ...]) -> sp.Expr:
    return sp.collect(expr, symbols, sp.factor)
