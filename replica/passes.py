r"""Passes over averages: fewer integrals, and factors where a quadrature wants them.

``merge``
    Two nested Gaussians that enter the inner function through one combination :math:`u = l v + y` become one:
    :math:`E_v A(v) E_y B(l v + y) = E_u B(u) E_{v|u} A`, with :math:`u \sim N(0, s)`, :math:`s = l^2 D_v + D_y`, and
    ``v`` given ``u`` of mean :math:`l D_v u / s` and variance :math:`D_v D_y / s`: products of positive numbers, so
    that a small conditional variance keeps its digits.  It must run before a step in ``A`` is integrated, so that
    the entropy, its saddle equations and their Jacobian share one sweep over ``u``.
``absorb``
    A factor such as :math:`1/H(c)` in front of an inner average moves under it, where it balances a tilted weight.
``pin``
    A delta that is left in front of an inner average fixes its variable: :math:`E_z \delta(z + a) f(z)` is ``f(-a)`` times
    a density.
``mirror``
    A sum over :math:`s = \pm 1` whose terms are mirror images is twice one term.
``log_sums``
    The logarithm of a sum of positive products through the logarithms of its terms, so that no term has to be representable.
"""

from __future__ import annotations

import itertools

import sympy as sp

from replica.expr import (
    SINGULAR,
    SPECIAL,
    Average,
    Delta,
    H,
    Log2Cosh,
    LogH,
    Mills,
    MillsExcess,
    SiteSum,
    TwoCosh,
    arguments,
    slope_and_rest,
    with_arguments,
)
from replica.fields import Definitions
from replica.limits.maximum import AtMaximum, Maximum
from replica.parts.levels import LogTrace, Moment, Trace, is_symmetric
from replica.parts.losses import LossFunction
from replica.parts.noisy_losses import NOISY, Noisy, edges_of
from replica.parts.pieces import SMOOTH, Pieces

TILTS = (H, TwoCosh, Trace, sp.exp, Pieces, Noisy)


def merge(expr: sp.Expr, definitions: Definitions) -> sp.Expr:
    """The expression with nested Gaussians joined wherever one combination of them enters."""
    if not expr.has(Average):
        return expr
    if isinstance(expr, Average):
        merged = _merge_here(expr, definitions)
        if merged is not None:
            return merge(merged, definitions)
    return expr.func(*(merge(arg, definitions) for arg in expr.args)) if expr.args else expr


def _merge_here(outer: Average, definitions: Definitions) -> sp.Expr | None:
    v, inner = outer.variable, [f for f in sp.Mul.make_args(outer.body) if isinstance(f, Average) and f.has(outer.variable)]
    if len(inner) != 1:
        return None
    average = inner[0]
    rest, y = outer.body / average, average.variable
    load = _common_ratio(average.body, v, y)
    if load is None or average.variance.has(v) or not _only_singular(rest, v):
        return None
    body = average.body.subs(y, y - load * v).replace(
        lambda e: isinstance(e, SPECIAL), lambda e: with_arguments(e, sp.expand)
    )
    if body.has(v):
        return None
    total = definitions.always(f"s_{y}", load**2 * outer.variance + average.variance)
    slope = definitions.always(f"r_{y}", load * outer.variance / total)
    left = definitions.always(f"c_{y}", outer.variance * average.variance / total)
    conditional = Average(rest.subs(v, v + slope * y), v, left)
    return Average(body * conditional, y, total)


def _only_singular(rest: sp.Expr, v: sp.Symbol) -> bool:
    """Whether the variable enters the rest through steps, deltas and losses alone, whose average is a function."""
    return all(isinstance(f, SINGULAR) for f in sp.Mul.make_args(rest) if f.has(v))


