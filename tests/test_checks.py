"""The shipped checks pass for every pairing and notice deliberate errors in a copy."""

from __future__ import annotations

from dataclasses import replace

import pytest

import replica
import saddle


@pytest.mark.parametrize("model", ["binary-perceptron", "spherical-perceptron"])
def test_shipped_checks_pass(model: str) -> None:
    checks = saddle.check(model, "rs")
    assert checks and all(check.passed for check in checks), checks


def test_a_flipped_sign_and_a_dropped_count_are_noticed() -> None:
    derived = replica.derive("binary-perceptron", "rs")
    flipped = replace(derived, energetic_pairs={"q": -derived.energetic_pairs["q"]})
    assert not all(check.passed for check in saddle.check(flipped))
    dropped = replace(derived, counts={"q": 2 * derived.counts["q"]})
    assert not saddle.check(dropped)[0].passed
