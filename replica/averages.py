r"""Averages of local quantities of the replicas, over the tree of an ansatz and in the limit of vanishing multiplicities.

A replica of a species sees, given the variables of the tree above it, a field; the *local quantities* are functions of it:

* over the weights: ``f``, the field itself, and ``T``, the mean of the weight (:math:`\tanh f` for :math:`\pm 1`);
* over the patterns: ``u``, the mean of the field of a pattern, ``h``, the derivative of the logarithm of the constraint's
  factor in it (:math:`h = \partial_u \ln H` for a margin), and ``dh``, the derivative of that;
* of an anchor (the reference that a probe is measured from, a teacher): its weight ``w``, or its ``stability``.

Where several species have them, the species is appended: ``T_probe``.  An expression in these is averaged from the deepest
node that it depends on up to the root, each node with the weight of its other replicas: under 1RSB ``T**2`` is
:math:`E\langle T^2 \rangle`.  The name of a node, called like a function, is the average inside of it, which makes replicas
of different branches independent: ``state(T)**2`` is :math:`E\langle T\rangle^2`.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sympy as sp
from sympy.core.function import AppliedUndef

from replica.ansatz import Leaf, Node, Path, leaf_paths, nodes_along
from replica.derivation import Derivation, Side
from replica.errors import InputError
from replica.expr import SINGULAR, Average, SiteSum, canonical
from replica.limits.limit import at_zero
from replica.parts.parse import parse_expression
from replica.parts.pieces import SMOOTH

if TYPE_CHECKING:
    from replica.free_entropy import FreeEntropy

WEIGHTS, PATTERNS = "weights", "patterns"
_FIELD = {WEIGHTS: "f", PATTERNS: "u"}
_ORDER = {"T": 1, "h": 1, "dh": 2}
"""Quantities that are derivatives of the logarithm of a factor, with their order."""
_QUANTITIES = {WEIGHTS: ("f", "T"), PATTERNS: ("u", "h", "dh")}
_OF_ANCHOR = {WEIGHTS: "w", PATTERNS: "stability"}
_SUMS_ONLY = {"power_base": False, "power_exp": False, "log": False, "basic": False}


@dataclass(frozen=True)
class LocalAverage:
    """An average in the limit: which ``side`` it is over (``weights`` or ``patterns``), the expression, and its names."""

    side: str
    expression: sp.Expr
    definitions: Mapping[sp.Symbol, sp.Expr]


@dataclass(frozen=True)
class _Quantity:
    """A local quantity: side, name without species, and the leaf that has it."""

    side: str
    name: str
    path: Path


@dataclass(frozen=True)
class _At:
    """An expression in the variables of a node and of those above it; None where it depends on none."""

    expr: sp.Expr
    node: Path | None


def local_average(free_entropy: FreeEntropy, expression: str | sp.Expr) -> LocalAverage:
    """Return the average of an expression in the local quantities of the replicas.

    Parameters
    ----------
    free_entropy : FreeEntropy
    expression : str or sympy expression
        In the quantities that the module describes, order parameters of the same side, and a fixed list of functions.

    Raises
    ------
    InputError
        If a quantity is unknown, if the expression mixes weights and patterns or replicas of different branches outside of
        a node's average, or if the weights are no trace over single values.
    """
    known = quantities(free_entropy)
    nodes = {node.name for node in _nodes(free_entropy.ansatz.tree)}
    parameters = {name for op in free_entropy.order_parameters for name in (op.symbol, op.conjugate)}
    expr = _parsed(expression, {*known, *parameters}, nodes)
    sides = {known[s.name].side for s in expr.free_symbols if s.name in known}
    if not sides:
        raise InputError(f"{expression} contains none of the local quantities {', '.join(known)}.")
    if len(sides) > 1:
        raise InputError(f"{expression} mixes quantities of the weights and of the patterns, which are independent.")
    (side,) = sides
    derivation = Derivation(free_entropy.model, free_entropy.ansatz)
    tree = _Tree(derivation.weights if side == WEIGHTS else derivation.energetic, known, str(expression))
    found = tree.average(expr)
    return LocalAverage(side, found, derivation.definitions().used_by(found))


def quantities(free_entropy: FreeEntropy) -> dict[str, _Quantity]:
    """Return the local quantities by the names that an expression may use."""
    ansatz, model = free_entropy.ansatz, free_entropy.model
    leaves = list(leaf_paths(ansatz.tree))
    plain = list(dict.fromkeys(leaf.species for _, leaf in leaves if not leaf.anchor))
    found: dict[str, _Quantity] = {}
    for side in (WEIGHTS, PATTERNS) if model.weights.discrete else (PATTERNS,):
        for path, leaf in leaves:
            if side == PATTERNS and leaf.free:
                continue
            names = (_OF_ANCHOR[side],) if leaf.anchor else _QUANTITIES[side]
            for name in names:
                quantity = _Quantity(side, name, path)
                found.setdefault(f"{name}_{leaf.species}", quantity)
                if not leaf.anchor and len(plain) == 1:
                    found.setdefault(name, quantity)
    return found


def _parsed(expression: str | sp.Expr, symbols: set[str], nodes: set[str]) -> sp.Expr:
    """The expression with averages inside of nodes as undefined functions of their names."""
    if isinstance(expression, str):
        inner = _Inner(symbols, nodes)
        try:
            tree = inner.visit(ast.parse(expression, mode="eval"))
        except (SyntaxError, RecursionError, MemoryError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{expression!r} is not an expression; write something like 'T**4'.") from None
        return parse_expression(ast.unparse(tree), {*symbols, *inner.found}).subs(inner.substitution)
    expr = sp.sympify(expression)
    unknown = {s.name for s in expr.free_symbols} - symbols
    unknown |= {call.func.__name__ for call in expr.atoms(AppliedUndef)} - nodes
    if unknown:
        raise InputError(f"{sorted(unknown)[0]} in {expr} is not known; local quantities are {', '.join(sorted(symbols))}.")
    return expr


class _Inner(ast.NodeTransformer):
    """Takes averages inside of nodes out of a text, each under a name of its own."""

    def __init__(self, symbols: set[str], nodes: set[str]) -> None:
        self.symbols, self.nodes = symbols, nodes
        self.found: dict[str, sp.Expr] = {}

    @property
    def substitution(self) -> dict[sp.Symbol, sp.Expr]:
        """What the names stand for."""
        return {sp.Symbol(name): value for name, value in self.found.items()}

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """An average inside of a node becomes a name."""
        if not (isinstance(node.func, ast.Name) and node.func.id in self.nodes and len(node.args) == 1):
            return self.generic_visit(node)
        name = f"inner_{len(self.found)}_of_{node.func.id}"
        self.found[name] = sp.Integer(0)
        argument = _parsed(ast.unparse(node.args[0]), self.symbols, self.nodes)
        self.found[name] = sp.Function(node.func.id)(argument)
        return ast.Name(id=name, ctx=ast.Load())


class _Tree:
    """Averages over the nodes of a tree on one side."""

    def __init__(self, side: Side, known: dict[str, _Quantity], text: str) -> None:
        self.side, self.nested, self.known, self.text = side, side.nested, known, text
        self.tree = side.ansatz.tree
        self.closed = 0

    def average(self, expr: sp.Expr) -> sp.Expr:
        """The average at the root, in normal form."""
        return self.side.finished(self._raised(self._written(expr), None).expr)

    def _written(self, expr: sp.Expr) -> _At:
        """An expression through the variables of the tree, at the deepest node that it depends on."""
        table: dict[sp.Expr, _At] = {call: self._inside(call) for call in _outermost_calls(expr)}
        rest = expr.xreplace({call: sp.Dummy() for call in table})
        table |= {s: self._quantity(self.known[s.name]) for s in rest.free_symbols if s.name in self.known}
        deepest: Path | None = None
        for found in table.values():
            if found.node is None or deepest is None:
                deepest = found.node if deepest is None else deepest
            elif deepest != found.node[: len(deepest)] and found.node != deepest[: len(found.node)]:
                raise InputError(
                    f"{self.text} multiplies quantities of different branches of the tree: take the average inside of a "
                    f"node first, e.g. {self._name(found.node)}(...)."
                )
            else:
                deepest = max(deepest, found.node, key=len)
        return _At(expr.xreplace({key: found.expr for key, found in table.items()}), deepest)

    def _inside(self, call: AppliedUndef) -> _At:
        """The average inside of the node of this name, in the variables above it."""
        written, name = self._written(call.args[0]), call.func.__name__
        chain = [] if written.node is None else [written.node[:k] for k in range(len(written.node) + 1)]
        places = [path for path in chain if self._name(path) == name]
        if not places:
            raise InputError(f"{call} in {self.text}: nothing in the brackets is inside of the node {name}.")
        found = self._raised(written, places[0])
        return _At(self._apart(found.expr), found.node)

    def _apart(self, expr: sp.Expr) -> sp.Expr:
        """A closed average with variables of its own: what it multiplies may be averaged over the same node."""
        self.closed += 1
        bound = {b.variable for b in expr.atoms(Average, SiteSum)}
        return expr.xreplace({s: sp.Symbol(f"{s.name}_{self.closed}") for s in bound})

    def _raised(self, found: _At, target: Path | None) -> _At:
        """Averaged up to a node and over it (to the root and over it for None)."""
        while found.node is not None:
            over = found.node
            found = _At(self._mean(over, found.expr), over[:-1] if over else None)
            if over == target:
                break
        return found

    def _mean(self, path: Path, observable: sp.Expr) -> sp.Expr:
        """The average over the variables of a node, with the weight of all replicas below it."""
        node, vanishing = self._node(path), self.side.ansatz.vanishing
        body = self.nested.inside(node, path)
        norm = at_zero(self.nested.over(node, body), vanishing)
        # term by term, so that what is constant here stands in front of an average and not inside
        terms = sp.Add.make_args(observable.expand(**_SUMS_ONLY))
        total = sp.Add(*(at_zero(self.nested.over(node, body * term), vanishing) for term in terms))
        return total / norm

    def _node(self, path: Path) -> Node:
        node = self.tree
        for index in path:
            child = node.groups[index][1]
            assert isinstance(child, Node)
            node = child
        return node

    def _name(self, path: Path) -> str:
        return self._node(path).name

    def _quantity(self, quantity: _Quantity) -> _At:
        """A local quantity as a function of the variables of the tree."""
        nested, path = self.nested, quantity.path
        leaf, mean = nested.leaves[path], nested.fields.at(path).mean[nested.leaves[path].species]
        at = path[:-1]
        if quantity.name == _OF_ANCHOR[WEIGHTS]:
            node = nodes_along(self.tree, path)[-1]
            return _At(nested.fields.anchor_variables[node.name][0], at)
        if quantity.name in (*_FIELD.values(), _OF_ANCHOR[PATTERNS]):
            return _At(mean, at)
        return _At(self._derivative(leaf, path, _ORDER[quantity.name]).subs(sp.Symbol("local_field"), mean), at)

    def _derivative(self, leaf: Leaf, path: Path, order: int) -> sp.Expr:
        """A derivative of the logarithm of the factor of a leaf in its field."""
        fld = sp.Symbol("local_field")
        factor = self.nested.smoothed(path, fld)
        if factor.has(*SINGULAR):
            raise InputError(f"The replica {leaf.species} has no noise of its own: its factor has no derivative.")
        found = canonical(sp.log(factor))
        for _ in range(order):
            found = sp.diff(found, fld)
            found = sp.factor_terms(found) if found.has(*SMOOTH) else found
        return found


def _nodes(tree: Node) -> list[Node]:
    below = [_nodes(child) for _, child in tree.groups if isinstance(child, Node)]
    return [tree, *(node for nodes in below for node in nodes)]


def _outermost_calls(expr: sp.Expr) -> list[AppliedUndef]:
    """The averages inside of nodes that no other one contains."""
    if isinstance(expr, AppliedUndef):
        return [expr]
    return list(dict.fromkeys(call for arg in expr.args for call in _outermost_calls(arg)))


