"""A model under an ansatz as a solver sees it: its kernel, its parameters by name, and what they may be.

Everything is plain data until the kernel is asked for; finding a compiled kernel needs no derivation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from numbers import Real
from types import ModuleType
from typing import Any

from replica import zoo
from replica.ansatz import Ansatz
from replica.errors import InputError
from replica.model import Model
from replica.parts.adaptation import adapt
from replica.parts.teacher import teacher_overlap
from saddle.kernels.kernel import Variant, kernel_key, load_kernel
from saddle.kernels.quadrature import Rule


def is_number(value: Any) -> bool:
    """Whether what was given for a number is one."""
    return isinstance(value, Real)


@dataclass(frozen=True)
class Setting:
    """A model under an ansatz, with what is needed to solve it: plain data until the kernel is asked for."""

    model: Model
    ansatz: Ansatz
    variant: Variant = ""

    @classmethod
    def of(cls, target: Any) -> Setting:
        """The setting of a free entropy, or of a (model, ansatz) pair of objects or names."""
        if isinstance(target, tuple) and len(target) == 2:
            model, ansatz = target
            if isinstance(model, str) and isinstance(ansatz, str) and model in zoo.MODELS and ansatz in zoo.ANSATZE:
                return _shipped(model, ansatz)
        elif hasattr(target, "model") and hasattr(target, "ansatz"):
            model, ansatz = target.model, target.ansatz
        else:
            raise InputError("Solve what replica.derive returned, or a pair (model, ansatz).")
        model, ansatz = zoo.as_model(model), zoo.as_ansatz(ansatz)
        return _known(model, adapt(model, ansatz))

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """The hash, which walks the whole tree, once: solved references are looked up by it."""
        return hash((self.model, self.ansatz))

    @cached_property
    def kernel(self) -> ModuleType:
        """The compiled kernel module."""
        return load_kernel(self.model, self.ansatz, self.variant)

    @cached_property
    def key(self) -> str:
        """Key of the kernel."""
        return kernel_key(self.model, self.ansatz, self.variant)

    @cached_property
    def continued(self) -> Setting:
        """The same with averages of powers at negative variances."""
        return replace(self, variant="continued")

    @cached_property
    def deviation(self) -> float | None:
        """The standard deviation of a field, None where margins are in its units anyway."""
        if getattr(self.model.architecture, "normalized", True):
            return None
        return math.sqrt(self.kernel.META["field_variance"])

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What every result says about what was solved."""
        return {
            "model": self.model.name,
            "ansatz": self.ansatz.name,
            "target": (self.model, self.ansatz),
            "options": dict(self.model.options),
            "deviation": self.deviation,
            "kernel": self.key,
        }

    @cached_property
    def rule(self) -> Rule:
        """The plain quadrature rule: finer where integrals have one dimension only, or what is told is not stationary."""
        return Rule() if self.ansatz.imposed and not self.ansatz.multiplicities else Rule(0.1)

    @cached_property
    def rule_text(self) -> str:
        """The rule in words, as results carry it."""
        return str(self.rule)

    @cached_property
    def reference(self) -> Setting | None:
        """The setting that this one is conditioned on."""
        prefix = next((prefix for prefix in self._prefixes if prefix), "")
        return Setting.of((self.model.obeyed(prefix), self.ansatz.reference)) if self.ansatz.reference else None

    @cached_property
    def teacher_overlap(self) -> str:
        """Name of the overlap of a student with the teacher, an empty string without one."""
        return teacher_overlap(self.ansatz)

    @cached_property
    def norms(self) -> dict[str, str | None]:
        """The overlap of a replica with itself for every overlap, also those that vanish by symmetry; None where it is 1."""
        known = {**self.ansatz.names(), **self.ansatz.zero_names()}
        return {name: self.ansatz.norm(key[1]) for key, name in known.items()}

    @cached_property
    def _prefixes(self) -> tuple[str, ...]:
        """The prefixes of parameters: none for the species that a problem is about, and those of its references."""
        return tuple(dict.fromkeys(["", *(prefix for _, prefix in self.ansatz.prefixes)]))

    @cached_property
    def temperatures(self) -> tuple[str, ...]:
        """Names of the inverse temperatures among the parameters, those of references too."""
        known = {prefix: getattr(self.model.obeyed(prefix).constraint, "temperature", "") for prefix in self._prefixes}
        return tuple(prefix + name for prefix, name in known.items() if name)

    def _obeyed(self, name: str) -> Model:
        """The model that the species obeys whose constraint has this parameter."""
        return self.model.obeyed(next((p for p in self._prefixes if p and name.startswith(p)), ""))

    def parameter_names(self) -> list[str]:
        """Names of the parameters, in the order of rows: load, margins, multiplicities, overlap and distance."""
        return list(self._parameter_names)

    @cached_property
    def _parameter_names(self) -> tuple[str, ...]:
        names = [
            prefix + name for prefix in self._prefixes for name in self.model.obeyed(prefix).constraint.parameters
        ]
        spellings = self.ansatz.multiplicities and self.model.weights.unit_norm
        constrained = ["overlap", "distance"] if spellings else ["distance"]
        return ("alpha", *names, *self.ansatz.multiplicities, *(constrained if self.ansatz.imposed else []))

    def imposed_value(self, values: Mapping[str, float]) -> float:
        """The imposed overlap at a distance; where norms are free, what the distance takes off half their sum."""
        if not self.model.weights.unit_norm:
            return self.distance_rate * values["distance"]
        return values.get("overlap", 1.0 - 2.0 * values["distance"])

    @property
    def distance_rate(self) -> float:
        """Derivative of an imposed overlap in the distance: squared distances are in units of the largest weight's."""
        return -2.0 * self.model.weights.scale

    def resolve(self, given: Mapping[str, Any], tolerance: float) -> dict[str, float]:
        """Every parameter as a number, checked; ``"max"`` as a reference margin becomes the maximal margin."""
        names = self._parameter_names
        given = _both_spellings(given) if "overlap" in names else given
        if len(given) != len(names) or any(name not in given for name in names):
            self._check_names(given)
        if not (is_number(tolerance) and 0.0 < tolerance < 1e-2):
            raise InputError(f"tolerance = {tolerance!r} must be a positive number below 0.01.")
        values: dict[str, float] = {}
        for name in names:
            if name not in given:
                continue
            value = given[name]
            if isinstance(value, float) and math.isfinite(value):
                values[name] = value
                continue
            obeyed = self._obeyed(name)
            temperature = getattr(obeyed.constraint, "temperature", "")
            if value == "max" and name.startswith("reference_"):
                from saddle.critical.capacities import maximal_margin

                if self.model.weights.discrete and not self.model.weights.counts:
                    raise InputError(f"{name} = max needs weights without a prior, whose entropy counts; give a number.")
                if not self.model.weights.discrete:
                    raise InputError(
                        f"{name} = max is singular for {self.model.weights.name} weights: their overlap tends to 1 there; "
                        "give a number below the maximal margin."
                    )
                value = maximal_margin(self._hard_reference(given), values["alpha"], tolerance)
            hot = bool(temperature) and name.endswith(temperature)
            if hot and value in (math.inf, "inf") and not hasattr(obeyed.constraint, "hard"):
                raise InputError(f"{name} = inf: a {obeyed.constraint.name} has no hard limit; count errors instead.")
            unbounded = name in self._countable or hot
            values[name] = math.inf if unbounded and value in (math.inf, "inf") else _number(name, value)
        _check_domain(values)
        self._check_multiplicities(values)
        for name, obeyed in self.positive_parameters.items():
            if name in values and not values[name] > 0.0:
                raise InputError(f"{name} = {values[name]:g} must be positive for {obeyed.name}.")
        return values

    def _check_names(self, given: Mapping[str, Any]) -> None:
        names = self._parameter_names
        if missing := [name for name in names if name not in given and name not in self.ansatz.extremised]:
            raise InputError(f"The ansatz {self.ansatz.name} needs {missing[0]}=.")
        if extra := [name for name in given if name not in names]:
            raise InputError(f"The ansatz {self.ansatz.name} takes no {extra[0]}; it takes {', '.join(names)}.")

    @cached_property
    def positive_parameters(self) -> dict[str, Model]:
        """The constraints' parameters that must be positive, and whose they are."""
        models = {prefix: self.model.obeyed(prefix) for prefix in self._prefixes}
        return {p + name: model for p, model in models.items() for name in getattr(model.constraint, "positive", ())}

    @cached_property
    def _countable(self) -> tuple[str, ...]:
        """Multiplicities that may be infinite: those that are not extremised."""
        return tuple(name for name in self.ansatz.multiplicities if name not in self.ansatz.extremised)

    def _hard_reference(self, given: Mapping[str, Any]) -> Model:
        """The model whose solutions the reference is one of: without a temperature where that of the reference is zero."""
        prefix = next((prefix for prefix in self._prefixes if prefix), "")
        model = self.model.obeyed(prefix)
        cold = given.get(prefix + getattr(model.constraint, "temperature", "")) in ("inf", math.inf)
        return replace(model, constraint=getattr(model.constraint, "hard", model.constraint)) if cold else model

    def _check_multiplicities(self, values: Mapping[str, float]) -> None:
        for name in self.ansatz.multiplicities:
            if name in self.ansatz.extremised and values.get(name, 1.0) <= 0.0:
                raise InputError(f"{name} = {values[name]:g} must be positive.")
            if name not in self.ansatz.extremised and values[name] < 1.0:
                raise InputError(f"{name} = {values[name]:g} counts replicas: it must be at least 1.")


