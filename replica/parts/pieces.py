r"""A factor that is constant between edges, bare and smoothed by Gaussian noise: windows, their complements, soft steps.

With edges :math:`y_1 > y_2 > \dots` (the field minus where the factor jumps) and log-weights :math:`l_0, \dots, l_k`,

* ``Steps(y_1, ..., y_k, l_0, ..., l_k)`` is :math:`e^{l_j}` where :math:`y_j > 0 > y_{j+1}`, and ``StepsSlope`` its
  derivative in the field; like a step they must be averaged before they are differentiated;
* ``Pieces(x_1, ..., x_k, l_0, ..., l_k)`` is the Gaussian average,
  :math:`S = \sum_j e^{l_j} [H(x_j) - H(x_{j+1})]` with :math:`x_0 = -\infty,\ x_{k+1} = \infty`, and ``LogPieces`` its
  logarithm;
* ``Edge(..., j)`` is :math:`M_j = -\partial_{x_j} \ln S`, ``EdgeExcess(..., j)`` is :math:`M_j - x_j`, a function of its own
  for the digits that the difference would lose, and ``Share(..., j)`` is the weight of one piece,
  :math:`p_j = \partial_{l_j} \ln S`.

With one edge and :math:`l = (-\infty, 0)` these are the Gaussian tail and its Mills ratio; as there,
:math:`\partial_j M_j = M_j (M_j - x_j)`, and :math:`\partial_i M_j = M_i M_j`: differentiation does not leave the set.
A log-weight of :math:`-\infty` is a piece that is forbidden; weights enter by their logarithms so that a small one keeps
its digits however small it is.
"""

from __future__ import annotations

import sympy as sp

from replica.errors import NotDifferentiable


def edge_count(node: sp.Expr) -> int:
    """How many edges a function of this family has (an index, if it has one, comes last)."""
    return (len(node.args) - 1) // 2


class _Family(sp.Function):
    """What the functions have in common: ``x`` and ``l`` by position."""

    @property
    def edges(self) -> tuple[sp.Expr, ...]:
        """The arguments that contain fields."""
        return tuple(self.args[: edge_count(self)])

    @property
    def log_weights(self) -> tuple[sp.Expr, ...]:
        """The logarithms of the weights of the pieces."""
        k = edge_count(self)
        return tuple(self.args[k : 2 * k + 1])

    @property
    def parameters(self) -> tuple[sp.Expr, ...]:
        """Edges and log-weights, without an index."""
        return tuple(self.args[: 2 * edge_count(self) + 1])

    @property
    def index(self) -> int:
        """Which edge (from 1) or which piece (from 0) this function is about."""
        return int(self.args[-1])


class Steps(_Family):
    r"""The bare factor: :math:`e^{l_j}` between its edges."""

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        raise NotDifferentiable(f"{self} must be averaged before it is differentiated")


class StepsSlope(_Family):
    """The derivative of :class:`Steps` in the field: a delta at every edge, made only by ``field_derivative``."""

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        raise NotDifferentiable(f"{self} must be averaged before it is differentiated")


class Pieces(_Family):
    r"""The factor averaged over noise, :math:`S`."""

    is_positive = True

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return self * LogPieces(*self.args).fdiff(argindex)


class LogPieces(_Family):
    r""":math:`\ln S`."""

    is_real = True

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        k = edge_count(self)
        if argindex <= k:
            return -Edge(*self.args, argindex)
        return Share(*self.args, argindex - k - 1)


class Edge(_Family):
    r""":math:`M_j = -\partial_{x_j} \ln S`: the jump at an edge times the density there over :math:`S`."""

    is_real = True

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        k, j = edge_count(self), self.index
        if argindex == j:
            return self * EdgeExcess(*self.args)
        if argindex <= k:
            return self * Edge(*self.parameters, argindex)
        piece, logs = argindex - k - 1, self.log_weights
        # the jump exp(l_j) - exp(l_{j-1}) and the norm S depend on a log-weight
        jump = {j: 1 / (1 - sp.exp(logs[j - 1] - logs[j])), j - 1: 1 / (1 - sp.exp(logs[j] - logs[j - 1]))}
        return self * (jump.get(piece, 0) - Share(*self.parameters, piece))


class EdgeExcess(_Family):
    r""":math:`M_j - x_j`."""

    is_real = True

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        slope = Edge(*self.args).fdiff(argindex)
        return slope - 1 if argindex == self.index else slope


class Share(_Family):
    r""":math:`p_j = e^{l_j} [H(x_j) - H(x_{j+1})] / S`, the probability of one piece."""

    is_real = True

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        k, j = edge_count(self), self.index
        if argindex > k:
            return self * (int(argindex - k - 1 == j) - Share(*self.parameters, argindex - k - 1))
        edge, logs = Edge(*self.parameters, argindex), self.log_weights
        # the border of this piece moves, by its weight over the jump there
        if argindex == j:
            own = -1 / (1 - sp.exp(logs[j - 1] - logs[j]))
        elif argindex == j + 1:
            own = -1 / (1 - sp.exp(logs[j + 1] - logs[j]))
        else:
            own = sp.Integer(0)
        return edge * (self + own)


SMOOTH = (Pieces, LogPieces, Edge, EdgeExcess, Share)
"""The functions that are left after the noise is averaged."""

BARE = (Steps, StepsSlope)
"""The functions that must be averaged first."""


def smoothed(node: Steps | StepsSlope, edges: tuple[sp.Expr, ...], deviation: sp.Expr) -> sp.Expr:
    """The average of a bare factor over noise of this standard deviation, with its edges at these arguments."""
    arguments = (*edges, *node.log_weights)
    if isinstance(node, Steps):
        return Pieces(*arguments)
    rates = sp.Add(*(Edge(*arguments, j) for j in range(1, len(edges) + 1)))
    return Pieces(*arguments) * rates / deviation
