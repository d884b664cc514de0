"""What the routines for a loss under noise find in a kernel module: the loss, and what is known about it.

A kernel module has these of every loss in it, with its tag (:mod:`saddle.kernels.loss_source`); those here are of the hinge.
``KINKS`` are the stabilities at which the loss is not smooth, in rising order (infinity where there is none), ``FLOOR`` is
its smallest value, and ``GRAIN`` the length over which it is taken to be smooth where it has no kinks.
"""

from __future__ import annotations

from saddle.kernels.special import _compiled

KINKS: tuple[float, ...] = (0.0,)
FLOOR = 0.0
GRAIN = 0.0


@_compiled
def cost(x: float) -> float:
    """The loss at a stability."""
    return max(0.0, -x)
