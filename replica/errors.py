"""Errors that say who is at fault and what would be right."""

from __future__ import annotations


class InputError(ValueError):
    """The caller asked for something that cannot be right; the message is one clear sentence."""


class UnsupportedAnsatz(InputError):
    """The tree of replicas, or its combination with a model, has no derivation."""


class NotDifferentiable(RuntimeError):
    """A step or a delta was differentiated: a pass ran in the wrong order (a bug, never a property of a model)."""