def _common_ratio(body: sp.Expr, v: sp.Symbol, y: sp.Symbol) -> sp.Expr | None:
    """``l`` if ``v`` and ``y`` enter all special functions as ``l v + y``."""
    ratios = set()
    for argument in {a for node in body.atoms(*SPECIAL) for a in arguments(node)}:
        slope_y, slope_v = sp.diff(argument, y), sp.diff(argument, v)
        if slope_y == 0 and slope_v == 0:
            continue
        if slope_y == 0 or slope_y.has(v, y):
            return None
        ratios.add(sp.cancel(slope_v / slope_y))
    ratios = {ratio for ratio in ratios if not ratio.has(v, y)}
    return ratios.pop() if len(ratios) == 1 else None


def absorb(expr: sp.Expr) -> sp.Expr:
    """Negative powers of tilts in front of an average move under it (kept unevaluated from then on).

    Exponentials go with them: what they grow by is what the powers take away.
    """
    if not expr.has(Average):
        return expr
    if isinstance(expr, Average):
        body = absorb(sp.expand_mul(expr.body) if isinstance(expr.body, sp.Add) else expr.body)
        return Average(body, expr.variable, expr.variance, evaluate=False)
    if isinstance(expr, sp.Mul) and any(map(_is_norm, expr.args)) and any(isinstance(f, sp.Add) for f in expr.args):
        return absorb(sp.expand_mul(expr)) if isinstance(sp.expand_mul(expr), sp.Add) else expr
    if isinstance(expr, sp.Mul):
        norms = [f for f in expr.args if _is_norm(f)]
        inner = [f for f in expr.args if isinstance(f, Average)]
        if norms and len(inner) == 1:
            norms += [f for f in expr.args if isinstance(f, sp.exp)]
            rest = sp.Mul(*(f for f in expr.args if f not in norms and f is not inner[0]))
            body = absorb(inner[0].body * sp.Mul(*norms))
            return rest * Average(body, inner[0].variable, inner[0].variance, evaluate=False)
    return expr.func(*(absorb(arg) for arg in expr.args))


def _is_norm(factor: sp.Expr) -> bool:
    base, exponent = factor.as_base_exp()
    return isinstance(base, TILTS) and exponent.could_extract_minus_sign()


def pin(expr: sp.Expr) -> sp.Expr:
    """Averages of a delta times a function of its variable, as the function at the root times the density there."""
    if not expr.has(Delta):
        return expr
    if isinstance(expr, Average):
        z, factors = expr.variable, sp.Mul.make_args(expr.body)
        deltas = [f for f in factors if isinstance(f, Delta) and f.has(z)]
        if len(deltas) == 1:
            slope, rest = slope_and_rest(deltas[0].args[0], z)
            others = sp.Mul(*(f for f in factors if f is not deltas[0])).subs(z, -rest / slope)
            return pin(others * Average(deltas[0], z, expr.variance))
    return expr.func(*(pin(arg) for arg in expr.args)) if expr.args else expr


def mirror(expr: sp.Expr) -> sp.Expr:
    """Sums over a weight written out, as a multiple of one term where the terms are mirror images."""
    if not expr.has(SiteSum):
        return expr
    if isinstance(expr, Average) and isinstance(site := _site_sum_factor(expr.body), SiteSum):
        rest = expr.body / site
        z, s = expr.variable, site.variable
        # a norm that is such a sum itself needs both terms anyway, and keeps the whole even
        if not rest.has(SiteSum) and set(site.values) == {-value for value in site.values}:
            term = rest * site.body
            flips = {symbol: -symbol for symbol in {z, s}}
            if _mirrored(term, flips) == _mirrored(term, {}):
                upper = [(1 if value == 0 else 2, value) for value in site.values if value >= 0]
                return sp.Add(*(n * mirror(Average(term.subs(s, value), z, expr.variance)) for n, value in upper))
    if isinstance(expr, SiteSum):
        s = expr.variable
        if set(expr.values) == {-1, 1} and _mirrored(expr.body, {s: -s}) == _mirrored(expr.body, {}):
            return 2 * mirror(expr.body.subs(s, 1))
        return mirror(expr.expanded())
    return expr.func(*(mirror(arg) for arg in expr.args))


