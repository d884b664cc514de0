"""Expressions without averages as Python source: arithmetic with cheap powers, and every name mangled."""

from __future__ import annotations

import sympy as sp
from sympy.printing.pycode import PythonCodePrinter

from replica.parts.hermite import PowerSeries, SeriesGap
from replica.parts.losses import LossFunction
from saddle.kernels.window import NO_VARIANCE


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

    def _print_Softplus(self, expr: sp.Expr) -> str:
        return f"softplus({self._print(expr.args[0])})"

    def _print_NegativeInfinity(self, expr: sp.Expr) -> str:
        return "(-math.inf)"

    def _print_Angle(self, expr: sp.Expr) -> str:
        return f"angle({self._print(expr.args[0])})"

    def _print_Wedge(self, expr: sp.Expr) -> str:
        return f"wedge({self._print(expr.args[0])})"

    def _print_ArcsineGap(self, expr: sp.Expr) -> str:
        return f"arcsine_gap({self._print(expr.args[0])}, {self._print(expr.args[1])})"

    def _print_Function(self, expr: sp.Expr) -> str:
        # classes of their own, one per series: sympy looks for methods by the last name only
        if isinstance(expr, LossFunction):
            return f"({self._print(expr.written)})"
        argument = self._print(expr.args[0])
        if isinstance(expr, PowerSeries):
            return f"horner({table_name(expr)}, {argument})"
        if isinstance(expr, SeriesGap):
            return f"(({argument}) * horner({table_name(expr)}, 1.0 - ({argument})))"
        return str(super()._print_Function(expr))

    def _print_Positive(self, expr: sp.Expr) -> str:
        return f"max({self._print(expr.args[0])}, {NO_VARIANCE})"

    def _print_Symbol(self, expr: sp.Symbol) -> str:
        return f"_{expr.name}"

    _print_Dummy = _print_Symbol


def table_name(series: sp.Expr) -> str:
    """Name of the table of coefficients of a series in a kernel module."""
    return f"_{type(series).__name__}"


_PRINTER = _Printer({"fully_qualified_modules": True})


def text(expr: sp.Expr) -> str:
    """Python source of an expression without averages."""
    return str(_PRINTER.doprint(expr))
