"""Numeric options as a person types them: ``0.5``, ``-1,0,1``, ``-1:0.41:42``, ``1e-4:0.3:50:log``.

A grid is computed in decimal arithmetic from the text and rounded once, so that ``-1:1:21`` holds 0.1 and not
0.10000000000000009, and both ends are exactly what was typed.  Whatever cannot be meant is refused with one sentence
before anything is computed; nothing here ever guesses.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal, localcontext
from typing import Any

from replica.errors import InputError

MAX_POINTS = 1_000_000
"""Longest list an option or a product of options may give; a longer one is a typing error."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_COUNT = re.compile(r"[+-]?\d+", re.ASCII)
_FORMS = "a number, a comma list, start:stop:count or start:stop:count:log"


def numbers(text: str) -> tuple[float, ...]:
    """The numbers that ``text`` stands for, in order; see :func:`values`."""
    return tuple(v for v in values(text) if not isinstance(v, str))


def values(text: str, words: Sequence[str] = ()) -> tuple[float | str, ...]:
    """The values that ``text`` stands for, in the order given.

    Parameters
    ----------
    text : str
        A number, ``start:stop:count`` (both ends included), ``start:stop:count:log`` (equal ratios; ends of one sign),
        or a comma list of these.
    words : sequence of str
        Words that the option understands beside numbers, e.g. ``("max",)``; they come back as they are.

    Raises
    ------
    InputError
        One sentence: what is wrong with which part of the text.
    """
    found: list[float | str] = []
    for item in text.split(","):
        item = item.strip()
        found.extend((item,) if item in words else _item(item, text, words))
        if len(found) > MAX_POINTS:
            raise InputError(f"{_quote(text)} gives more than {MAX_POINTS} points")
    return tuple(found)


def as_range(name: str, given: Any) -> tuple[float | str, ...]:
    """Values of the parameter ``name`` given from Python: a number, a word, a text as above, or an iterable of these.

    Raises
    ------
    InputError
        For what is no number, and for values outside the domain of the parameter.
    """
    if isinstance(given, str):
        found = values(given, words=("max", "inf"))
    else:
        listed = list(given) if isinstance(given, Iterable) else [given]
        try:
            found = tuple(value if value in ("max", "inf") else float(value) for value in listed)
        except (TypeError, ValueError):
            raise InputError(f"{name} = {given!r} is not a number") from None
    if not found:
        raise InputError(f"{name} has no values")
    check_domain(name, ["inf" if value == math.inf and name in _UNBOUNDED else value for value in found])
    return found


_UNBOUNDED = ("y", "beta", "reference_beta")


def _item(item: str, text: str, words: Sequence[str]) -> tuple[float, ...]:
    """The numbers of one member of the comma list."""
    if not text.strip():
        raise InputError(f"an empty value: give {_FORMS}")
    if not item:
        raise InputError(f"{_quote(text)} has an empty member: give {_FORMS}")
    parts = item.split(":")
    if len(parts) == 1:
        return (float(_number(item, words)),)
    if len(parts) not in (3, 4) or (len(parts) == 4 and parts[3] != "log"):
        raise InputError(f"{_quote(item)} is not a range: write start:stop:count or start:stop:count:log")
    return _grid(_number(parts[0]), _number(parts[1]), _count(parts[2], item), item, log=len(parts) == 4)


def _number(text: str, words: Sequence[str] = ()) -> Decimal:
    """``text`` as an exact decimal whose float is finite."""
    if not _NUMBER.fullmatch(text):
        known = "".join(f" or {word}" for word in words)
        if text.lstrip("+-").lower() in ("nan", "inf", "infinity"):
            raise InputError(f"{_quote(text)} is not a finite number")
        raise InputError(f"{_quote(text)} is not a number{known}" if text else "a range has an empty part")
    if not math.isfinite(float(text)):
        raise InputError(f"{_quote(text)} is too large for a number")
    return Decimal(text) if float(text) else Decimal(0)  # below the smallest float nothing is left to scale