def is_even(expr: sp.Expr, variables: set[sp.Symbol]) -> bool:
    """Whether an expression stays the same when all these variables change their sign."""
    return bool(_mirrored(expr, {symbol: -symbol for symbol in variables}) == _mirrored(expr, {}))


def _site_sum_factor(body: sp.Expr) -> sp.Expr | None:
    sums = [f for f in sp.Mul.make_args(body) if isinstance(f, SiteSum)]
    return sums[0] if len(sums) == 1 else None


def _mirrored(term: sp.Expr, flips: dict[sp.Symbol, sp.Expr]) -> sp.Expr:
    """The term under a change of sign, with even and odd functions and inner Gaussians normalised."""
    if isinstance(term, Average):
        inner = _mirrored(term.body, {**flips, term.variable: -term.variable} if flips else {})
        return Average(inner, term.variable, term.variance)
    if isinstance(term, SiteSum) and set(term.values) == {-1, 1}:
        inner = _mirrored(term.body, {**flips, term.variable: -term.variable} if flips else {})
        return SiteSum(inner, term.variable, term.values)
    if isinstance(term, (TwoCosh, Log2Cosh, sp.tanh)):
        argument = sp.expand(term.args[0].subs(flips, simultaneous=True))
        sign = -1 if _leading_negative(argument) else 1
        parity = -1 if isinstance(term, sp.tanh) else 1
        return (parity if sign < 0 else 1) * term.func(sign * argument)
    if isinstance(term, (Trace, LogTrace, Moment)) and is_symmetric(term.args[2]):
        argument = sp.expand(term.args[0].subs(flips, simultaneous=True))
        sign = -1 if _leading_negative(argument) else 1
        odd = isinstance(term, Moment) and term.order % 2 == 1
        return (-1 if odd and sign < 0 else 1) * term.func(sign * argument, *term.args[1:])
    if isinstance(term, (H, Mills, MillsExcess, LogH, sp.exp, Trace, LogTrace, Moment, *SMOOTH, *NOISY)):
        return with_arguments(term, lambda a: sp.expand(a.subs(flips, simultaneous=True)))
    if isinstance(term, (sp.Mul, sp.Pow)):
        powers = [factor.as_base_exp() for factor in sp.Mul.make_args(term)]
        return sp.Mul(*(_unsigned(base, exponent, flips) for base, exponent in powers))
    if term.args:
        return term.func(*(_mirrored(arg, flips) for arg in term.args))
    return term.subs(flips, simultaneous=True)


def _unsigned(base: sp.Expr, exponent: sp.Expr, flips: dict[sp.Symbol, sp.Expr]) -> sp.Expr:
    """A power under a change of sign, with the sign of a sum in it in front."""
    base = _mirrored(base, flips)
    if exponent.is_Integer and isinstance(base, sp.Add) and base.could_extract_minus_sign():
        return (-1 if exponent.is_odd else 1) * (-base) ** exponent
    return base**exponent


def _leading_negative(argument: sp.Expr) -> bool:
    first = sorted(sp.Add.make_args(argument), key=sp.default_sort_key)
    by_size = sorted(first, key=lambda term: sp.default_sort_key(abs(term.as_coeff_Mul()[0]) * term.as_coeff_Mul()[1]))
    return bool(by_size[0].could_extract_minus_sign())


def log_sums(expr: sp.Expr) -> sp.Expr:
    r"""Logarithms of sums through those of the terms, :math:`\ln(e^a + e^b) = \tfrac{a+b}2 + \ln 2\cosh\tfrac{a-b}2`."""
    return expr.replace(lambda e: isinstance(e, sp.log) and isinstance(e.args[0], sp.Add), lambda e: _log_sum(e.args[0]))


