"""What the solver finds in the kernel module that it is made part of: counts, places, and quadrature functions.

A kernel module has its own values of all of these (:class:`saddle.kernels.kernel_source.Layout` writes them); those here are
of a kernel without unknowns, and the functions compute nothing.

Positions: ``FREE_AT`` and ``IMPOSED_AT`` are those of the free and the imposed overlaps among the active ones, ``PIVOT_AT``
those of the pivots among the free overlaps, ``OWN_AT`` those of the pivots that are arguments of their own among the
pivots, ``CEILING_AT`` for every pivot that of the imposed overlap that bounds it, or -1, ``NORM_AT`` those of the norms
among the free overlaps and ``PIVOT_NORM`` that of the norm that bounds a pivot, or -1, ``OFFSET_AT`` those of the overlaps
with an origin among the free ones, ``BOUND_AT`` those of the overlaps that 1 bounds on both sides, and ``PIVOT_BOUND`` for
every pivot that of the one whose square is explained above it, or -1.  Each tuple is padded, so that none is empty.
The vector of parameters begins with the
load, and the ``P_`` are where its sections start; the names without a prefix are where the sections of the record of
a state start.
"""

from __future__ import annotations

import numpy as np

Vector = np.ndarray

DISCRETE = True
N_ACTIVE = N_FREE = N_IMPOSED = N_PIVOTS = N_OWN = N_GIVEN = N_TAIL = N_CONSTRAINT = N_UNKNOWN = N_NORMS = N_OFFSETS = 0
N_BOUND = N_LACKS = 0
N_REPLICONS = 0
FREE_AT = IMPOSED_AT = PIVOT_AT = OWN_AT = CEILING_AT = NORM_AT = PIVOT_NORM = OFFSET_AT = (0,)
BOUND_AT = PIVOT_BOUND = (0,)
P_ROOM = P_SHARES = P_TIES = P_IMPOSED = P_GIVEN = P_GIVEN_CONJUGATES = P_TAIL = P_CONSTRAINT = P_ORIGINS = 0
FREE_ENTROPY = SCALE = ENERGETIC = NOISE = ORIENTATION = 0
OVERLAPS = LEFT = PIVOTS = CONJUGATES = PAIRS = OFFSETS = RESIDUALS = RELATIVE = CHAIN = JACOBIAN = RECORD = 0


def energetic(
    p: Vector, S: Vector, C: Vector, origin: int, quarter_step: float, reach: float, out: Vector
) -> None:
    """The energetic average and its pair averages, as functions of the overlaps."""


def weights(p: Vector, S: Vector, C: Vector, origin: int, quarter_step: float, reach: float, out: Vector) -> None:
    """The average over the weights and its pair averages, as functions of the conjugates (spherical: of the overlaps)."""


def pivots(p: Vector, S: Vector, C: Vector, origin: int, quarter_step: float, reach: float, out: Vector) -> None:
    """For every pivot what is explained, what is left, and the gradient of the former in the free overlaps."""


energetic_jacobian = energetic
weights_lacks = weights
weights_jacobian = weights
interaction = pivots
origins = pivots
energetic_observables = energetic
weights_observables = weights