def _count(text: str, item: str) -> int:
    if not _COUNT.fullmatch(text):
        raise InputError(f"{_quote(item)}: the count {_quote(text)} is not an integer")
    if len(text) > 18 or int(text) > MAX_POINTS:
        raise InputError(f"{_quote(item)} gives more than {MAX_POINTS} points")
    if int(text) < 1:
        raise InputError(f"{_quote(item)} is empty: the count must be at least 1")
    return int(text)


def _grid(start: Decimal, stop: Decimal, count: int, item: str, *, log: bool) -> tuple[float, ...]:
    """``count`` values from start to stop: equally spaced, or with equal ratios where ``log``."""
    if log and start * stop <= 0:
        raise InputError(f"{_quote(item)}: a logarithmic range needs two ends of the same sign, neither of them 0")
    if count == 1:
        if start != stop:
            # numpy would give the start alone; a person who types 0:1:1 more likely means a step of 1
            raise InputError(f"{_quote(item)}: one point cannot reach from start to stop (the third part is a count)")
        return (float(start),)
    with localcontext() as context:
        context.prec = 40
        if log:
            ratio = stop / start
            inner = (start * ratio ** (Decimal(i) / (count - 1)) for i in range(1, count - 1))
        else:
            inner = (start + (stop - start) * i / (count - 1) for i in range(1, count - 1))
        return (float(start), *(float(value) for value in inner), float(stop))


def product(**ranges: Sequence[float | str]) -> list[dict[str, float | str]]:
    """All combinations of the ranges, one dict a row, with ``overlap`` or ``distance`` as the fastest.

    The keys of every row keep the order given.
    """
    total = math.prod(len(values) for values in ranges.values())
    if total > MAX_POINTS:
        raise InputError(f"the ranges together give {total} points, more than {MAX_POINTS}")
    nested = sorted(ranges, key=lambda name: name in ("overlap", "distance"))
    rows = (dict(zip(nested, row, strict=True)) for row in itertools.product(*(ranges[name] for name in nested)))
    return [{name: row[name] for name in ranges} for row in rows]


def check_domain(name: str, found: Sequence[float | str]) -> None:
    """Refuse values outside the domain of the parameter ``name`` (finite; alpha > 0; distance in (0, 1/2)).

    What depends on a solution, such as the largest reference margin, is not known here.
    """
    for value in found:
        if isinstance(value, str):
            continue
        if not math.isfinite(value):
            raise InputError(f"{name} = {value} is not a finite number")
        if name == "alpha" and not value > 0:
            raise InputError(f"alpha = {value:g} is not a load: alpha must be positive")
        if name.endswith("beta") and not value > 0:
            raise InputError(f"{name} = {value:g} is not an inverse temperature: it must be positive, or inf")
        if name == "distance" and not 0 < value < 0.5:
            raise InputError(f"distance = {value:g} is outside (0, 1/2)")
        if name == "overlap" and not 0 < value < 1:
            raise InputError(f"overlap = {value:g} is outside (0, 1)")
        if name == "y" and not value >= 1:
            raise InputError(f"y = {value:g} counts replicas: it must be at least 1")
        if name == "m" and not value > 0:
            raise InputError(f"m = {value:g} must be positive")


def assignments(text: str) -> dict[str, float]:
    """``q=0.9,qhat=2`` as a dict of finite numbers."""
    found: dict[str, float] = {}
    for item in text.split(","):
        name, equals, number = (part.strip() for part in item.partition("="))
        if not equals or not name.isidentifier():
            raise InputError(f"{_quote(item)} is not an assignment: write q=0.9,qhat=2")
        if name in found:
            raise InputError(f"{name} is given twice in {_quote(text)}")
        if not number:
            raise InputError(f"{name}= has no number: write q=0.9,qhat=2")
        found[name] = float(_number(number))
    return found


def _quote(text: str) -> str:
    shown = " ".join(text.split())
    return f"'{shown[:40]}...'" if len(shown) > 43 else f"'{shown}'"
