"""Trees of replica groups: which overlaps exist, how often, what is left when probes vanish, what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy as sp

import replica
from replica import Ansatz, Leaf, Node, UnsupportedAnsatz
from replica.ansatz import conjugate, leaf_paths, pair_counts, prune, species_below
from saddle.checking.brute_force import overlap_matrix, replicas

PROBES = Node("cluster", (("1", Leaf("ref", anchor=True)), ("r", Leaf("probe"))))
FRANZ_PARISI_ON_1RSB = Node(
    "root",
    (
        ("(n-m)/m", Node("state", (("m", Leaf("ref")),))),
        ("1", Node("state", (("m-1", Leaf("ref")), ("1", PROBES)))),
    ),
)


def same_polynomials(tree: Node, expected: dict[tuple[str, str, str], sp.Expr]) -> bool:
    counts = pair_counts(tree)
    return counts.keys() == expected.keys() and all(sp.expand(counts[key] - expected[key]) == 0 for key in counts)


def test_counts_of_the_shipped_trees() -> None:
    n, m, r = sp.symbols("n m r")
    assert same_polynomials(replica.zoo.rs().tree, {("root", "w", "w"): n * (n - 1) / 2})
    one_rsb = {("root", "w", "w"): n * (n - m) / 2, ("state", "w", "w"): n * (m - 1) / 2}
    assert same_polynomials(replica.zoo.one_rsb().tree, one_rsb)
    # No (root, probe, probe): all probes share one cluster.
    franz_parisi = {
        ("root", "ref", "ref"): n * (n - 1) / 2,
        ("root", "probe", "ref"): r * (n - 1),
        ("cluster", "probe", "ref"): r,
        ("cluster", "probe", "probe"): r * (r - 1) / 2,
    }
    assert same_polynomials(replica.zoo.franz_parisi().tree, franz_parisi)


def test_counts_of_a_reference_with_states() -> None:
    n, m, r = sp.symbols("n m r")
    expected = {
        ("root", "probe", "ref"): r * (n - m),
        ("state", "probe", "ref"): r * (m - 1),
        ("cluster", "probe", "ref"): r,
        ("cluster", "probe", "probe"): r * (r - 1) / 2,
        ("root", "ref", "ref"): n * (n - m) / 2,
        ("state", "ref", "ref"): n * (m - 1) / 2,
    }
    assert same_polynomials(FRANZ_PARISI_ON_1RSB, expected)
    assert sp.expand(sum(expected.values()) - (n + r) * (n + r - 1) / 2) == 0


def test_walk_of_replicas() -> None:
    ansatz = replica.zoo.franz_parisi()
    group = replicas(ansatz.tree, {"n": 3, "r": 2})
    assert [r.species for r in group] == ["ref", "ref", "ref", "probe", "probe"]
    matrix = overlap_matrix(ansatz, group, {"qr": 1, "t": 2, "p": 3, "q": 4})
    assert matrix.tolist() == [
        [0, 1, 1, 2, 2],
        [1, 0, 1, 2, 2],
        [1, 1, 0, 3, 3],
        [2, 2, 3, 0, 4],
        [2, 2, 3, 4, 0],
    ]
    with pytest.raises(ValueError, match="n/m"):
        replicas(replica.zoo.one_rsb().tree, {"n": 3, "m": 2})


def test_what_is_left_without_probes() -> None:
    assert prune(replica.zoo.franz_parisi().tree, "r") == Node("root", (("n", Leaf("ref")),))
    left = prune(FRANZ_PARISI_ON_1RSB, "r")
    (text, state), *others = left.groups
    assert not others and isinstance(state, Node)
    assert sp.cancel(sp.sympify(text) - sp.Symbol("n") / sp.Symbol("m")) == 0
    assert state == Node("state", (("m", Leaf("ref")),))


def test_names() -> None:
    ansatz = replica.zoo.franz_parisi()
    assert ansatz.names()["cluster", "probe", "ref"] == "p"
    assert ansatz.conjugate_names()["root", "ref", "ref"] == conjugate("qr") == "qrhat"
    assert (ansatz.prefix("ref"), ansatz.prefix("probe")) == ("reference_", "")
    assert species_below(ansatz.tree) == ["ref", "probe"]
    assert [path for path, _ in leaf_paths(ansatz.tree)] == [(0,), (1, 0), (1, 1)]


def test_order_of_species_in_a_key_does_not_matter() -> None:
    ansatz = replica.zoo.franz_parisi()
    swapped = tuple(((node, b, a), name) for (node, a, b), name in ansatz.overlaps)
    assert replace(ansatz, overlaps=swapped).names() == ansatz.names()


TWO_TYPES = Node("root", (("1", Leaf("a")), ("1", Leaf("b")), ("n", Leaf("w"))))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"overlaps": ()}, "gives no name to the overlap"),
        ({"overlaps": ((("root", "w", "w"), "q"), (("state", "w", "w"), "q1"))}, "no pair of replicas has"),
        (
            {
                "tree": replica.zoo.one_rsb().tree,
                "overlaps": ((("root", "w", "w"), "q"), (("state", "w", "w"), "q")),
                "multiplicities": ("m",),
            },
            "one name for two overlaps",
        ),
        ({"tree": Node("root", (("n", Leaf("w", anchor=True)),))}, "must have multiplicity 1"),
        (
            {
                "tree": TWO_TYPES,
                "overlaps": tuple(
                    (("root", *pair), "".join(pair)) for pair in (("a", "b"), ("a", "w"), ("b", "w"), ("w", "w"))
                ),
            },
            "declare one of them as an anchor",
        ),
    ],
)
def test_refusals(change: dict[str, object], sentence: str) -> None:
    ansatz: Ansatz = replace(replica.zoo.rs(), **change)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedAnsatz, match=sentence):
        replica.derive("binary-perceptron", ansatz)


@pytest.mark.parametrize("arguments", [("nope", "rs"), ("binary-perceptron", "nope"), (1, "rs"), ("binary-perceptron", 1)])
def test_unknown_parts_are_refused(arguments: tuple[object, object]) -> None:
    with pytest.raises(replica.InputError):
        replica.derive(*arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["n -", "import os", "n.real", "f(n)", "'n'"])
def test_a_multiplicity_is_an_expression(text: str) -> None:
    tree = Node("root", ((text, Leaf("w")),))
    with pytest.raises(replica.InputError):
        replica.derive("binary-perceptron", replace(replica.zoo.rs(), tree=tree))