@lru_cache(maxsize=64)
def _shipped(model: str, ansatz: str) -> Setting:
    """The setting of a model and an ansatz that ship, by name; those in a file may change, and are read again."""
    return Setting.of((zoo.model(model), zoo.ansatz(ansatz)))


@lru_cache(maxsize=64)
def _known(model: Model, ansatz: Ansatz) -> Setting:
    """One setting per model and ansatz, so that its kernel is looked up once."""
    return Setting(model, ansatz)


def same_constraint(setting: Setting) -> None:
    """Refuse a reference with a constraint of its own, where margins of reference and probes are compared."""
    if (reference := setting.model.reference) is not None:
        raise InputError(
            f"Thresholds compare the margins of a reference and its probes, but the reference is one of {reference.name}; "
            "ask for its profiles (franz_parisi)."
        )


def _both_spellings(given: Mapping[str, Any]) -> dict[str, Any]:
    """The constrained overlap and the distance (1 - overlap)/2, whichever of them was given."""
    overlap, distance = given.get("overlap"), given.get("distance")
    if overlap is not None and distance is not None:
        raise InputError("overlap= and distance= are two spellings of one constraint: give one of them.")
    rest = {name: value for name, value in given.items() if name not in ("overlap", "distance")}
    if overlap is None and distance is None:
        return rest
    if overlap is None:
        return {**rest, "overlap": 1.0 - 2.0 * _number("distance", distance), "distance": distance}
    return {**rest, "overlap": overlap, "distance": 0.5 * (1.0 - _number("overlap", overlap))}


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InputError(f"{name} = {value!r} is not a number.") from None
    if not math.isfinite(number):
        raise InputError(f"{name} = {value!r} must be a finite number.")
    return number


def _check_domain(values: Mapping[str, float]) -> None:
    if values["alpha"] <= 0.0:
        raise InputError(f"alpha = {values['alpha']:g} must be positive.")
    if "distance" in values and not 0.0 < values["distance"] < 0.5:
        raise InputError(f"distance = {values['distance']:g} must lie between 0 and 1/2, both excluded.")
