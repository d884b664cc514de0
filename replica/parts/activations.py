r"""Activations of hidden units by name or as an expression in ``x``: which kernel they have.

A name or a text is parsed against a list of functions (:mod:`replica.parts.parse`), never evaluated as code.  An activation
that is a polynomial plus multiples of ``|x|``, ``sign(x)`` and ``erf(a x)`` has a kernel in closed form
(:mod:`replica.parts.correlations`), any other one a series (:mod:`replica.parts.hermite`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from replica.errors import InputError

if TYPE_CHECKING:
    import sympy as sp

    from replica.parts.correlations import Decomposition, Kernel

NAMED = {
    "linear": "x",
    "sign": "sign(x)",
    "relu": "(x + abs(x))/2",
    "erf": "erf(x)",
    "erf-sqrt2": "erf(x/sqrt(2))",
    "tanh": "tanh(x)",
    "quadratic": "x**2",
}
"""Activations by name, as expressions in ``x``."""
_LEAKY = re.compile(r"leaky-relu(?:\((?P<slope>[^()]*)\))?")
_DEFAULT_SLOPE = "0.1"
NAMES = (*NAMED, "leaky-relu(SLOPE)")


def activation_text(activation: Any) -> str:
    """Return the text that names an activation: a name, or an expression in ``x``, as given or of a sympy expression.

    Raises
    ------
    InputError
        For a text that is not understood, or an expression of more than one variable.
    """
    text = " ".join(activation.split()) if isinstance(activation, str) else _text_of(activation)
    if text not in NAMED:  # those need no symbolic algebra to be known
        expression(text)
    return text


def _text_of(activation: Any) -> str:
    import sympy as sp

    if not isinstance(activation, sp.Expr):
        raise InputError(f"An activation is a name, a text or a sympy expression, not a {type(activation).__name__}.")
    symbols = sorted(activation.free_symbols, key=str)
    if len(symbols) > 1:
        raise InputError(f"The activation {activation} has more than one variable: {', '.join(map(str, symbols))}.")
    return sp.sstr(activation.subs({s: sp.Symbol("x") for s in symbols}), full_prec=True)


@lru_cache(maxsize=64)
def expression(text: str) -> sp.Expr:
    """Return the activation of a text as an expression in the real symbol ``x``, kinks through ``Abs`` and ``sign``."""
    import sympy as sp

    from replica.parts.parse import parse_expression

    formula = NAMED.get(text, text)
    if leaky := _LEAKY.fullmatch(text):
        slope = leaky["slope"] if leaky["slope"] is not None else _DEFAULT_SLOPE
        formula = f"((1 + ({slope}))*x + (1 - ({slope}))*abs(x))/2"
    try:
        parsed = parse_expression(formula, ("x",))
    except InputError as error:
        raise InputError(f"{error} Activations by name are {', '.join(NAMES)}.") from None
    x = sp.Symbol("x", real=True)
    parsed = parsed.subs(sp.Symbol("x"), x)
    parsed = parsed.replace(sp.Heaviside, lambda a, *_: (1 + sp.sign(a)) / 2)
    parsed = parsed.replace(sp.Max, lambda *a: _larger(a, 1)).replace(sp.Min, lambda *a: _larger(a, -1))
    if not parsed.has(x):
        raise InputError(f"The activation {text} does not depend on x.")
    if parsed.has(sp.zoo, sp.oo, sp.nan, sp.I):
        raise InputError(f"The activation {text} is not a finite real function.")
    return parsed


def _larger(numbers: tuple[sp.Expr, ...], sign: int) -> sp.Expr:
    """The largest (or smallest) of several numbers through absolute values."""
    import sympy as sp

    result = numbers[0]
    for other in numbers[1:]:
        result = (result + other + sign * sp.Abs(result - other)) / 2
    return result


@lru_cache(maxsize=64)
def kernel_of(text: str) -> Kernel:
    """Return the kernel of an activation."""
    import sympy as sp

    from replica.parts.hermite import series_kernel

    expr, x = expression(text), sp.Symbol("x", real=True)
    parts = decomposed(expr, x)
    kernel = parts.kernel() if parts is not None else series_kernel(expr, x, text)
    if parts is not None and kernel.value(sp.Integer(1)) == 0:
        raise InputError(f"The activation {text} is constant.")
    return kernel


def decomposed(expr: sp.Expr, x: sp.Symbol) -> Decomposition | None:
    """The parts of an activation with a closed form, None if it has others."""
    import sympy as sp

    from replica.parts.correlations import Decomposition

    polynomial: dict[int, sp.Expr] = {}
    absolute, sign = sp.Integer(0), sp.Integer(0)
    errors: dict[sp.Expr, sp.Expr] = {}
    steep = sp.expand(expr).replace(sp.Abs, lambda a: a * sp.sign(a))
    for term in sp.Add.make_args(sp.expand(steep)):
        coefficient, rest = term.as_independent(x, as_Add=False)
        powers = rest.as_powers_dict()
        odd = powers.pop(sp.sign(x), sp.Integer(0))
        if isinstance(rest, sp.erf) and (slope := sp.diff(rest.args[0], x)).is_number and rest.args[0].subs(x, 0) == 0:
            size = abs(slope)
            errors[size] = errors.get(size, sp.Integer(0)) + coefficient * sp.sign(slope)
            continue
        degree = powers.pop(x, sp.Integer(0))
        powers.pop(sp.Integer(1), None)
        whole = degree.is_Integer and odd.is_Integer and degree >= 0 and odd >= 0
        if powers or not whole or not coefficient.is_real or (odd % 2 and degree > 1):
            return None
        if odd % 2 == 0:
            polynomial[int(degree)] = polynomial.get(int(degree), sp.Integer(0)) + coefficient
        elif degree == 0:
            sign += coefficient
        else:
            absolute += coefficient
    coefficients = tuple(polynomial.get(n, sp.Integer(0)) for n in range(max(polynomial, default=0) + 1))
    return Decomposition(coefficients, absolute, sign, tuple((c, a) for a, c in errors.items()))
