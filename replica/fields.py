r"""Fields of a tree of replicas by regression, in variances.

The fields of the replicas are jointly Gaussian with a covariance that depends on where two branches part.  Walking
down the tree, a node adds one Gaussian variable per overlap of a species with itself that parts there; its variance
is the *pivot*, what is not explained by the variables above, and the species below load on it by covariance over
variance (an LDL\ :sup:`T` decomposition: positive pivots mean a positive overlap matrix).  An anchor comes before its
siblings with its whole remaining variance.  What a leaf has left is its own noise.

No square root of an overlap appears.  Expressions with a denominator get a name and a definition: a variance that is a
small difference is computed once, and derivatives go through it by the chain rule.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import sympy as sp

from replica.ansatz import Key, Leaf, Node, leaf_paths, species_below


@dataclass
class Definitions:
    """Named subexpressions in the order of their definition."""

    prefix: str = ""
    table: dict[sp.Symbol, sp.Expr] = field(default_factory=dict)

    def name(self, hint: str, expr: sp.Expr) -> sp.Expr:
        """A symbol for the expression, or the expression itself where it is a polynomial."""
        cancelled = sp.cancel(expr)
        return sp.expand(cancelled) if sp.denom(cancelled) == 1 else self.always(hint, expr)

    def always(self, hint: str, expr: sp.Expr) -> sp.Expr:
        """A symbol for the expression (a number stays a number)."""
        if expr.is_number:
            return expr
        for symbol, known in self.table.items():
            if known == expr:
                return symbol
        symbol = sp.Symbol(self.prefix + hint)
        index = 2
        while symbol in self.table:
            symbol, index = sp.Symbol(f"{self.prefix}{hint}_{index}"), index + 1
        self.table[symbol] = expr
        return symbol

    def expand(self, expr: sp.Expr) -> sp.Expr:
        """The expression with all names replaced by what they stand for."""
        expr = sp.sympify(expr)
        for symbol in reversed(list(self.table)):
            expr = expr.subs(symbol, self.table[symbol])
        return expr

    def used_by(self, *exprs: sp.Expr) -> dict[sp.Symbol, sp.Expr]:
        """The part of the table that these expressions need, directly or through other names."""
        needed = set().union(*(expr.free_symbols for expr in exprs))
        for symbol in reversed(list(self.table)):
            if symbol in needed:
                needed |= self.table[symbol].free_symbols
        return {symbol: expr for symbol, expr in self.table.items() if symbol in needed}

    def total_derivative(self, expr: sp.Expr, s: sp.Symbol) -> sp.Expr:
        """The derivative in ``s``, through the names as well."""
        slopes = {symbol: sp.Integer(0) for symbol in self.table}
        for symbol, definition in self.table.items():
            slopes[symbol] = sp.diff(definition, s) + sum(
                (sp.diff(definition, name) * slopes[name] for name in definition.free_symbols & slopes.keys()),
                sp.Integer(0),
            )
        result = sp.diff(expr, s)
        for name in [n for n in self.table if n in expr.free_symbols]:
            if slopes[name] != 0:
                result += sp.diff(expr, name) * slopes[name]
        return result


@dataclass(frozen=True)
class Variable:
    """A Gaussian variable of a node: symbol and variance."""

    symbol: sp.Symbol
    variance: sp.Expr


@dataclass(frozen=True)
class Pivot:
    """The variance that an overlap adds to a species, and what there was left to explain above it.

    A solver that keeps the pivot itself (not the overlap) computes everything from sums of positive terms.
    """

    key: Key
    variance: sp.Expr
    explained: sp.Expr
    left: sp.Expr


@dataclass(frozen=True)
class FieldState:
    """What is known on the way down: the mean of every species, and the covariance already explained."""

    mean: dict[str, sp.Expr]
    explained: dict[tuple[str, str], sp.Expr]

    def covariance(self, s: str, t: str) -> sp.Expr:
        """Covariance of two species explained so far."""
        return self.explained.get((min(s, t), max(s, t)), sp.Integer(0))

    def loaded(self, z: sp.Symbol, variance: sp.Expr, loads: dict[str, sp.Expr], full: dict) -> FieldState:
        """The state after a variable of this variance with these loads; ``full`` holds covariances known exactly."""
        mean, explained = dict(self.mean), dict(self.explained)
        for t, load in loads.items():
            mean[t] = mean[t] + load * z
        names = list(loads)
        for i, t in enumerate(names):
            for u in names[i:]:
                pair = (min(t, u), max(t, u))
                explained[pair] = full.get(pair, self.covariance(t, u) + loads[t] * loads[u] * variance)
        return FieldState(mean, explained)


class FieldTree:
    """The regression of one covariance (the overlaps, or their conjugates) down a tree.

    Parameters
    ----------
    tree : Node
        The replica groups.
    covariance : dict
        The covariance of every key.
    diagonal : sympy expression or None
        The variance of a single field; None for conjugates of weights, where the diagonal is left to the trace.
    label : str
        Prefix that keeps the variables of two trees apart.
    norms : dict, optional
        By species, what replaces the diagonal where the norm of the weights is not fixed (for conjugates: that of the norm).
    """

    def __init__(
        self,
        tree: Node,
        covariance: dict[Key, sp.Expr],
        diagonal: sp.Expr | None,
        label: str,
        norms: dict[str, sp.Expr] | None = None,
    ) -> None:
        self.tree, self.covariance_of, self.diagonal, self.label = tree, covariance, diagonal, label
        self.norms = norms or {}
        self.definitions = Definitions(label)
        self.pivots: dict[Key, Pivot] = {}
        start = FieldState({s: sp.Integer(0) for s in species_below(tree)}, {})
        self.variables: dict[str, list[Variable]] = {}
        self.anchor_variables: dict[str, tuple[sp.Symbol, sp.Expr]] = {}
        self.states: dict[tuple[int, ...], FieldState] = {}
        self._walk(tree, (), start)

    def at(self, path: tuple[int, ...]) -> FieldState:
        """The state at the leaf of this path."""
        return self.states[path]

    def variance_of(self, s: str) -> sp.Expr:
        """The variance of a field of this species."""
        assert self.diagonal is not None
        return self.norms.get(s, self.diagonal)

    def curvature(self, path: tuple[int, ...], s: str) -> sp.Expr:
        """The conjugate of the norm of a weight, less what the fields explain: the coefficient of half its square."""
        return sp.expand(self.norms[s] - self.at(path).covariance(s, s)) if s in self.norms else sp.Integer(0)

    def expanded_pivots(self) -> dict[Key, Pivot]:
        """The pivots as functions of the overlaps alone."""
        expand = self.definitions.expand
        return {k: Pivot(k, p.variance, expand(p.explained), expand(p.left)) for k, p in self.pivots.items()}

    def covariance(self, node: str, s: str, t: str) -> sp.Expr | None:
        """The covariance of two species that part at a node, None if no pair does."""
        return self.covariance_of.get((node, min(s, t), max(s, t)))

    def _walk(self, node: Node, path: tuple[int, ...], state: FieldState) -> None:
        self.variables.setdefault(node.name, [])
        below = species_below(node)
        for _, child in node.groups:
            if isinstance(child, Leaf) and child.anchor and not (child.free and self.diagonal is not None):
                state = self._anchor(node, child.species, below, state)
        for s in below:
            cov = self.covariance(node.name, s, s)
            if cov is not None:
                state = self._variable(node, s, cov, below, state)
        for index, (_, child) in enumerate(node.groups):
            if isinstance(child, Leaf):
                self.states[(*path, index)] = state
            else:
                self._walk(child, (*path, index), state)

    def _anchor(self, node: Node, s: str, below: list[str], state: FieldState) -> FieldState:
        """An anchor's own noise (fields), or its coupling to the species below (weights)."""
        others = [t for t in below if t != s and self.covariance(node.name, s, t) is not None]
        if self.diagonal is None:
            value = sp.Symbol(f"s_{s}")
            coupling = {t: sp.expand(self.covariance(node.name, s, t) - state.covariance(s, t)) for t in others}
            self.anchor_variables[node.name] = (value, state.mean[s])
            coupled = {(min(s, t), max(s, t)): self.covariance(node.name, s, t) for t in others}
            mean = {t: m + coupling.get(t, 0) * value for t, m in state.mean.items()}
            return FieldState(mean, {**state.explained, **coupled})
        left = sp.expand(self.variance_of(s) - state.covariance(s, s))
        return self._load(node, s, left, below, state, full={(s, s): self.variance_of(s)}, own=True)

    def _variable(self, node: Node, s: str, cov: sp.Expr, below: list[str], state: FieldState) -> FieldState:
        explained = state.covariance(s, s)
        left = self.definitions.expand(cov - explained)
        # a difference with a product in it is computed once, and known to a solver without cancellation
        products = explained.is_polynomial() and sp.total_degree(explained) > 1
        name = self.definitions.always if products else self.definitions.name
        variance = name(f"v_{node.name}_{s}", left)
        if variance == 0:
            return state
        if self.diagonal is not None:
            key = (node.name, s, s)
            self.pivots[key] = Pivot(key, variance, explained, sp.expand(self.variance_of(s) - explained))
        return self._load(node, s, variance, below, state, full={(s, s): cov}, own=False)

    def _load(
        self, node: Node, s: str, variance: sp.Expr, below: list[str], state: FieldState, full: dict, own: bool
    ) -> FieldState:
        z = sp.Symbol(f"{self.label}z_{node.name}_{s}{'_own' if own else ''}")
        loads = {}
        for t in below:
            cov = self.covariance(node.name, s, t)
            if t == s:
                loads[t] = sp.Integer(1)
            elif cov is not None and (rest := sp.cancel(self.definitions.expand(cov - state.covariance(s, t)))) != 0:
                load = self.definitions.expand(rest / variance)
                loads[t] = self.definitions.name(f"l_{node.name}_{s}_{t}{'_own' if own else ''}", load)
                full = {**full, (min(s, t), max(s, t)): cov}
        if (variable := Variable(z, variance)) not in self.variables[node.name]:  # another node of this name had it
            self.variables[node.name].append(variable)
        return state.loaded(z, variance, loads, full)


def leaf_species(tree: Node) -> dict[tuple[int, ...], Leaf]:
    """Leaves by path."""
    return dict(leaf_paths(tree))
