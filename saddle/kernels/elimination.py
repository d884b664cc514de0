"""Small linear systems, solved in place: compiled together with every kernel, like :mod:`saddle.kernels.assembly`."""

from __future__ import annotations

from saddle.kernels.kernel_interface import Vector
from saddle.kernels.special import _compiled

_SINGULAR_PIVOT = 1e-280


@_compiled
def eliminate(matrix: Vector, right: Vector) -> float:
    """Solve a linear system in place by elimination with row pivoting; the sign of the determinant.

    Where the matrix is singular, the unknowns that it does not determine are set to 0.
    """
    n, sign = len(right), 1.0
    for k in range(n):
        best = k
        for i in range(k + 1, n):
            if abs(matrix[i, k]) > abs(matrix[best, k]):
                best = i
        if best != k:
            sign = -sign
            right[k], right[best] = right[best], right[k]
            for j in range(n):
                matrix[k, j], matrix[best, j] = matrix[best, j], matrix[k, j]
        if matrix[k, k] < 0.0:
            sign = -sign
        if abs(matrix[k, k]) < _SINGULAR_PIVOT:
            sign = 0.0
            continue
        for i in range(k + 1, n):
            factor = matrix[i, k] / matrix[k, k]
            right[i] -= factor * right[k]
            for j in range(k, n):
                matrix[i, j] -= factor * matrix[k, j]
    for k in range(n - 1, -1, -1):
        for j in range(k + 1, n):
            right[k] -= matrix[k, j] * right[j]
        right[k] = right[k] / matrix[k, k] if abs(matrix[k, k]) >= _SINGULAR_PIVOT else 0.0
    return sign
