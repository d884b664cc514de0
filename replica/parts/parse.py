"""Text to sympy expression through a list of allowed names: user text is parsed, never evaluated as code."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from replica.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sympy import Expr

_FUNCTIONS = {
    **{name: name for name in ("exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan")},
    **{name: name for name in ("erf", "erfc", "sign", "Abs", "Max", "Min", "Heaviside")},
    "abs": "Abs", "max": "Max", "min": "Min", "heaviside": "Heaviside",
}  # fmt: skip
"""Functions by the name they are written with, and what sympy calls them."""
_LARGEST_EXPONENT = 200


def parse_expression(text: str, symbols: Collection[str] | None) -> Expr:
    """Return the sympy expression of ``text``.

    Only numbers, arithmetic, the listed ``symbols`` (any if None) and a fixed list of functions are understood;
    everything else is an :class:`InputError`.
    """
    try:
        return _convert(ast.parse(text, mode="eval").body, text, symbols)
    except (SyntaxError, RecursionError, MemoryError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{text!r} is not an expression; write something like 'x*exp(-x**2)'.") from None


def _applied(function: Callable[..., Expr], arguments: list[Expr], name: str, text: str) -> Expr:
    try:
        return function(*arguments)
    except TypeError:
        raise InputError(f"{name} in {text!r} has the wrong number of arguments.") from None


def _power(base: Expr, exponent: Expr) -> Expr:
    if base.is_number and not (exponent.is_number and abs(exponent) <= _LARGEST_EXPONENT) and not exponent.free_symbols:
        raise InputError(f"The power {exponent} of a number is too large.")
    return base**exponent


def _operators() -> dict[type, Callable[[Expr, Expr], Expr]]:
    return {
        ast.Add: lambda a, b: a + b,
        ast.Sub: lambda a, b: a - b,
        ast.Mult: lambda a, b: a * b,
        ast.Div: lambda a, b: a / b,
        ast.Pow: _power,
    }


def _convert(node: ast.expr, text: str, symbols: Collection[str] | None) -> Expr:
    import sympy as sp

    match node:
        case ast.Constant(value=bool()):
            pass
        case ast.Constant(value=int() | float() as number):
            return sp.nsimplify(number) if isinstance(number, float) else sp.Integer(number)
        case ast.Name(id="pi"):
            return sp.pi
        case ast.Name(id=name) if symbols is None or name in symbols:
            return sp.Symbol(name)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_convert(operand, text, symbols)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _convert(operand, text, symbols)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _operators():
            return _operators()[type(op)](_convert(left, text, symbols), _convert(right, text, symbols))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            return _applied(getattr(sp, _FUNCTIONS[name]), [_convert(arg, text, symbols) for arg in args], name, text)
    allowed = "numbers, + - * / **, " + (", ".join(sorted(symbols)) + ", " if symbols else "") + ", ".join(_FUNCTIONS)
    raise InputError(f"{ast.unparse(node)!r} in {text!r} is not understood; allowed are {allowed}.")