def _log_sum(total: sp.Add) -> sp.Expr:
    first, *others = (_log_of_product(term) for term in sp.ordered(total.args))
    for other in others:
        first = (first + other) / 2 + Log2Cosh((first - other) / 2)
    return first


def _log_of_product(term: sp.Expr) -> sp.Expr:
    result = sp.Integer(0)
    for factor in sp.Mul.make_args(term):
        base, exponent = factor.as_base_exp()
        if isinstance(factor, sp.exp):
            result += factor.args[0]
        elif isinstance(base, H):
            result += exponent * LogH(base.args[0])
        else:
            result += exponent * sp.log(base)
    return result


def linear_arguments(body: sp.Expr, z: sp.Symbol) -> list[tuple[sp.Expr, sp.Expr, list[sp.Expr], bool, sp.Expr]]:
    """Slope, rest, inner spread of every distinct special argument that contains ``z``, whether it tilts, and its power.

    A kink of the integrand in ``z`` lies where an argument vanishes with the inner variables at 0; the inner variables
    smear it, by their slopes squared times their variances.  A factor ``H`` of the
    body itself tilts: it moves the mass towards its own root.  A symbolic power under an inner average is returned (else
    1): it sharpens the kink.  The features of a composed function are those of the functions in its argument.
    """
    found: dict[tuple[sp.Expr, sp.Expr], tuple[list[sp.Expr], bool, sp.Expr]] = {}
    _collect(body, z, [], sp.Integer(1), found)
    listed = [(slope, rest, spread, tilting, power) for (slope, rest), (spread, tilting, power) in found.items()]
    return [*listed, *_balances(listed)]


def _balances(found: list[tuple[sp.Expr, sp.Expr, list[sp.Expr], bool, sp.Expr]]) -> list[tuple]:
    """Where two averages of a power are equal: their sum has zeros beside it, which inner variables do not smear."""
    pairs = itertools.combinations([entry for entry in found if entry[4] != 1], 2)
    equal = [(a, b) for a, b in pairs if (a[0], a[2:]) == (b[0], b[2:])]
    return [(a[0], sp.expand((a[1] + b[1]) / 2), [], *a[3:]) for a, b in equal]


def _collect(
    node: sp.Expr, z: sp.Symbol, inner: list[Average | AtMaximum | Maximum], power: sp.Expr, found: dict
) -> None:
    special = isinstance(node, SPECIAL) and any(argument.has(z) for argument in arguments(node))
    if special and not node.args[0].has(*SPECIAL):
        for argument in edges_of(node) if isinstance(node, NOISY) else arguments(node):
            spread = []
            for average in inner:
                slope, argument = slope_and_rest(argument, average.variable)
                if slope != 0:
                    spread.append(slope**2 * average.variance)
            key = slope_and_rest(argument, z)
            if key[0] != 0:
                _, tilts, known = found.get(key, (spread, False, sp.Integer(1)))
                tilts = tilts or (isinstance(node, H) and not inner)
                found[key] = (spread, tilts, known if power == 1 or not inner else power)
        return
    if isinstance(node, (AtMaximum, Maximum)) and node.site is not None:
        site, values = node.site
        for argument, value in itertools.product(node.args[: node.FIRST + 1], values):
            _collect(argument.xreplace({site: value}), z, [*inner, node], power, found)
        return
    if isinstance(node, (Average, AtMaximum, Maximum)):
        inner = [*inner, node]
    if isinstance(node, sp.Pow) and not node.exp.is_number and isinstance(node.base, TILTS):
        power = node.exp
    for arg in node.args:
        _collect(arg, z, inner, power, found)


def has_edges(body: sp.Expr, z: sp.Symbol) -> bool:
    """Whether one centre is not enough: a factor with several edges, or one that is worth violating, depends on ``z``."""
    if any(loss.has(z) for loss in body.atoms(LossFunction, *NOISY)):
        return True
    nodes = [node for node in body.atoms(*SMOOTH) if any(a.has(z) for a in node.edges)]
    return any(len(node.edges) > 1 or _costs(node) for node in nodes) or bool(edge_tilts(body, z))


