r"""Line breaks: LaTeX equations at plus and minus signs, text at spaces, so that nothing leaves the page."""

from __future__ import annotations

import re
import textwrap

LINE = 64
"""Visual width of a line of an equation, in characters."""

_TOKEN = re.compile(r"\\left\s*[\[(|.]|\\left\\\{|\\right\s*[\])|.]|\\right\\\}|\\[A-Za-z]+|\\.|[{}]| [+-] |.", re.DOTALL)


def width(latex: str) -> int:
    """Return roughly how many characters wide a piece of LaTeX is when typeset (a fraction: its wider half)."""
    pieces = re.sub(r"\\(mathop|mathbb|mathcal|left|right|operatorname|quad|,|sqrt|hat)", "", latex)
    fraction = re.compile(r"\\frac\{([^{}]*)\}\{([^{}]*)\}")
    pieces = re.sub(r"[_^]\{([^{}]*)\}", lambda m: m[1][: (len(m[1]) + 1) // 2], pieces)
    while match := fraction.search(pieces):
        pieces = pieces[: match.start()] + max(match.groups(), key=len) + pieces[match.end() :]
    return len(re.sub(r"\\[A-Za-z]+", "x", pieces).replace("{", "").replace("}", "").replace(" ", ""))


def broken(latex: str, line: int = LINE) -> list[str]:
    r"""Return the lines of a right-hand side, each at most ``line`` wide where its signs allow it.

    A break inside brackets closes them with ``\right.`` and reopens them with ``\left.``; braces and the arguments of
    functions are never broken.
    """
    if width(latex) <= line:
        return [latex]
    pieces, depths = _pieces(latex)
    lines, current, opened = [], pieces[0], 0
    for piece, depth in zip(pieces[1:], depths, strict=True):
        if width(current + piece) > line:
            lines.append(r"\left." * opened + current + r" \right." * depth)
            current, opened = piece.lstrip(), depth
        else:
            current += piece
    lines.append(r"\left." * opened + current)
    return lines


def _pieces(latex: str) -> tuple[list[str], list[int]]:
    """The text cut before every sign where a line may end, and the number of brackets open at each cut."""
    pieces, braces = [""], 0
    depths: list[int] = []
    delimiters: list[bool] = []
    before = " "
    for token in _TOKEN.findall(latex):
        if token == "{":
            braces += 1
        elif token == "}":
            braces -= 1
        elif token.startswith(r"\left") and not token.startswith(r"\leftarrow"):
            delimiters.append(token[-1] == "[" or before in (" ", r"\,", r"\left[", r"\left("))
        elif token.startswith(r"\right") and not token.startswith(r"\rightarrow"):
            delimiters.pop()
        elif token in (" + ", " - ") and braces == 0 and all(delimiters):
            depths.append(len(delimiters))
            pieces.append("")
        pieces[-1] += token
        before = token if token.strip() else " "
    return pieces, depths


def wrapped(text: str, columns: int, first: str = "", later: str = "") -> str:
    """Return the text in lines of at most ``columns``, broken at spaces (in a formula before a sign where possible)."""
    glued = _glued(text) if " = " in text else text
    lines = textwrap.wrap(
        glued, columns, initial_indent=first, subsequent_indent=later, break_on_hyphens=False, break_long_words=False
    )
    again = []
    for line in lines:
        again += textwrap.wrap(
            line.replace(_SOFT, " "), columns, subsequent_indent=later, break_on_hyphens=False, drop_whitespace=True
        )
    return "\n".join(again).replace(_HARD, " ")


_SOFT, _HARD = "\x1f", "\x1e"
"""A space to break at only where a line has no other, and one never to break at."""


def _glued(text: str) -> str:
    """The text of an equation with the spaces that are no place for a break marked."""
    text = re.sub(r" (~|in) ", f"{_HARD}\\1{_HARD}", text)
    text = re.sub(r"(?<=[,=]) |(?<= [+-]) ", _HARD, text)
    return re.sub(r" \* ", f"{_HARD}*{_SOFT}", text).replace("; ", f";{_SOFT}")
