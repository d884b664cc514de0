"""The outcome of a check: the largest deviation found, and how large it may be."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Check:
    """One statement about a derivation, held against numbers.

    Attributes
    ----------
    name : str
        What was compared.
    value : float
        The largest deviation found, relative where the number exceeds 1 in size; nan if there was none to find.
    tolerance : float
        What the two methods allow.
    passed : bool
        Whether ``value <= tolerance``.
    detail : str
        How many numbers were compared, and which deviates most.
    """

    name: str
    value: float
    tolerance: float
    passed: bool
    detail: str


@dataclass
class Tally:
    """Comparisons of one check, as they come in."""

    count: int = 0
    worst: float = 0.0
    where: str = ""
    notes: list[str] = field(default_factory=list)

    def compare(self, label: str, found: Any, expected: Any) -> None:
        """Note the deviation of two numbers; one that is no number counts as infinite."""
        deviation = float(abs(found - expected) / max(1.0, abs(expected)))
        if math.isnan(deviation):
            deviation = math.inf
        if deviation > self.worst or not self.count:
            self.worst, self.where = deviation, f"{label}: {float(found):.12g} and {float(expected):.12g}"
        self.count += 1

    def require(self, label: str, holds: bool) -> None:
        """Note a statement without a number; one that fails counts as infinite."""
        if not holds:
            self.worst, self.where = math.inf, label
        self.count += 1

    def outcome(self, name: str, tolerance: float) -> Check:
        """The check that these comparisons make."""
        if not self.count:
            return Check(name, math.nan, tolerance, False, "there was nothing to compare")
        numbers = "1 comparison" if self.count == 1 else f"{self.count} comparisons"
        detail = "; ".join([numbers, *self.notes, *([f"largest at {self.where}"] if self.worst else [])])
        return Check(name, self.worst, tolerance, self.worst <= tolerance, detail)
