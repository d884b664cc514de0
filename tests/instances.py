"""Solutions of small instances by exact enumeration: all ``2^N`` binary weights, up to N = 24.

An instance is a matrix of patterns, ``P = alpha N`` rows with Gaussian entries that carry their labels; the stability
of weights ``w`` for a pattern is ``w.xi / sqrt(N)``, their margin the smallest one.  A configuration is an integer
whose bit ``i`` says that ``w_i = +1``.  No theory in here.
"""

from __future__ import annotations

import math

import numba
import numpy as np

Array = np.ndarray


def patterns_of(seed: int, n: int, p: int) -> Array:
    """Return the patterns of an instance, shape (p, n)."""
    return np.random.default_rng(seed).standard_normal((p, n))


def solutions(patterns: Array, kappa: float) -> tuple[Array, Array]:
    """Return all configurations of margin at least ``kappa`` (integers), and their margins.

    The weights fall into two halves whose fields add up.  The fields of the second half are a table; the first half runs
    through its Gray code, one flipped weight a step, against the whole table.
    """
    count, n = patterns.shape
    if n > 24:
        raise ValueError(f"{n} weights are too many to enumerate")
    low = n // 2
    scaled = np.ascontiguousarray(patterns.T) / math.sqrt(n)
    table = np.empty((count, 1 << low))
    _gray_table(scaled[:low], table)
    room = 1 << n
    for size in (min(room, 1 << 20), room):
        words, margins = np.empty(size, dtype=np.uint32), np.empty(size)
        found = _scan(scaled[low:], table, kappa, words, margins)
        if found <= size:
            break
    return words[:found].copy(), margins[:found].copy()


@numba.njit(cache=False)
def _gray_table(columns: Array, table: Array) -> None:
    """Fill ``table[:, word]`` with the fields of every configuration of the weights of ``columns`` (weight, pattern)."""
    size, count = columns.shape
    fields = np.zeros(count)
    for i in range(size):
        fields -= columns[i]
    word = 0
    table[:, 0] = fields
    for step in range(1, 1 << size):
        flip = 0
        while not (step >> flip) & 1:
            flip += 1
        word ^= 1 << flip
        sign = 2.0 if (word >> flip) & 1 else -2.0
        fields += sign * columns[flip]
        table[:, word] = fields


@numba.njit(cache=False)
def _scan(columns: Array, table: Array, kappa: float, words: Array, margins: Array) -> int:
    """Write the configurations that fulfil every constraint, as far as there is room, and return their number."""
    size, count = columns.shape
    low = table.shape[1]
    shift = 0
    while (1 << shift) < low:
        shift += 1
    fields = np.zeros(count)
    for i in range(size):
        fields -= columns[i]
    word, found = 0, 0
    smallest = np.empty(low)
    for step in range(1 << size):
        if step:
            flip = 0
            while not (step >> flip) & 1:
                flip += 1
            word ^= 1 << flip
            sign = 2.0 if (word >> flip) & 1 else -2.0
            fields += sign * columns[flip]
        for j in range(low):
            smallest[j] = fields[0] + table[0, j]
        for mu in range(1, count):
            field = fields[mu]
            for j in range(low):
                smallest[j] = min(smallest[j], field + table[mu, j])
        for j in range(low):
            if smallest[j] >= kappa:
                if found < words.size:
                    words[found] = (word << shift) | j
                    margins[found] = smallest[j]
                found += 1
    return found


@numba.njit(cache=False)
def neighbours(references: Array, words: Array, distance: int) -> Array:
    """Return, for every reference, how many of the configurations differ from it in exactly ``distance`` weights."""
    counts = np.zeros(references.size, dtype=np.int64)
    for i in range(references.size):
        for j in range(words.size):
            x = np.uint32(references[i] ^ words[j])
            x = x - ((x >> np.uint32(1)) & np.uint32(0x55555555))
            x = (x & np.uint32(0x33333333)) + ((x >> np.uint32(2)) & np.uint32(0x33333333))
            x = (x + (x >> np.uint32(4))) & np.uint32(0x0F0F0F0F)
            counts[i] += ((x * np.uint32(0x01010101)) & np.uint32(0xFFFFFFFF)) >> np.uint32(24) == np.uint32(distance)
    return counts
