"""Text to sympy expression through a list of allowed names: user text is parsed, never evaluated as code."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from replica.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sympy import Expr

_FUNCTIONS = ("exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "atan", "erf", "Abs", "sign", "Max")


def parse_expression(text: str, symbols: Collection[str] | None) -> Expr:
    """Return the sympy expression of ``text``.

    Only numbers, arithmetic, the listed ``symbols`` (any if None) and a fixed list of functions are understood;
    everything else is an :class:`InputError`.
    """
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError:
        raise InputError(f"{text!r} is not an expression; write something like 'x*exp(-x**2)'.") from None
    return _convert(tree, text, symbols)


def _operators() -> dict[type, Callable[[Expr, Expr], Expr]]:
    return {
        ast.Add: lambda a, b: a + b,
        ast.Sub: lambda a, b: a - b,
        ast.Mult: lambda a, b: a * b,
        ast.Div: lambda a, b: a / b,
        ast.Pow: lambda a, b: a**b,
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
            return getattr(sp, name)(*(_convert(arg, text, symbols) for arg in args))
    allowed = "numbers, + - * / **, " + (", ".join(sorted(symbols)) + ", " if symbols else "") + ", ".join(_FUNCTIONS)
    raise InputError(f"{ast.unparse(node)!r} in {text!r} is not understood; allowed are {allowed}.")
