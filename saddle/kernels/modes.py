r"""Where the mass of a tilted average is, and where to put the nodes of its quadrature.

The integrand of :math:`E_{z \sim N(0,v)} \prod_i f_i(b_i z + a_i)^{p_i}` has the exponent
:math:`\phi(z) = -z^2/2v + \sum_i p_i \ln f_i`.  For large powers its mass lies far from 0, so its maximum is found by
Newton's method before the loop: it centres the range, and its value is the scale that the accumulators are relative to.

* A *log-concave* factor (``H``, an exponential) has one maximum.  :math:`H^p` leaves 1 at :math:`x = -\sqrt{2 \ln(1+p)}`, an
  edge of width :math:`1/(1 + |x|)`; beyond it the exponent is a parabola of curvature up to :math:`1/v + p b^2`.  The
  narrowest of the two is resolved where the mass is: at the maximum, or at the edge if the maximum lies on its flat side.
* A piecewise constant factor is flat on both sides: beside the maximum near 0 there may be one where its edge is met.
* Another factor (``2 cosh``) may have two maxima, one on each side; each is approached from its own side, where the
  slope of the exponent's second part is as large as it gets.  Where both carry mass the nodes are centred between them,
  and the step is fine enough for either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import sympy as sp

from replica.expr import Average, H, slope_and_rest
from replica.parts.pieces import Pieces

Powers = tuple[tuple[sp.Expr, sp.Expr], ...]
"""Tilts with their powers."""

LOG_CONCAVE = (H, sp.exp)
_NEGLIGIBLE = 45.0
"""Difference of exponents at which a maximum carries no mass."""
_SAME = 0.05
"""Standard deviations within which two maxima are one."""
_MOST_STEPS = 40
_FAR = 1e4
"""Standard deviations at which the slope of an exponent has its limit."""
_TWO_PEAKED = ((10.0, 1), (6.7, 2), (5.0, 3))
"""Strides by the distance in standard deviations of a peak from the centre: nodes there are spaced like that distance."""


def powered(tilts: Mapping[sp.Expr, sp.Expr], z: sp.Symbol) -> Powers:
    """The tilts that depend on ``z`` alone inside, if one of them has a power that is no number (else none)."""
    found = {t: p for t, p in tilts.items() if t.has(z) and not t.has(Average)}
    if all(power.is_number for power in found.values()):
        return ()
    return tuple(sorted(found.items(), key=str))


class Block(Protocol):
    """Statements at one depth."""

    lines: list[str]

    def add(self, line: str) -> None:
        """Add one at this depth."""
        ...


@dataclass(frozen=True)
class Peak:
    """Names in the generated source of a maximum, of the exponent there and of what it is curved by."""

    position: str
    height: str
    bend: str


class Modes:
    """Writes the search for the maxima of one loop, and what follows from them for its nodes.

    Parameters
    ----------
    tag : str
        Suffix of the names of the loop.
    powers : Powers
    z : Symbol
        Its variable.
    variance : str
        The name of its variance.
    block : Block
        The statements before the loop.
    evaluate : callable
        ``evaluate(exprs, symbol, deeper)`` returns the lines that compute expressions of a symbol, that many levels
        deeper, and the names of the values; what does not need the symbol is added to the block.
    logarithm : callable
        The logarithm of a tilt.
    """

    def __init__(
        self,
        tag: str,
        powers: Powers,
        z: sp.Symbol,
        variance: str,
        block: Block,
        evaluate: Callable[[Sequence[sp.Expr], sp.Symbol, int], tuple[list[str], list[str]]],
        logarithm: Callable[[sp.Expr], sp.Expr],
    ) -> None:
        self.tag, self.variance, self.evaluate = tag, variance, evaluate
        self.lines, self.add = block.lines, block.add
        self.z = z
        self.exponent = sp.Add(*(power * logarithm(tilt) for tilt, power in powers))
        self.concave = all(isinstance(tilt, LOG_CONCAVE) for tilt, _ in powers)
        self.powers = powers

    def write(self) -> None:
        """Find the maxima; set ``bulk``, ``shift``, ``low``, ``high``, ``centre``, ``width``."""
        tag = self.tag
        if self.concave:
            peak = self._peak("", "0.0")
            for line in (
                f"bulk_{tag} = {peak.position}",
                f"shift_{tag} = {peak.height}",
                f"low_{tag} = bulk_{tag} - reach * sd_{tag}",
                f"high_{tag} = bulk_{tag} + reach * sd_{tag}",
                f"centre_{tag} = bulk_{tag}",
                f"width_{tag} = sd_{tag}",
            ):
                self.add(line)
            return
        ends = [self._end(side) for side in ("l", "r")]
        left, right = (self._peak(side, end) for side, end in zip(("l", "r"), ends, strict=True))
        for line in (
            f"shift_{tag} = max({left.height}, {right.height})",
            f"bulk_{tag} = {right.position} if {right.height} >= {left.height} else {left.position}",
            f"low_{tag} = min({ends[0]}, 0.0) - reach * sd_{tag}",
            f"high_{tag} = max({ends[1]}, 0.0) + reach * sd_{tag}",
            f"centre_{tag} = bulk_{tag}",
            f"width_{tag} = sd_{tag}",
            f"apart_{tag} = 0.0",
            f"if min({left.height}, {right.height}) > shift_{tag} - {_NEGLIGIBLE}:",
            f"    apart_{tag} = 0.5 * ({right.position} - {left.position})",
            f"    centre_{tag} = 0.5 * ({right.position} + {left.position})",
            f"    width_{tag} = max(sd_{tag}, 0.25 * apart_{tag})",
        ):
            self.add(line)

    def write_centres(self) -> None:
        """Find the maxima; set ``shift`` and make each a centre of its own, with the range from the first to the last."""
        tag = self.tag
        starts = ["0.0"] if self._flat else [self._end(side) for side in ("l", "r")]
        starts += [self._value(f"edge{i}", root) for i, root in enumerate(self._edges)]
        peaks = [self._peak(str(i), start) for i, start in enumerate(starts)]
        self.add(f"shift_{tag} = max({', '.join(peak.height for peak in peaks)})")
        for i, peak in enumerate(peaks):
            apart = "".join(f" and abs({peak.position} - {p.position}) > {_SAME} * sd_{tag}" for p in peaks[:i])
            for line in (
                f"if sd_{tag} > 0.0 and {peak.height} > shift_{tag} - {_NEGLIGIBLE}{apart}:",
                f"    low_{tag} = min(low_{tag}, {peak.position})",
                f"    high_{tag} = max(high_{tag}, {peak.position})",
                f"    centres_{tag}[count_{tag}] = {peak.position}",
                f"    widths_{tag}[count_{tag}] = min(sd_{tag}, 1.0 / math.sqrt(max({peak.bend}, 2.0 * half_{tag})))",
                f"    count_{tag} += 1",
            ):
                self.add(line)

    @property
    def most(self) -> int:
        """How many centres :meth:`write_centres` makes at most."""
        return (1 if self._flat else 2) + len(self._edges)

    @property
    def _flat(self) -> bool:
        """Whether the exponent is constant far off on both sides: where that begins says nothing of where it is largest."""
        return all(isinstance(tilt, Pieces) for tilt, _ in self.powers)

    @property
    def _edges(self) -> list[sp.Expr]:
        """Where a constraint that is worth violating is met: one maximum is here, beside that of those who violate it."""
        parts = [slope_and_rest(edge, self.z) for tilt, _ in self.powers if isinstance(tilt, Pieces) for edge in tilt.edges]
        return [-rest / slope for slope, rest in parts if slope != 0]

    def kink(self, slope: str, rest: str, power: str) -> list[str]:
        """Lines that move the centre to the edge of a power of ``H`` and narrow the nodes to what is sharp there."""
        tag = self.tag
        return [
            f"edge_{tag} = math.sqrt(2.0 * math.log1p({power}))",
            f"root_{tag} = (-edge_{tag} - {rest}) / {slope}",
            f"kink_{tag} = 1.0 / (abs({slope}) * (1.0 + edge_{tag}))",
            f"width_{tag} = min(width_{tag}, 2.0 / math.sqrt(2.0 * half_{tag} + {power} * {slope} * {slope}))",
            f"if kink_{tag} < sd_{tag}:",
            f"    width_{tag} = min(width_{tag}, kink_{tag})",
            f"    if {slope} * bulk_{tag} + {rest} < -edge_{tag} and low_{tag} < root_{tag} < high_{tag}:",
            f"        centre_{tag} = root_{tag}",
        ]

    def strides(self) -> list[str]:
        """Lines that refine the step for two peaks."""
        if self.concave:
            return []
        tag = self.tag
        lines = []
        for i, (far, stride) in enumerate(_TWO_PEAKED):
            lines += [
                f"{'el' if i else ''}if apart_{tag} > {far} * sd_{tag}:",
                f"    widest_{tag} = {stride}",
            ]
        return lines

    def _end(self, side: str) -> str:
        """Where the maximum would be if the slope of the tilts had its limit on this side."""
        sign = "-" if side == "l" else ""
        at, name = sp.Symbol(f"far{side}_{self.tag}"), f"end{side}_{self.tag}"
        self.add(f"_{at.name} = {sign}{_FAR} * sd_{self.tag}")
        lines, (slope,) = self.evaluate([sp.diff(self.exponent, self.z).subs(self.z, at)], at, 0)
        self.lines.extend(lines)
        self.add(f"{name} = {self.variance} * {slope}")
        return name

    def _value(self, name: str, expr: sp.Expr) -> str:
        """The name of a number that is known before the loop."""
        lines, (value,) = self.evaluate([expr], self.z, 0)
        self.lines.extend(lines)
        self.add(f"{name}_{self.tag} = {value}")
        return f"{name}_{self.tag}"

    def _peak(self, side: str, start: str) -> Peak:
        """Newton's method from a start; where the exponent is convex, the step of the fixed-point map.

        Between places where the exponent rises and falls, a step that leads out or is no shorter than half the one before
        goes to the middle instead: a bend that is narrow beside the way there is stepped over, back and forth.
        """
        tag, mode = self.tag, sp.Symbol(f"mode{side}_{self.tag}")
        first, second = sp.diff(self.exponent, self.z), sp.diff(self.exponent, self.z, 2)
        block, (slope, bend) = self.evaluate([e.subs(self.z, mode) for e in (first, second)], mode, 2)
        bent = f"bend{side}_{tag}"
        self.add(f"{bent} = 0.0")
        self.add(f"_{mode.name} = {start}")
        self.add(f"rises_{tag} = -math.inf")
        self.add(f"falls_{tag} = math.inf")
        self.add(f"before_{tag} = math.inf")
        self.add(f"if sd_{tag} > 0.0:")
        self.add(f"    for try_{tag} in range({_MOST_STEPS}):")
        self.lines.extend(block)
        for line in (
            f"step_{tag} = {slope} - 2.0 * half_{tag} * _{mode.name}",
            f"{bent} = 2.0 * half_{tag} - {bend}",
            f"if step_{tag} > 0.0:",
            f"    rises_{tag} = _{mode.name}",
            "else:",
            f"    falls_{tag} = _{mode.name}",
            f"step_{tag} *= 1.0 / {bent} if {bent} > 0.1 * half_{tag} else {self.variance}",
            f"inside_{tag} = rises_{tag} < _{mode.name} + step_{tag} < falls_{tag}",
            f"shorter_{tag} = abs(step_{tag}) < 0.5 * before_{tag}",
            f"if not (inside_{tag} and shorter_{tag}) and falls_{tag} - rises_{tag} < math.inf:",
            f"    step_{tag} = 0.5 * (rises_{tag} + falls_{tag}) - _{mode.name}",
            f"before_{tag} = abs(step_{tag})",
            f"_{mode.name} += step_{tag}",
            f"if abs(step_{tag}) < 0.02 * sd_{tag}:",
            "    break",
        ):
            self.add("        " + line)
        lines, (value,) = self.evaluate([self.exponent.subs(self.z, mode)], mode, 0)
        self.lines.extend(lines)
        height = f"height{side}_{tag}"
        self.add(f"{height} = {value} - half_{tag} * _{mode.name} * _{mode.name}")
        return Peak(f"_{mode.name}", height, bent)


def arguments_of(powers: Powers, z: sp.Symbol) -> dict[tuple[sp.Expr, sp.Expr], sp.Expr]:
    """The power of every argument ``(slope, rest)`` of a power of ``H``."""
    found = {}
    for tilt, power in powers:
        if isinstance(tilt, H):
            slope, rest = slope_and_rest(tilt.args[0], z)
            found[(slope, sp.factor_terms(rest))] = power
    return found
