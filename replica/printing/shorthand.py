r"""Letters for what is long and comes again: arguments of special functions, norms of tilted averages, determinants.

An argument gets a letter of its side (:math:`a, b, \dots` for the fields, :math:`f, g` for the weights).  What a tilted
average is divided by, one average or a sum of them, is :math:`Z` with the innermost variable as index; a polynomial of
the overlaps that stands below a line is :math:`D`.
"""

from __future__ import annotations

from collections.abc import Iterable

import sympy as sp

from replica.expr import SPECIAL, Average, Log2Cosh, LogH, arguments
from replica.parts.pieces import SMOOTH, Edge, EdgeExcess, LogPieces
from replica.printing.notation import Name, Notation
from replica.printing.writing import Key, Writer

Found = dict[Key, tuple[bool, str, sp.Expr]]


class Shorthand:
    """The letters given so far.

    Parameters
    ----------
    notation : Notation
        Printed names; a new letter is none of these.
    writer : Writer
        Writes what a letter stands for; its scope says what the variables are called.
    """

    def __init__(self, notation: Notation, writer: Writer) -> None:
        self.notation, self.writer = notation, writer
        self.arguments: dict[Key, Name] = {}
        self.norms: dict[sp.Expr, sp.Expr] = {}

    # -- arguments ----------------------------------------------------------------------------------------------

    def name_arguments(self, exprs: Iterable[sp.Expr]) -> list[tuple[str, str]]:
        """Return the letters for arguments that are new here, each with what it stands for."""
        found: Found = {}
        for expr in exprs:
            self._arguments_in(expr, found)
        new = []
        for key, (_, text, argument) in sorted(found.items(), key=lambda item: not item[1][0]):
            if key not in self.arguments:
                self.arguments[key] = self._letter(argument)
                new.append((self.writer.named(self.arguments[key], ""), text))
        return new

    def _arguments_in(self, expr: sp.Expr, found: Found) -> None:
        scope = self.writer.scope
        if isinstance(expr, SPECIAL) and not expr.args[0].is_Symbol and not expr.args[0].is_number:
            # edges without a variable are short enough where they only say what the norm is
            constant = isinstance(expr, SMOOTH) and not isinstance(expr, (Edge, EdgeExcess))
            for argument in (a for a in arguments(expr) if not constant or self._has_variable(a)):
                key = self.writer.key(argument)
                leading = isinstance(expr, (LogH, Log2Cosh, LogPieces)) or found.get(key, (False,))[0]
                found[key] = (leading, self.writer.line(argument), argument)
            return
        if isinstance(expr, Average):
            self.writer.scope = {**scope, expr.variable: self.notation.variable(expr.variable, expr.variance)}
        for inner in expr.args:
            self._arguments_in(inner, found)
        self.writer.scope = scope

    def _has_variable(self, expr: sp.Expr) -> bool:
        return any(s.name in self.notation.order for s in expr.free_symbols)

    def _letter(self, argument: sp.Expr) -> Name:
        hats = any(self.notation.name(s).hat for s in argument.free_symbols)
        letters = "fg" if hats else "abcd"
        used = {name.letter for name in self.arguments.values()} | self.notation.taken
        free = [letter for letter in letters if letter not in used]
        return Name(free[0]) if free else _unused(letters[0], "", self.arguments.values())

    # -- norms --------------------------------------------------------------------------------------------------

    def name_norms(self, exprs: Iterable[sp.Expr], averages: bool = True) -> list[tuple[sp.Expr, sp.Expr]]:
        """Return the new norms, the innermost first, each with its symbol; without ``averages`` only polynomials."""
        found = {
            node.base
            for expr in exprs
            for node in sp.preorder_traversal(expr)
            if isinstance(node, sp.Pow) and (averages or not node.has(Average)) and self._is_norm(*node.args)
        }
        new = []
        for norm in sorted(found, key=lambda a: len(str(a))):
            if norm in self.norms:
                continue
            if (known := self._same_polynomial(norm)) is not None:
                self.norms[norm] = known
                continue
            symbol = self._symbol_of(norm)
            new.append((self.short(norm), symbol))
            self.norms[norm] = symbol
        return new

    def short(self, expr: sp.Expr) -> sp.Expr:
        """The expression with the named norms replaced by their symbols, the innermost first."""
        for norm, symbol in sorted(self.norms.items(), key=lambda item: len(str(item[0]))):
            expr = expr.xreplace({norm: symbol, self._inner(norm): symbol})
        return expr

    def _is_norm(self, base: sp.Expr, exponent: sp.Expr) -> bool:
        if isinstance(base, Average):
            return exponent not in (1, 2)
        if not isinstance(base, sp.Add) or not exponent.could_extract_minus_sign():
            return False
        if base.has(Average):
            return True
        overlaps = {s.name for s in base.free_symbols} & self.notation.overlaps
        return len(overlaps) > 2 and base.is_polynomial() and exponent.is_integer

    def _symbol_of(self, norm: sp.Expr) -> sp.Expr:
        """A symbol for a norm, as a function of the variables above it, so that it stays under their averages."""
        taken = self.notation.names.values()
        averages = sorted(norm.atoms(Average), key=lambda a: len(str(a)))
        if averages:
            variable = self.notation.variable(averages[-1].variable, averages[-1].variance)
            letter = "Z" if "Z" not in self.notation.taken else "Y"
            name = Name(letter, variable.index or variable.letter, variable.hat)
            name = _unused(letter, name.index + ",", taken, name.hat) if name in taken else name
        else:
            name = Name("D") if Name("D") not in taken else _unused("D", "", taken)
        label = f"norm {name.letter} {name.index} {name.hat}"
        self.notation.names[label] = name
        above = sorted((s for s in norm.free_symbols if s.name in self.notation.order), key=str)
        return sp.Function(label)(*above) if above else sp.Symbol(label)

    def _same_polynomial(self, norm: sp.Expr) -> sp.Expr | None:
        """The symbol of the same polynomial in another form, or of its negative."""
        if norm.has(Average):
            return None
        for known, symbol in self.norms.items():
            for sign in (1, -1):
                if not known.has(Average) and sp.expand(known - sign * norm) == 0:
                    return sign * symbol
        return None

    def _inner(self, norm: sp.Expr) -> sp.Expr:
        """The norm as it reads once the smaller ones below its own average are replaced."""
        if not isinstance(norm, Average):
            return norm
        smaller = {a: s for a, s in self.norms.items() if len(str(a)) < len(str(norm))}
        return Average(norm.body.xreplace(smaller), norm.variable, norm.variance)


def _unused(letter: str, front: str, names: Iterable[Name], hat: bool = False) -> Name:
    """The letter with the first number that makes it new."""
    taken, number = set(names), 1
    while Name(letter, f"{front}{number}", hat) in taken:
        number += 1
    return Name(letter, f"{front}{number}", hat)
