r"""LaTeX and plain text of a derivation, with the internal symbols renamed as a paper would write them.

Gaussian variables of the fields become ``z_0, z_1, ...`` (an anchor's own noise ``u``), those of the conjugates
``x_0, x_1, ...``, in the order in which the tree introduces them; definitions are numbered by kind.  Arguments of special
functions and norms of tilted averages are abbreviated at print time, so that the expressions themselves stay whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sympy as sp
from sympy.printing.latex import LatexPrinter
from sympy.printing.str import StrPrinter

from replica.expr import SPECIAL, Average, H, LogH, Mills, MillsExcess, SiteSum
from replica.layout import broken, wrapped
from replica.symbols import latex_symbol

if TYPE_CHECKING:
    from replica.free_entropy import FreeEntropy
    from replica.steps import Step

COLUMNS = 100
Pairs = Sequence[tuple[Any, sp.Expr]]

_KINDS = {
    "el": ("l", r"\ell", 1, "regression coefficient"), "ev": ("sigma", r"\sigma", 2, "variance"),
    "es": ("s", "s", 2, "variance"), "er": ("rho", r"\rho", 1, "regression coefficient"),
    "ec": ("tau", r"\tau", 2, "variance"), "wl": ("lhat", r"\hat{\ell}", 1, "regression coefficient"),
    "wv": ("sigmahat", r"\hat{\sigma}", 2, "variance"),
}
"""Text letter, LaTeX letter and power of the definitions of a kind (variances are written as squares)."""

_WORDS: tuple[tuple[tuple[type, ...], str, str], ...] = (
    ((H,), r"$H(x) = \int_x^\infty \frac{\mathrm{d}z}{\sqrt{2\pi}}\, e^{-z^2/2}$ is the Gaussian tail",
     "H(x) = P(z > x) for a standard Gaussian z is the Gaussian tail"),
    ((LogH,), r"$\ln H$ is its logarithm", "ln H is its logarithm"),
    ((Mills, MillsExcess), r"$M(x) = -\partial_x \ln H(x)$ is the inverse Mills ratio",
     "M(x) = -(d/dx) ln H(x) is the inverse Mills ratio"),
)


class Names:
    """The names that a reader sees for the symbols of some expressions: ``shown`` renames, ``latex`` typesets."""

    def __init__(self, expressions: Iterable[sp.Expr], definitions: Mapping[sp.Symbol, sp.Expr]) -> None:
        expressions = [sp.sympify(e) for e in expressions]
        fields: list[sp.Symbol] = []
        weights: list[sp.Symbol] = []
        values: list[sp.Symbol] = []
        own: list[sp.Symbol] = []
        for expr in expressions:
            for node in sp.preorder_traversal(expr):
                if isinstance(node, (Average, SiteSum)):
                    kind = values if isinstance(node, SiteSum) else weights if node.variable.name[0] == "w" else fields
                    kind = own if node.variable.name.endswith("_own") else kind
                    if node.variable not in kind:
                        kind.append(node.variable)
        free = set().union(*(e.free_symbols for e in (*expressions, *definitions.values())))
        self.taken = {s.name for s in free - set(definitions)}
        self.renamed: dict[sp.Expr, sp.Expr] = {}
        self.tex: dict[sp.Symbol, str] = {sp.Symbol(name): latex_symbol(name) for name in self.taken}
        for letters, symbols in (("zyv", fields), ("xfg", weights), ("uab", own), ("sw", values)):
            letter = next((c for c in letters if not any(re.fullmatch(rf"{c}\d*", t) for t in self.taken)), letters)
            for index, symbol in enumerate(symbols):
                alone = len(symbols) == 1
                new = sp.Symbol(letter if alone else f"{letter}{index}")
                self.renamed[symbol], self.tex[new] = new, letter if alone else f"{letter}_{{{index}}}"
        numbers: dict[str, int] = {}
        for symbol in definitions:
            text, tex, power, _ = _KINDS.get(symbol.name[:2], ("c", "c", 1, ""))
            number = numbers[text] = numbers.get(text, 0) + 1
            while f"{text}{number}" in self.taken:
                number = numbers[text] = number + 1
            new = sp.Symbol(f"{text}{number}", positive=True if power == 2 else None)
            self.renamed[symbol], self.tex[new] = new**power, f"{tex}_{{{number}}}"

    def shown(self, expr: sp.Expr) -> sp.Expr:
        """The expression in the symbols that are shown."""
        return sp.sympify(expr).xreplace(self.renamed)


class _Conventions:
    """What both printers share: abbreviations, sums that start with a positive term, averages after their prefactor."""

    short: dict[sp.Expr, str]
    brackets: tuple[str, str] = ("[", "]")

    def _as_ordered_terms(self, expr: sp.Expr, order: str | None = None) -> list[sp.Expr]:
        terms = list(super()._as_ordered_terms(expr, order=order))  # type: ignore[misc]
        first = next((i for i, term in enumerate(terms) if not term.could_extract_minus_sign()), 0)
        return [terms[first], *terms[:first], *terms[first + 1 :]]

    def _print(self, expr: Any, **kwargs: Any) -> str:
        if isinstance(expr, sp.Basic) and expr in self.short:
            return self.short[expr]
        if isinstance(expr, MillsExcess) and expr.args[0] in self.short:
            name = self.short[expr.args[0]]
            power, opening, closing = kwargs.get("exp"), *self.brackets
            text = f"{opening}{self._print(Mills(expr.args[0]))} - {name}{closing}"
            return f"{text}^{{{power}}}" if power else text
        return super()._print(expr, **kwargs)  # type: ignore[misc]

    def _split(self, expr: sp.Expr) -> tuple[sp.Expr, list[sp.Expr]]:
        """A product as its prefactor and its averages and long sums (what divides stays in the prefactor)."""
        averages = [
            f for f in sp.Mul.make_args(expr)
            if ((f.as_base_exp()[0].has(Average, SiteSum) and isinstance(f.as_base_exp()[0], (Average, SiteSum, sp.Add)))
                or (isinstance(f, (sp.Add, sp.log)) and len((f if f.is_Add else f.args[0]).args) > 8))
            and f.as_base_exp()[0] not in self.short and not f.as_base_exp()[1].could_extract_minus_sign()
        ]
        return sp.Mul(*(f for f in sp.Mul.make_args(expr) if f not in averages)), averages

    def _bracketed(self, factor: sp.Expr) -> str:
        return self._print(factor).join(self.brackets) if factor.is_Add else self._print(factor)


class _Latex(_Conventions, LatexPrinter):
    brackets = (r"\left[", r"\right]")

    def __init__(self, tex: Mapping[sp.Symbol, str], short: dict[sp.Expr, str]) -> None:
        super().__init__({"ln_notation": True, "symbol_names": dict(tex), "mul_symbol": r"\,"})
        self.short = short

    def _print_Mul(self, expr: sp.Expr) -> str:
        factor, averages = self._split(expr)
        if not averages:
            return super()._print_Mul(expr)
        front = {1: "", -1: "- "}.get(factor) if factor.is_number else None
        if front is None:
            front = (rf"\left({self._print(factor)}\right)" if factor.is_Add else self._print(factor)) + r" \, "
        return front + r" \, ".join(self._bracketed(a) for a in averages)

    def _print_log(self, expr: sp.Expr, exp: str | None = None) -> str:
        text = rf"\ln\left[{self._print(expr.args[0])}\right]"  # square brackets: a line may end in them
        return rf"({text})^{{{exp}}}" if exp else text


class _Text(_Conventions, StrPrinter):
    def __init__(self, short: dict[sp.Expr, str]) -> None:
        super().__init__()
        self.short = short

    def _print_Mul(self, expr: sp.Expr) -> str:
        factor, averages = self._split(expr)
        if not averages:
            return super()._print_Mul(expr)
        front = {1: "", -1: "-"}.get(factor) if factor.is_number else None
        if front is None:
            front = (f"({self._print(factor)})" if factor.is_Add else self._print(factor)) + " * "
        return front + " * ".join(self._bracketed(a) for a in averages)

    def _print_Pow(self, expr: sp.Expr, rational: bool = False) -> str:
        return super()._print_Pow(expr, rational).replace("**", "^")

    def _print_LogH(self, expr: sp.Expr) -> str:
        return f"ln H({self._print(expr.args[0])})"

    def _print_log(self, expr: sp.Expr) -> str:
        return f"ln({self._print(expr.args[0])})"

    def _print_Mills(self, expr: sp.Expr) -> str:
        return f"M({self._print(expr.args[0])})"

    def _print_MillsExcess(self, expr: sp.Expr) -> str:
        inner = self._print(expr.args[0])
        return f"[M({inner}) - {inner if expr.args[0] in self.short else f'({inner})'}]"

    def _print_TwoCosh(self, expr: sp.Expr) -> str:
        return f"[2cosh({self._print(expr.args[0])})]"

    def _print_Log2Cosh(self, expr: sp.Expr) -> str:
        return f"ln 2cosh({self._print(expr.args[0])})"

    def _print_Step(self, expr: sp.Expr) -> str:
        return f"theta({self._print(expr.args[0])})"


class Writer:
    """Equations of one derivation in one format, with what has been explained so far."""

    def __init__(self, names: Names, definitions: Mapping[sp.Symbol, sp.Expr], latex: bool) -> None:
        self.names, self.definitions, self.latex = names, dict(definitions), latex
        self.told: set[Any] = set()
        self.short: dict[sp.Expr, str] = {}
        self.numbers = {"A": 0, "Z": 0}
        self.printer = _Latex(names.tex, self.short) if latex else _Text(self.short)

    def expression(self, expr: sp.Expr) -> str:
        """The expression in the names that are shown."""
        return self.printer.doprint(self.names.shown(expr))

    def left(self, name: str) -> str:
        """The left-hand side that goes with a name of a step."""
        if isinstance(name, _Left):
            return name
        symbol = sp.Symbol(name)
        if symbol in self.names.renamed and symbol not in self.definitions:
            shown = self.expression(symbol)
            return rf"\operatorname{{Var}}({shown})" if self.latex else f"Var({shown})"
        if not self.latex:
            return name
        known = {"-sum_{a<b} Qhat_ab Q_ab": r"- \sum_{a<b} \hat{Q}_{ab} Q_{ab}", "Phi": r"\Phi", "phi": r"\phi"}
        if name in known:
            return known[name]
        return f"N_{{{latex_symbol(name[2:])}}}" if name.startswith("N_") else name

    def block(self, pairs: Pairs) -> str:
        """Equations, the definitions and abbreviations that they need for the first time, and words for functions."""
        pairs = [(left, sp.sympify(expr)) for left, expr in pairs]
        shown = [self.names.shown(expr) for _, expr in pairs]
        new = self._abbreviate(shown)
        lefts = [self.left(k) if isinstance(k, str) else self.expression(k) for k, _ in pairs]
        lines = [(left, self.printer.doprint(expr)) for left, expr in zip(lefts, shown, strict=True)]
        where = [(self.short[e], self._unabbreviated(e)) for e in new]
        where += [(self.expression(s), self.expression(e)) for s, e in self._needed(expr for _, expr in pairs)]
        text = self._display(lines)
        if where:
            text += ("\nwhere\n" if self.latex else "\n  where\n") + self._display(where)
        if words := self._words(shown):
            text += f"\nHere {words}." if self.latex else "\n" + wrapped(f"Here {words}.", COLUMNS, "  ", "  ")
        return text

    def _abbreviate(self, shown: list[sp.Expr]) -> list[sp.Expr]:
        """Name the long arguments of special functions and the averages in denominators that are new here."""
        new = []
        for expr in shown:
            nodes = list(sp.preorder_traversal(expr))
            norms = [
                n.base for n in nodes
                if n.is_Pow and isinstance(n.base, Average) and (n.exp.could_extract_minus_sign() or n.exp.is_Add)
            ]
            arguments = [n.args[0] for n in nodes if isinstance(n, SPECIAL)]
            for letter, found in (("A", arguments), ("Z", norms)):
                for item in found:
                    if (known := next((e for e in self.short if sp.expand(e - item) == 0), None)) is not None:
                        self.short[item] = self.short[known]
                    if item in self.short or item.is_Atom or (letter == "A" and item.count_ops() < 2):
                        continue
                    name = f"{letter}{self.numbers[letter]}"
                    while name in self.names.taken:
                        self.numbers[letter] += 1
                        name = f"{letter}{self.numbers[letter]}"
                    self.short[item] = f"{letter}_{{{self.numbers[letter]}}}" if self.latex else name
                    self.numbers[letter] += 1
                    new.append(item)
        return new

    def _unabbreviated(self, expr: sp.Expr) -> str:
        name = self.short.pop(expr)
        text = self.printer.doprint(expr)
        self.short[expr] = name
        return text

    def _needed(self, exprs: Iterable[sp.Expr]) -> list[tuple[sp.Symbol, sp.Expr]]:
        needed = set().union(*(e.free_symbols for e in exprs))
        for symbol in reversed(list(self.definitions)):
            if symbol in needed:
                needed |= self.definitions[symbol].free_symbols
        found = [(s, e) for s, e in self.definitions.items() if s in needed and s not in self.told]
        self.told |= {s for s, _ in found}
        return found

    def _words(self, shown: list[sp.Expr]) -> str:
        words: list[str] = []
        for functions, tex, text in _WORDS:
            if functions not in self.told and any(e.has(*functions) for e in shown):
                self.told.add(functions)
                words.append(tex if self.latex else text)
        if words and (H,) not in self.told:
            self.told.add((H,))
            words.insert(0, _WORDS[0][1] if self.latex else _WORDS[0][2])
        return ", ".join(words)

    def _display(self, lines: Sequence[tuple[str, str]]) -> str:
        if not self.latex:
            return "\n".join(wrapped(f"{left} = {right}", COLUMNS, "    ", "        ") for left, right in lines)
        rows = [f"{left} &= " + " \\\\\n&\\quad ".join(broken(right)) for left, right in lines]
        return "\\begin{align}\n" + " \\\\\n".join(rows) + "\n\\end{align}"


def _writer(steps: Sequence[Step], fe: FreeEntropy | None, latex: bool) -> Writer:
    definitions = {symbol: expr for step in steps for symbol, expr in step.definitions}
    # the Gaussian decomposition first: it introduces the variables in the order of the tree
    ordered = sorted(steps, key=lambda step: step.title != "Gaussian decomposition")
    expressions = [expr for step in ordered for _, expr in step.equations]
    if fe is not None:
        definitions |= dict(fe.definitions)
        expressions += [eq.rhs for eq in fe.saddle_equations()] + [sp.Symbol(eq.lhs.name) for eq in fe.saddle_equations()]
        expressions += [f for r in fe.replicons.values() for f in (r.energetic, r.weights)]
    return Writer(Names(expressions, definitions), definitions, latex)


def latex_step(step: Step) -> str:
    """Return the equations of one step as LaTeX."""
    writer = _writer([step], None, latex=True)
    return "\n".join(filter(None, (step.formula[0], writer.block(step.equations))))


def latex_result(fe: FreeEntropy) -> str:
    """Return the free entropy as one LaTeX expression, to be set between dollar signs."""
    writer = _writer(fe.steps, fe, latex=True)
    total = fe.interaction + fe.entropic + sp.Symbol("alpha") * fe.energetic
    lines = broken(writer.expression(total))
    rows = " \\\\\n&\\quad ".join(lines)
    where = [f"{writer.expression(s)} &= {writer.expression(e)}" for s, e in writer._needed([total])]
    return "\\begin{aligned}\n" + " \\\\\n".join([rf"\phi &= {rows}", *where]) + "\n\\end{aligned}"


def latex_document(fe: FreeEntropy) -> str:
    """Return the derivation as a LaTeX fragment (article with amsmath and amssymb)."""
    return "\n\n".join(_sections(fe, latex=True)) + "\n"


def text_document(fe: FreeEntropy) -> str:
    """Return the derivation as plain text of at most 100 columns."""
    return "\n\n".join(_sections(fe, latex=False)) + "\n"


def steps_document(fe: FreeEntropy, latex: bool) -> str:
    """Return the steps alone, each with all its equations, as LaTeX or as text."""
    writer = _writer(fe.steps, fe, latex)
    sections = [
        _section(step.title, step.text, [step.formula[0 if latex else 1], writer.block(step.equations)], latex)
        for step in fe.steps
    ]
    return "\n\n".join(sections) + "\n"


def _section(title: str, sentence: str, parts: Sequence[str], latex: bool) -> str:
    if latex:
        head = rf"\paragraph{{{_prose(title)}.}} {_prose(sentence)}"
    else:
        head = f"{title}\n{'-' * len(title)}\n" + wrapped(sentence, COLUMNS)
    return "\n".join(filter(None, (head, *parts)))


def _prose(text: str) -> str:
    """Words for LaTeX: symbols in math, special characters escaped."""
    text = re.sub(r"([_%&#])", r"\\\1", text)
    text = re.sub(r"(\w+) -> 0", lambda m: rf"${latex_symbol(m[1])} \to 0$", text)
    words = r"\b(replicas|fields|overlaps|factor|number|unit of) ([A-Za-z]|chi)\b"
    text = re.sub(words, lambda m: f"{m[1]} ${latex_symbol(m[2])}$", text)
    return re.sub(r"\b1 - 2 distance\b", r"$1 - 2 \\times$ distance", text)


def _sections(fe: FreeEntropy, latex: bool) -> list[str]:
    writer = _writer(fe.steps, fe, latex)
    title = f"{fe.model.name}, {fe.ansatz.name}"
    sections = [f"% {title}: derivation" if latex else f"{title}\n{'=' * len(title)}"]
    for step in fe.steps:
        equations = writer.block(step.equations) if step.shown else ""
        sections.append(_section(step.title, step.text, [step.formula[0 if latex else 1], equations], latex))
    sections.insert(-1, _parameters(fe, writer))
    saddle = [(eq.lhs, eq.rhs) for eq in fe.saddle_equations()]
    sentence = "Stationarity in every overlap, by Price's theorem, gives the conjugates; the rest is the weights."
    sections.append(_section("Saddle equations", sentence, [writer.block(saddle)], latex))
    if fe.replicons:
        sections.append(_replicons(fe, writer))
    return sections


def _parameters(fe: FreeEntropy, writer: Writer) -> str:
    """The order parameters with their meaning."""
    roles = {"imposed": "imposed", "given": "given by the reference", "extremised": "extremised"}
    if not writer.latex:
        told = [f"{op.symbol}, {op.conjugate}: {op.meaning} ({roles[op.role]})" for op in fe.order_parameters]
        texts = [wrapped(line.replace(":  (", ": ("), COLUMNS, "  ", "    ") for line in told]
        return _section("Order parameters", "Overlaps, each with its conjugate:", texts, latex=False)
    items = [
        rf"\item ${latex_symbol(op.symbol)}$ (conjugate ${latex_symbol(op.conjugate)}$): "
        + _prose(", ".join(filter(None, (op.meaning, roles[op.role]))))
        for op in fe.order_parameters
    ]
    lines = [r"\begin{itemize}", *items, r"\end{itemize}"]
    return _section("Order parameters", "Overlaps, each with its conjugate:", lines, latex=True)


def _replicons(fe: FreeEntropy, writer: Writer) -> str:
    """The stability condition of every group of replicas."""
    parts = []
    for replicon in fe.replicons.values():
        if writer.latex:
            left = [f"{factor}_{{{latex_symbol(replicon.overlap)}}}" for factor in "EW"]
            condition = rf"1 - \alpha \, {left[0]} \, {left[1]} > 0"
            parts.append(f"\\begin{{equation}}\n{condition}\n\\end{{equation}}")
        else:
            left = [f"{factor}_{replicon.overlap}" for factor in "EW"]
            parts.append(f"    1 - alpha * {left[0]} * {left[1]} > 0")
        parts.append(writer.block([(_Left(left[0]), replicon.energetic), (_Left(left[1]), replicon.weights)]))
    sentence = "The saddle is stable against breaking the symmetry of the replicas in a group (de Almeida-Thouless) where"
    return _section("Replicon", sentence, parts, writer.latex)


class _Left(str):
    """A left-hand side that is already typeset."""
