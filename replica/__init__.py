"""Symbolic derivation of replica free entropies of perceptron-like models.

``derive(model, ansatz)`` returns a :class:`FreeEntropy`; ``zoo`` holds the models and ansatze that ship.
Nothing heavy is imported before it is needed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from replica import zoo
    from replica.ansatz import Ansatz, Leaf, Node
    from replica.derivation import derive
    from replica.errors import InputError, NotDifferentiable, UnsupportedAnsatz
    from replica.evaluation import evaluate
    from replica.free_entropy import FreeEntropy
    from replica.model import (
        BinaryWeights,
        GaussianWeights,
        Model,
        Perceptron,
        SphericalWeights,
        Threshold,
        TreeCommittee,
    )
    from replica.parts.constraints import ErrorCounting, OutsideWindow, Window, soft
    from replica.parts.discrete import DiscreteWeights

_HOME = {
    "Ansatz": "ansatz",
    "Leaf": "ansatz",
    "Node": "ansatz",
    "derive": "derivation",
    "evaluate": "evaluation",
    "InputError": "errors",
    "NotDifferentiable": "errors",
    "UnsupportedAnsatz": "errors",
    "FreeEntropy": "free_entropy",
    "BinaryWeights": "model",
    "DiscreteWeights": "parts.discrete",
    "GaussianWeights": "model",
    "Model": "model",
    "Perceptron": "model",
    "SphericalWeights": "model",
    "Threshold": "model",
    "ErrorCounting": "parts.constraints",
    "OutsideWindow": "parts.constraints",
    "Window": "parts.constraints",
    "soft": "parts.constraints",
    "TreeCommittee": "model",
}

__all__ = [
    "Ansatz",
    "BinaryWeights",
    "DiscreteWeights",
    "ErrorCounting",
    "FreeEntropy",
    "GaussianWeights",
    "InputError",
    "Leaf",
    "Model",
    "Node",
    "NotDifferentiable",
    "OutsideWindow",
    "Perceptron",
    "SphericalWeights",
    "Threshold",
    "TreeCommittee",
    "UnsupportedAnsatz",
    "Window",
    "derive",
    "evaluate",
    "soft",
    "zoo",
]


def __getattr__(name: str) -> Any:
    if name == "zoo":
        return import_module("replica.zoo")
    if name in _HOME:
        value = getattr(import_module(f"replica.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'replica' has no attribute {name!r}")
