r"""The names that a reader sees: textbook symbols for the variables and abbreviations of a derivation.

Inside the engine a Gaussian variable is named after its node and species.  In print, the variables of a tree in which
every node adds one are :math:`z_0, z_1, \dots` from the root down (:math:`z` if it is the only one); where a species is
measured from an anchor they are :math:`x` at the root, :math:`v` for the anchor's own noise, :math:`y` below, and
:math:`u` for variables joined into one.  What belongs to the weights carries the hat of the conjugates.  The load of a
variable is :math:`\ell`, its variance, where it has a name, :math:`\sigma^2`; each has the variable as index.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sympy as sp

from replica.ansatz import Leaf, Node, multiplicity, species_below

if TYPE_CHECKING:
    from replica.ansatz import Ansatz
    from replica.fields import FieldTree
    from replica.model import Model

GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "zeta": "ζ", "eta": "η", "theta": "θ",
    "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ",
    "phi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω", "Phi": "Φ", "Delta": "Δ", "ell": "ℓ",
}  # fmt: skip
"""Words that are letters."""

LETTERS = {
    "chain": ("z", "zeta"), "root": ("x", "xi"), "own": ("v", "nu"), "other": ("y", "eta"),
    "joined": ("u", "omega"),
    "noise": ("w", "zeta"),
}
"""Letters of the Gaussian variables by kind; the second where the first is taken."""


@dataclass(frozen=True)
class Name:
    """A symbol in print: a letter with primes, index and hat; ``squared`` if it stands for the square of that letter."""

    letter: str
    index: str = ""
    hat: bool = False
    squared: bool = False
    primes: int = 0

    def latex(self, power: str = "") -> str:
        """The LaTeX of this symbol, to a power."""
        letter = rf"\{self.letter}" if self.letter in GREEK else self.letter
        letter = letter if len(self.letter) == 1 or self.letter in GREEK else rf"\mathrm{{{_escaped(self.letter)}}}"
        letter = rf"\hat{{{letter}}}" if self.hat else letter
        index = f"_{{{_latex_index(self.index)}}}" if self.index else ""
        primed = f"{letter}{chr(39) * self.primes}{index}"
        if power and self.primes:
            return f"({primed})^{{{power}}}"
        return primed + (f"^{{{power}}}" if power else "")

    def text(self) -> str:
        """The symbol as unicode, without its square."""
        letter = GREEK.get(self.letter, self.letter) + "'" * self.primes
        return letter + ("\u0302" if self.hat else "") + (_text_index(self.index) if self.index else "")


def subscript(digits: str) -> str:
    """Digits below the line."""
    return digits.translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


def superscript(digits: str) -> str:
    """Digits above the line."""
    return digits.translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _latex_index(index: str) -> str:
    """An index; of a variable with a number, that stands below it, and what tells it apart comes after a comma."""
    first, comma, rest = index.partition(",")
    if first in GREEK:
        first = rf"\{first}"
    elif match := re.fullmatch(r"([A-Za-z])(\d+)", first):
        first = f"{match[1]}_{{{match[2]}}}"
    elif len(first) > 1 and not first.isdigit():
        first = rf"\mathrm{{{_escaped(first)}}}"
    return first + comma + rest


def _text_index(index: str) -> str:
    first, comma, rest = index.partition(",")
    first = GREEK.get(first, first)
    if match := re.fullmatch(r"([a-zα-ω])(\d+)", first):
        first = match[1] + subscript(match[2])
    return subscript(first) + comma + rest if first.isdigit() else f"_{first}{comma}{rest}"


def _escaped(word: str) -> str:
    return word.replace("_", r"\_")


def public_name(name: str) -> Name:
    r"""A name of the interface in print: ``q0hat`` is :math:`\hat q_0`, ``qr`` is :math:`q_r`, ``alpha`` a Greek letter."""
    hat = name.endswith("hat") and len(name) > 3
    base = name[:-3] if hat else name
    if base in GREEK:
        return Name(base, hat=hat)
    if match := re.fullmatch(rf"({'|'.join(GREEK)}|[A-Za-z])_?(\d+|[A-Za-z]{{1,2}})", base):
        return Name(match[1], match[2], hat)
    return Name(base, hat=hat)


class Notation:
    """The printed name of every symbol of one derivation.

    Parameters
    ----------
    model, ansatz
        What is derived; the parameters of its constraint are named by species.
    fields, weights : FieldTree
        The regressions of the fields and, for discrete weights, of the conjugates.
    defined : iterable of symbols
        Abbreviations beyond those of the regressions: of variables that are joined in a saddle equation only.
    """

    def __init__(
        self, model: Model, ansatz: Ansatz, fields: FieldTree, weights: FieldTree | None, defined: Iterable[sp.Symbol] = ()
    ) -> None:
        self.model, self.ansatz, self.defined = model, ansatz, tuple(defined)
        self.names: dict[str, Name] = {}
        self.joined: dict[tuple[str, sp.Expr], Name] = {}
        self.order: list[str] = []
        self.overlaps = set(ansatz.names().values())
        self.conjugates = {sp.Symbol(name) for name in ansatz.conjugate_names().values()}
        self.sites: set[sp.Symbol] = set()
        self.multiplicities = {s.name for text in _multiplicities(ansatz.tree) for s in multiplicity(text).free_symbols}
        for name in ("1", *self.overlaps):
            for primes, start in enumerate(("D_", "dD_", "ddD_")):  # the covariance of fields, where it has a name
                self.names[start + name] = Name("Delta", name, primes=primes)
        for name in (*self.overlaps, *ansatz.conjugate_names().values(), *self.multiplicities, "alpha"):
            self.names[name] = public_name(name)
        self._constraint_parameters()
        self.taken = {name.letter for name in self.names.values() if not name.index}
        if model.weights.discrete and not model.weights.unit_norm:
            self.taken.add("Z")  # the trace over the levels
        for tree, hat in ((fields, False), (weights, True)):
            if tree is not None:
                self._variables(tree, hat)
                self._abbreviations(tree, hat)

    def copy(self) -> Notation:
        """The same names, to which those of one page can be added."""
        page = copy(self)
        page.names = dict(self.names)
        return page

    def name(self, symbol: sp.Symbol) -> Name:
        """The printed name of a symbol."""
        return self.names.get(symbol.name) or public_name(symbol.name)

    def variable(self, symbol: sp.Symbol, variance: sp.Expr) -> Name:
        """The printed name of a Gaussian variable; joined to another one it has another variance and another name."""
        return self.joined.get((symbol.name, variance)) or self.name(symbol)

    def rank(self, symbol: sp.Symbol) -> tuple[int, int, str]:
        """The place of a symbol in a sum: multiplicities, parameters, overlaps, abbreviations, variables."""
        place = self.order.index(symbol.name) if symbol.name in self.order else -1
        kind = 3 if place >= 0 else 0 if symbol.name in self.multiplicities else 2 if symbol.name in self.overlaps else 1
        return kind, place, symbol.name

    def overlaps_of(self, conjugates: Iterable[sp.Symbol]) -> list[sp.Symbol]:
        """The overlaps that these conjugates belong to."""
        return [sp.Symbol(s.name.removesuffix("hat")) for s in conjugates]

    def _constraint_parameters(self) -> None:
        prefixes = {prefix for _, prefix in self.ansatz.prefixes}
        initials = [prefix[:1] for prefix in prefixes]
        for prefix in prefixes:
            word = prefix.strip("_")
            index = prefix[:1] if initials.count(prefix[:1]) == 1 else word
            for parameter in self.model.obeyed(prefix).constraint.parameters:
                self.names[prefix + parameter] = Name(parameter, index)
        for parameter in self.model.constraint.parameters:
            self.names.setdefault(parameter, public_name(parameter))

    def _letter(self, kind: str) -> str:
        return next((letter for letter in LETTERS[kind] if letter not in self.taken), LETTERS[kind][-1])

    def _variables(self, tree: FieldTree, hat: bool) -> None:
        kinds: dict[str, list[str]] = {}
        nodes = list(nodes_below(tree.tree))
        own = {f"{tree.label}z_{node.name}_{leaf.species}_own" for node in nodes for leaf in _anchors(node)}
        chain = not any(map(_anchors, nodes)) and all(len(tree.variables[node.name]) <= 1 for node in nodes)
        for node in nodes:
            for variable in tree.variables[node.name]:
                name = variable.symbol.name
                kind = "chain" if chain else "own" if name in own else "root" if node is tree.tree else "other"
                kinds.setdefault(kind, []).append(name)
        for kind, names in kinds.items():
            first = 0 if kind == "chain" else 1
            for place, name in enumerate(names, first):
                self.names[name] = Name(self._letter(kind), str(place) if len(names) > 1 else "", hat)
        self.order += [v.symbol.name for node in nodes for v in tree.variables[node.name]]
        self.names[f"{tree.label}noise"] = Name(self._letter("noise"))
        self.order.append(f"{tree.label}noise")
        self.sites |= {value for value, _ in tree.anchor_variables.values()}
        values = [value.name for value, _ in tree.anchor_variables.values()]
        for place, name in enumerate(values, 1):
            self.names[name] = Name("s", str(place) if len(values) > 1 else "")
            self.order.insert(0, name)

    def _abbreviations(self, tree: FieldTree, hat: bool) -> None:
        """Loads, variances and, after a merge, the joined variable with what it says about the other one."""
        known = dict.fromkeys((*tree.definitions.table, *self.defined))
        joined = [s for s in known if s.name.startswith(f"{tree.label}s_{tree.label}z_")]
        for place, symbol in enumerate(joined, 1):
            index = str(place) if len(joined) > 1 else ""
            variable = Name(self._letter("joined"), index, hat)
            rest = symbol.name.removeprefix(f"{tree.label}s_")
            original = max((name for name in self.order if rest.startswith(name)), key=len)
            self.joined[original, symbol] = variable
            index = variable.letter + index
            self.names[symbol.name] = Name("sigma", index, hat, squared=True)
            self.names[f"{tree.label}r_{rest}"] = Name("ell", index, hat)
            self.names[f"{tree.label}c_{rest}"] = Name("tau", index, hat, squared=True)
        for node in nodes_below(tree.tree):
            for own in tree.variables[node.name]:
                self._variable_abbreviations(tree, node, own.symbol.name, hat)

    def _variable_abbreviations(self, tree: FieldTree, node: Node, variable: str, hat: bool) -> None:
        base = variable.removeprefix(f"{tree.label}z_")
        printed = self.names[variable]
        index = printed.index if printed.index and printed.letter in LETTERS["chain"] else printed.letter + printed.index
        own = "_own" if base.endswith("_own") else ""
        stem = base.removesuffix(own) if own else base
        self.names[f"{tree.label}v_{stem}"] = Name("sigma", index, hat, squared=True)
        targets = [t for t in species_below(node) if sp.Symbol(f"{tree.label}l_{stem}_{t}{own}") in tree.definitions.table]
        for place, target in enumerate(targets, 1):
            suffix = f",{place}" if len(targets) > 1 else ""
            self.names[f"{tree.label}l_{stem}_{target}{own}"] = Name("ell", index + suffix, hat)


def nodes_below(node: Node) -> Iterator[Node]:
    """A node and all nodes below it, from the root down."""
    yield node
    for _, child in node.groups:
        if isinstance(child, Node):
            yield from nodes_below(child)


def _anchors(node: Node) -> list[Leaf]:
    return [child for _, child in node.groups if isinstance(child, Leaf) and child.anchor]


def _multiplicities(tree: Node) -> Iterable[str]:
    return [text for node in nodes_below(tree) for text, _ in node.groups]
