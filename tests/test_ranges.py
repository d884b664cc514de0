"""Numeric options: what is understood, exactly, and what is refused in one sentence."""

from __future__ import annotations

import itertools
import math

import pytest

from replica import InputError
from saddle.command.ranges import assignments, check_domain, numbers, product, values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.5", (0.5,)),
        ("-1e-3", (-0.001,)),
        ("+.5", (0.5,)),
        ("3.", (3.0,)),
        ("-1,0,1", (-1.0, 0.0, 1.0)),
        (" 1 , 2 ", (1.0, 2.0)),
        ("-1:1:3", (-1.0, 0.0, 1.0)),
        ("1:-1:3", (1.0, 0.0, -1.0)),
        ("0.3:0.3:1", (0.3,)),
        ("0.3:0.3:2", (0.3, 0.3)),
        ("0,0.1:0.3:3,1", (0.0, 0.1, 0.2, 0.3, 1.0)),
        ("1e-4:1e-1:4:log", (1e-4, 1e-3, 1e-2, 1e-1)),
        ("-8:-2:3:log", (-8.0, -4.0, -2.0)),
        ("2,1", (2.0, 1.0)),
        ("1e-999999999999999999999", (0.0,)),
    ],
)
def test_values_in_the_order_given(text: str, expected: tuple[float, ...]) -> None:
    assert numbers(text) == expected


def test_grid_is_rounded_once_from_the_decimals_typed() -> None:
    assert numbers("-1:1:21") == tuple(i / 10 for i in range(-10, 11))
    assert numbers("-1:0.41:42")[0] == -1.0
    assert numbers("-1:0.41:42")[-1] == 0.41
    assert numbers("0:1:11")[3] == 0.3


def test_logarithmic_grid_has_equal_ratios() -> None:
    grid = numbers("0.002:0.35:100:log")
    ratios = [b / a for a, b in itertools.pairwise(grid)]
    assert len(grid) == 100
    assert (grid[0], grid[-1]) == (0.002, 0.35)
    assert max(ratios) - min(ratios) < 1e-14


@pytest.mark.parametrize(
    "text",
    [
        "", " ", ",", "1,", ",1", "1,,2", "0:1", ":", "::", "0::3", ":1:3", "0:1:", "1:2:0", "1:2:-3", "1:2:2.5",
        "1:2:a", "0:1:3:lin", "0:1:3:log:log", "0:1:3:", "0:1:3:log", "-1:1:3:log", "1:0:3:log", "0:1:1", "a", "0.5x",
        "nan", "-nan", "inf", "-inf", "1e400", "nan:1:3", "0:inf:3", "1_000", "0x10", "1 2", "max", "٣",
        "0:1:99999999999999999999999", "0:1:2000000", "--1", "1e", "½",
    ],
)  # fmt: skip
def test_malformed_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(InputError) as refused:
        numbers(text)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 160


def test_words_where_the_option_has_them() -> None:
    assert values("0.2,max", words=("max",)) == (0.2, "max")
    assert values("max", words=("max",)) == ("max",)
    with pytest.raises(InputError, match="not a number or max"):
        values("0.2,min", words=("max",))
    with pytest.raises(InputError):
        values("0:max:3", words=("max",))


def test_product_in_the_order_given_distance_fastest() -> None:
    rows = product(distance=(0.1, 0.2), alpha=(0.5, 0.6), kappa=(0.0,), reference_kappa=(0.3, "max"))
    assert [tuple(row) for row in rows] == [("distance", "alpha", "kappa", "reference_kappa")] * 8
    assert [(row["alpha"], row["reference_kappa"], row["distance"]) for row in rows] == [
        (alpha, reference, distance) for alpha in (0.5, 0.6) for reference in (0.3, "max") for distance in (0.1, 0.2)
    ]
    assert product(alpha=(0.5,)) == [{"alpha": 0.5}]


def test_product_of_absurd_size_is_refused() -> None:
    with pytest.raises(InputError, match="1000000000000 points"):
        product(alpha=range(1_000_000), kappa=range(1_000_000))


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("alpha", 0.0),
        ("alpha", -0.5),
        ("alpha", math.nan),
        ("kappa", math.inf),
        ("reference_kappa", math.nan),
        ("distance", 0.0),
        ("distance", 0.5),
        ("distance", -0.1),
    ],
)
def test_values_outside_the_domain(name: str, bad: float) -> None:
    with pytest.raises(InputError, match=name):
        check_domain(name, (0.1, bad))


def test_values_inside_the_domain() -> None:
    check_domain("alpha", (1e-300, 5.0))
    check_domain("kappa", (-3.0, 0.0))
    check_domain("reference_kappa", ("max", -1.0))
    check_domain("distance", (1e-9, 0.4999))


def test_assignments() -> None:
    assert assignments("q=0.9, qhat=-2e-1") == {"q": 0.9, "qhat": -0.2}
    for bad in ("", "q", "q=", "=1", "q=1,", "q=a", "q=nan", "q=1,q=2", "1=2"):
        with pytest.raises(InputError):
            assignments(bad)
