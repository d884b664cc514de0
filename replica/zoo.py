"""The models and ansatze that ship, by name; each is a declaration.

Where a name is asked for, ``path/to/file.py:name`` is one of the user's own (:mod:`replica.parts.user_files`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from replica.ansatz import Ansatz, Leaf, Node
from replica.errors import InputError
from replica.model import BinaryWeights, Model, SphericalWeights, TreeCommittee, Weights
from replica.parts.constraints import OutsideWindow, Window, soft
from replica.parts.user_files import from_file, is_file_name

if TYPE_CHECKING:
    from sympy import Expr


def binary_perceptron() -> Model:
    """Return the binary perceptron: weights +-1, stabilities above a margin (Krauth & Mezard 1989)."""
    return Model("binary-perceptron", BinaryWeights(), description="weights +-1, every stability at least kappa")


def spherical_perceptron() -> Model:
    """Return the spherical perceptron: weights on the sphere, stabilities above a margin (Gardner 1988)."""
    return Model(
        "spherical-perceptron", SphericalWeights(), description="weights on the sphere, every stability at least kappa"
    )


def teacher_student() -> Model:
    """Return the binary teacher-student perceptron: patterns labelled by a teacher with weights +-1 (Gyorgyi 1990)."""
    return Model(
        "teacher-student",
        BinaryWeights(),
        description="weights +-1, patterns labelled by a teacher of the same kind, every stability at least kappa",
        teacher=True,
    )


def symmetric_binary_perceptron() -> Model:
    """Return the symmetric binary perceptron: weights +-1, stabilities inside a window (Aubin, Perkins & Zdeborova 2019)."""
    return Model(
        "symmetric-binary-perceptron",
        BinaryWeights(),
        constraint=Window(),
        description="weights +-1, every stability at most kappa in size",
    )


def u_function_perceptron() -> Model:
    """Return the u-function perceptron: weights +-1, stabilities outside a window (Aubin, Perkins & Zdeborova 2019)."""
    return Model(
        "u-function-perceptron",
        BinaryWeights(),
        constraint=OutsideWindow(),
        description="weights +-1, every stability at least kappa in size",
    )


def tree_committee(activation: str | Expr = "relu", weights: str = "binary") -> Model:
    """Return the tree committee machine with infinitely many hidden units.

    Parameters
    ----------
    activation : str or sympy expression
        ``linear, sign, relu, erf, erf-sqrt2, tanh, quadratic, leaky-relu(SLOPE)`` or an expression in ``x``.
    weights : str
        ``binary`` or ``spherical``.
    """
    from replica.parts.activations import activation_text

    text = activation_text(activation)
    if weights not in _WEIGHTS:
        raise InputError(f"weights = {weights!r} is none of {', '.join(_WEIGHTS)}.")
    return Model(
        "tree-committee",
        _WEIGHTS[weights](),
        architecture=TreeCommittee(text),
        description="infinitely many hidden units with an activation, every output at least kappa",
        options=(("activation", text), ("weights", weights)),
    )


_WEIGHTS: dict[str, Callable[[], Weights]] = {"binary": BinaryWeights, "spherical": SphericalWeights}


def rs() -> Ansatz:
    """Return the replica-symmetric ansatz, ``root[(n, w)]``."""
    return Ansatz(
        name="rs",
        tree=Node("root", (("n", Leaf("w")),)),
        overlaps=((("root", "w", "w"), "q"),),
        meaning=(("q", "overlap of two solutions"),),
    )


def one_rsb() -> Ansatz:
    """Return one step of replica symmetry breaking, ``root[(n/m, state[(m, w)])]`` (Parisi)."""
    return Ansatz(
        name="1rsb",
        tree=Node("root", (("n/m", Node("state", (("m", Leaf("w")),))),)),
        overlaps=((("root", "w", "w"), "q0"), (("state", "w", "w"), "q1")),
        meaning=(("q0", "overlap of solutions in different states"), ("q1", "overlap of solutions in one state")),
        multiplicities=("m",),
        extremised=("m",),
    )


def franz_parisi() -> Ansatz:
    """Return the Franz-Parisi ansatz: probes at an imposed overlap with a typical reference solution.

    ``root[(n-1, ref), (1, cluster[(1, ref), (r, probe)])]`` (Franz & Parisi 1995; Huang & Kabashima 2014; Baldassi,
    Lauditi, Malatesta, Perugini & Zecchina, arXiv 2107.01163).
    """
    cluster = Node("cluster", (("1", Leaf("ref", anchor=True)), ("r", Leaf("probe"))))
    return Ansatz(
        name="franz-parisi",
        tree=Node("root", (("n-1", Leaf("ref")), ("1", cluster))),
        overlaps=(
            (("cluster", "probe", "probe"), "q"),
            (("root", "probe", "ref"), "t"),
            (("cluster", "probe", "ref"), "p"),
            (("root", "ref", "ref"), "qr"),
        ),
        vanishing=("r", "n"),
        imposed=("p",),
        meaning=(
            ("q", "overlap of two probes of one reference"),
            ("t", "overlap of a probe with another reference solution"),
            ("p", "overlap of a probe with its reference, 1 - 2 distance"),
            ("qr", "overlap of two reference solutions"),
        ),
        prefixes=(("ref", "reference_"),),
        reference="rs",
        given=(("qr", "q"),),
        norms=(("probe", "Q"), ("ref", "Qr")),
    )


def local_entropy() -> Ansatz:
    """Return ``y`` real replicas at an imposed mutual overlap, ``root[(n, cluster[(y, w)])]``.

    The free entropy is that of all ``y`` replicas of a cluster together (Baldassi, Ingrosso, Lucibello, Saglietti &
    Zecchina 2015; Baldassi et al. 2016).
    """
    return Ansatz(
        name="local-entropy",
        tree=Node("root", (("n", Node("cluster", (("y", Leaf("w")),))),)),
        overlaps=((("root", "w", "w"), "q0"), (("cluster", "w", "w"), "q1")),
        imposed=("q1",),
        meaning=(
            ("q0", "overlap of replicas in different clusters"),
            ("q1", "overlap of two of the y replicas of one cluster, 1 - 2 distance"),
        ),
        multiplicities=("y",),
    )


def local_entropy_reference() -> Ansatz:
    """Return ``y`` real replicas around a reference configuration, ``root[(n, cluster[(1, ref), (y, w)])]``.

    The overlap of every replica with the reference is imposed; the reference itself need not be a solution (Baldassi,
    Ingrosso, Lucibello, Saglietti & Zecchina 2015).
    """
    cluster = Node("cluster", (("1", Leaf("ref", anchor=True, free=True)), ("y", Leaf("w"))))
    return Ansatz(
        name="local-entropy-reference",
        tree=Node("root", (("n", cluster),)),
        overlaps=(
            (("root", "w", "w"), "q0"),
            (("cluster", "w", "w"), "q1"),
            (("cluster", "ref", "w"), "S"),
            (("root", "ref", "w"), "t"),
            (("root", "ref", "ref"), "qr"),
        ),
        imposed=("S",),
        meaning=(
            ("q0", "overlap of replicas around different references"),
            ("q1", "overlap of two replicas around one reference"),
            ("S", "overlap of a replica with its reference, 1 - 2 distance"),
            ("t", "overlap of a replica with another reference"),
            ("qr", "overlap of two references"),
        ),
        multiplicities=("y",),
    )


MODELS: dict[str, Callable[..., Model]] = {
    "binary-perceptron": binary_perceptron,
    "spherical-perceptron": spherical_perceptron,
    "teacher-student": teacher_student,
    "symmetric-binary-perceptron": symmetric_binary_perceptron,
    "u-function-perceptron": u_function_perceptron,
    "tree-committee": tree_committee,
}

ANSATZE: dict[str, Callable[[], Ansatz]] = {
    "rs": rs,
    "1rsb": one_rsb,
    "franz-parisi": franz_parisi,
    "local-entropy": local_entropy,
    "local-entropy-reference": local_entropy_reference,
}


def model(name: str, **options: Any) -> Model:
    """Return the shipped model of this name, or the one that ``path/to/file.py:name`` means.

    ``options`` that are not None are arguments of the function that makes a shipped model; ``loss`` puts any model at
    finite temperature (:func:`replica.soft`).
    """
    given = {key: value for key, value in options.items() if value is not None}
    if (loss := given.pop("loss", None)) is not None:
        return soft(model(name, **given), loss)
    if is_file_name(name):
        if given:
            raise InputError(f"A model of your own takes no option {next(iter(given))}: put it into {name}.")
        return from_file(name, Model)
    if name not in MODELS:
        raise InputError(f"There is no model {name!r}; the models are {', '.join(MODELS)} and path/to/file.py:name.")
    known = inspect.signature(MODELS[name]).parameters
    if unknown := [key for key in given if key not in known]:
        takes = f"it takes {', '.join(known)}" if known else "it takes none"
        raise InputError(f"The model {name} has no option {unknown[0]}; {takes}.")
    return MODELS[name](**given)


def ansatz(name: str) -> Ansatz:
    """Return the shipped ansatz of this name, or the one that ``path/to/file.py:name`` means."""
    if is_file_name(name):
        return from_file(name, Ansatz)
    if name not in ANSATZE:
        raise InputError(f"There is no ansatz {name!r}; the ansatze are {', '.join(ANSATZE)} and path/to/file.py:name.")
    return ANSATZE[name]()


def as_model(given: Model | str) -> Model:
    """Return a model, or the one of a name; what is neither is refused."""
    found = model(given) if isinstance(given, str) else given
    if not isinstance(found, Model):
        raise InputError(f"A model is a replica.Model or the name of one, not a {type(given).__name__}.")
    return found


def as_ansatz(given: Ansatz | str) -> Ansatz:
    """Return an ansatz, or the one of a name; what is neither is refused."""
    found = ansatz(given) if isinstance(given, str) else given
    if not isinstance(found, Ansatz):
        raise InputError(f"An ansatz is a replica.Ansatz or the name of one, not a {type(given).__name__}.")
    return found
