r"""Line breaks: a formula in pieces becomes lines that fit a page, and words become lines that fit a terminal.

The width of LaTeX is estimated in em of the surrounding text, well enough to choose between breaking a line or not.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Callable

from replica.printing.writing import Piece, Pieces, joined

PAGE = 30.0
"""Width of an equation in em: a line of the article class without the number."""

COLUMNS = 100
"""Width of a terminal."""

_WIDTHS = {
    r"\ln": 0.9, r"\cosh": 2.0, r"\tanh": 2.1, r"\lim": 1.5, r"\prod": 1.5, r"\sum": 1.6, r"\mathbb": 0.0, r"\hat": 0.0,
    r"\mathrm": 0.0, r"\,": 0.17, r"\!": -0.17, r"\;": 0.28, r"\quad": 1.0, r"\qquad": 2.0, r"\left": 0.0, r"\right": 0.0,
    r"\bigl": 0.0, r"\bigr": 0.0, r"\Bigl": 0.1, r"\Bigr": 0.1, r"\biggl": 0.2, r"\biggr": 0.2, r"\Biggl": 0.3,
    r"\Biggr": 0.3, r"\to": 1.6, r"\sim": 1.4, r"\pm": 1.4, r"\sqrt": 0.85, r"\ell": 0.42, r"\text": 0.0,
}  # fmt: skip
_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|.", re.DOTALL)


def width(latex: str) -> float:
    """Return about how wide a piece of LaTeX is when typeset, in em."""
    return _measure(_TOKEN.findall(latex), 0, None)[0]


def _measure(tokens: list[str], at: int, end: str | None) -> tuple[float, int]:
    total = 0.0
    while at < len(tokens):
        token = tokens[at]
        at += 1
        if token == end:
            break
        if token in (r"\frac", r"\tfrac"):
            above, at = _argument(tokens, at)
            below, at = _argument(tokens, at)
            total += max(above, below) + 0.25
        elif token in "^_":
            inner, at = _argument(tokens, at)
            total += 0.72 * inner
        elif token == "{":
            inner, at = _measure(tokens, at, "}")
            total += inner
        elif token == "\\mathbb":
            total += 0.7
            _, at = _argument(tokens, at)
        else:
            total += _WIDTHS.get(token, 0.58 if token.startswith("\\") else _letter(token))
    return total, at


def _argument(tokens: list[str], at: int) -> tuple[float, int]:
    while at < len(tokens) and tokens[at] == " ":
        at += 1
    if at < len(tokens) and tokens[at] == "{":
        return _measure(tokens, at + 1, "}")
    return _measure(tokens[: at + 1], at, None)


def _letter(token: str) -> float:
    if token in "+-=":
        return 1.25
    return 0.0 if token in " {}&" else 0.36 if token in "()[]|,.;" else 0.5 if token.isdigit() else 0.55


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes: a hat stands above its letter."""
    return sum(not unicodedata.combining(letter) for letter in text)


def lines(pieces: Pieces, measure: Callable[[str], float], first: float, later: float) -> list[str]:
    """The pieces in lines of at most these widths, broken where as few brackets as possible are open.

    Parameters
    ----------
    pieces : list of Piece
    measure : callable
        Width of a text: :func:`width` or ``len``.
    first, later : float
        Room on the first line and on those that follow.
    """
    found: list[str] = []
    room = first
    rest = list(pieces)
    while rest:
        if measure(joined(rest)) <= room:
            return [*found, joined(rest).strip()]
        fits = [at for at in range(1, len(rest)) if rest[at].depth is not None and measure(joined(rest[:at])) <= room]
        if not fits:
            fits = [at for at in range(1, len(rest)) if rest[at].depth is not None][:1]
        if not fits:
            return [*found, joined(rest).strip()]
        far = [at for at in fits if measure(joined(rest[:at])) >= 0.4 * room] or fits
        shallow = min(rest[at].depth or 0 for at in far)
        cut = max(at for at in far if (rest[at].depth or 0) == shallow)
        found.append(joined(rest[:cut]).strip())
        rest, room = rest[cut:], later
        rest[0] = Piece(rest[0].text.lstrip().removeprefix(r"\, "))
    return found


def wrapped(text: str, indent: str = "", later: str | None = None) -> str:
    """Words in lines of a terminal."""
    return textwrap.fill(
        text, COLUMNS, initial_indent=indent, subsequent_indent=indent if later is None else later,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
