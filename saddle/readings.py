r"""What a solved state is read for besides its free entropy, compiled together with every kernel.

Like :mod:`saddle.assembly`, whose arrays of arguments it shares, its source becomes part of every kernel module, and
nothing in it knows a model or an ansatz.
"""

from __future__ import annotations

import numpy as np

from saddle.assembly import _conjugate_arguments, _overlap_arguments
from saddle.kernel_interface import (
    DISCRETE,
    N_ACTIVE,
    N_CONSTRAINT,
    N_GIVEN,
    N_OFFSETS,
    N_PIVOTS,
    N_REPLICONS,
    N_TAIL,
    P_CONSTRAINT,
    Vector,
    energetic_observables,
    weights_observables,
)
from saddle.special import _compiled


@_compiled
def observables(
    p: Vector, S: Vector, C: Vector, origin: int, quarter_step: float, reach: float, record: Vector, out: Vector
) -> None:
    """Energetic factors of the replicons, derivatives in the margins, and the weights' factors, at a state."""
    arguments = np.empty(2 * N_ACTIVE + N_GIVEN + N_PIVOTS + N_OFFSETS + N_TAIL + N_CONSTRAINT)
    end = _overlap_arguments(p, record, arguments)
    for i in range(N_CONSTRAINT):
        arguments[end + i] = p[P_CONSTRAINT + i]
    energetic_observables(arguments, S, C, origin, quarter_step, reach, out)
    if DISCRETE:
        _conjugate_arguments(p, record, arguments)
    weights_observables(arguments, S, C, origin, quarter_step, reach, out[N_REPLICONS + N_CONSTRAINT :])
