r"""The quadrature rule of every kernel: a trapezoid after a ``sinh`` map, its refinement, and its tables.

Nodes :math:`z_j = c + 2 w \sinh(j h)` centred on the narrowest kink, for ``|z| <= reach`` standard deviations.  The
truncation error falls like :math:`e^{-4.25/h}` and the tail like :math:`e^{-\mathrm{reach}^2/2}`: two thirds of ``h`` raise
the one to the power 3/2 (from 6e-15 to 5e-22 at the default), a wider range removes the other, so that the difference to
the refined rule is the error of the plain one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

_LARGEST_ARGUMENT = 48.0
"""Largest ``j h`` in the tables: ``sinh`` of it spans a range over width of 1e20."""

_COARSE_REACH = 8.0


@dataclass(frozen=True)
class Rule:
    """Step ``h`` of the trapezoid and ``reach`` in standard deviations."""

    step: float = 0.13
    reach: float = 10.0

    def refined(self, divisor: float = 1.5) -> Rule:
        """A smaller step (two thirds) and a wider range."""
        return _rule(self.step / divisor, self.reach + 2.0)

    def coarse(self) -> Rule:
        """Half as large a step again: two thirds of the digits."""
        return _rule(1.5 * self.step, min(self.reach, _COARSE_REACH))

    def __str__(self) -> str:
        return f"sinh trapezoid, step {self.step:g}, reach {self.reach:g} sd"

    def tables(self) -> tuple[np.ndarray, np.ndarray, int]:
        """``sinh``, ``cosh`` of multiples of a quarter step (kernels take every fourth or fewer), and the index of 0."""
        return _tables(self.step / 4)

    def nodes(self) -> tuple[np.ndarray, np.ndarray, int, float, float]:
        """What kernels are called with: the tables, the quarter step that they are made with, and the reach."""
        return self._nodes

    @cached_property
    def _nodes(self) -> tuple[np.ndarray, np.ndarray, int, float, float]:
        return *self.tables(), self.step / 4, self.reach


ROUGH = Rule(0.4, 8.0)
"""A rule for slopes that scale an error: four digits; its reach keeps the steps at the ends of the range small."""


@lru_cache(maxsize=64)
def _rule(step: float, reach: float) -> Rule:
    """One object per rule, so that its tables are made once."""
    return Rule(step, reach)


@lru_cache(maxsize=16)
def _tables(step: float) -> tuple[np.ndarray, np.ndarray, int]:
    origin = int(_LARGEST_ARGUMENT / step)
    t = step * np.arange(-origin, origin + 1)
    return np.sinh(t), np.cosh(t), origin