def crossings(body: sp.Expr, z: sp.Symbol) -> list[tuple[sp.Expr, sp.Expr, list[sp.Expr], int, sp.Expr, sp.Expr]]:
    r"""Where the tail beyond an edge falls below the weight of what violates the constraint: kinks beside the edge.

    Slope, rest and spread as in :func:`linear_arguments`, the side of the edge, the logarithm of that weight, and the
    symbolic power under an inner average (else 1): the tail :math:`H(x)` reaches :math:`e^{-c}` near
    :math:`x = \pm \sqrt{2 c}`.
    """
    found: dict[tuple[sp.Expr, ...], tuple[sp.Expr, sp.Expr, list[sp.Expr], int, sp.Expr, sp.Expr]] = {}

    def collect(node: sp.Expr, inner: list[Average | AtMaximum | Maximum], power: sp.Expr) -> None:
        if isinstance(node, SMOOTH):
            for edge, side, loss in _costs(node):
                argument, spread = edge, []
                for average in inner:
                    slope, argument = slope_and_rest(argument, average.variable)
                    spread += [slope**2 * average.variance] if slope != 0 else []
                slope, rest = slope_and_rest(argument, z)
                if slope != 0:
                    known = found.get((slope, rest, side, loss), (sp.Integer(1),))[-1]
                    raised = power if inner and power != 1 else known
                    found[slope, rest, side, loss] = (slope, rest, spread, side, loss, raised)
            return
        if isinstance(node, (Average, AtMaximum, Maximum)):
            inner = [*inner, node]
        if isinstance(node, sp.Pow) and not node.exp.is_number and isinstance(node.base, TILTS):
            power = node.exp
        for arg in node.args:
            collect(arg, inner, power)

    collect(body, [], sp.Integer(1))
    return list(found.values())


def _costs(node: sp.Expr) -> list[tuple[sp.Expr, int, sp.Expr]]:
    """Every edge with a finite price for crossing it, the side that is emptied, and the price."""
    weights = node.log_weights
    return [
        (edge, 1 if _smaller(below, above) else -1, _price(below, above))
        for edge, below, above in zip(node.edges, weights, weights[1:], strict=False)
        if below != above and _price(below, above) != sp.oo
    ]


def _price(below: sp.Expr, above: sp.Expr) -> sp.Expr:
    if sp.oo in (-below, -above):
        return sp.oo
    return below - above if _smaller(above, below) else above - below


def edge_tilts(body: sp.Expr, z: sp.Symbol) -> list[tuple[sp.Expr, sp.Expr, int, sp.Expr]]:
    """Slope and rest of every edge of a tilt in front of the body, the side that it empties, and how much.

    Side +1: the weight is lost where the argument is positive; the last entry is the logarithm of that loss.
    """
    found = []
    for node in sorted(_tilts_in_front(body), key=sp.default_sort_key):
        weights = node.log_weights
        for edge, below, above in zip(node.edges, weights, weights[1:], strict=False):
            slope, rest = slope_and_rest(edge, z)
            if slope != 0 and below != above:
                side = 1 if _smaller(below, above) else -1
                found.append((slope, rest, side, _price(below, above)))
    return found


def _tilts_in_front(node: sp.Expr) -> set[Pieces]:
    if isinstance(node, Pieces):
        return {node}
    if isinstance(node, Average):
        return set()
    return set().union(*(_tilts_in_front(arg) for arg in node.args))


def _smaller(below: sp.Expr, above: sp.Expr) -> bool:
    """Whether the first of two log-weights is the smaller one, for positive parameters."""
    positive = {s: sp.Dummy(positive=True) for s in (below - above).free_symbols}
    return bool((below - above).xreplace(positive).is_negative)
