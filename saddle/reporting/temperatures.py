"""Inverse temperatures of a report: which model they belong to, and what values they may take.

A model without a temperature gets one that counts errors (:func:`replica.soft`); an infinite one is the hard constraint.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from replica import zoo
from replica.errors import InputError
from replica.model import Model
from replica.parts.constraints import soft

NO_TEMPERATURE = {
    "capacity": (
        "At finite temperature patterns may be violated at a cost, so that there are configurations at any load and no "
        "capacity; ask for energy and entropy (entropy with beta)."
    ),
    "max-margin": (
        "At finite temperature patterns may be violated at a cost, so that there are configurations at any margin and none "
        "is maximal; ask for energy and entropy (entropy with beta)."
    ),
    "ogp": (
        "At finite temperature clones may violate patterns at a cost, so that no overlap of theirs is excluded and there is "
        "no gap; ask for what they gain at an overlap (local-entropy with beta)."
    ),
    "thresholds": (
        "Thresholds are those of solutions, which violate no pattern; at finite temperature ask for profiles (franz-parisi, "
        "local-entropy or complexity with beta)."
    ),
}
"""Why a report has no temperature."""
Temperatures = float | str | Iterable[float | str] | None


def temperature_of(model: Model) -> str:
    """Return the name of a model's inverse temperature, empty if it has none."""
    return str(getattr(model.constraint, "temperature", ""))


def refuse_temperature(model: Model | str, report: str) -> None:
    """Refuse a model with a temperature in a report that has none, with the reason."""
    if not isinstance(model, str) and temperature_of(zoo.as_model(model)):
        raise InputError(NO_TEMPERATURE[report])


def at_temperature(model: Model | str, beta: Temperatures) -> tuple[Model, list[dict[str, float]]]:
    """Return the model that has these inverse temperatures, and a parameter for each; one empty one for none.

    Raises
    ------
    InputError
        If a temperature is missing, or is no positive number or ``"inf"``.
    """
    model = zoo.as_model(model)
    if beta is None:
        if name := temperature_of(model):
            raise InputError(f"The model {model.name} has a temperature: give {name}.")
        return model, [{}]
    model = model if temperature_of(model) else soft(model)
    name = temperature_of(model)
    return model, [{name: value} for value in as_temperatures(name, beta)]


def as_range(temperatures: list[dict[str, float]]) -> dict[str, list[float]]:
    """Return the temperatures as one range of a product; none where there is no temperature."""
    return {name: [row[name] for row in temperatures] for name in temperatures[0]}


def as_temperatures(name: str, values: Any) -> list[float]:
    """Inverse temperatures as positive numbers; ``"inf"`` is infinite."""
    listed = [values] if isinstance(values, str) or not isinstance(values, Iterable) else list(values)
    if not listed:
        raise InputError(f"{name} has no values; give a number, several, or inf.")
    found = []
    for value in listed:
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise InputError(f"{name} = {value!r} is not a number.") from None
        if math.isnan(number) or not number > 0.0:
            raise InputError(f"{name} = {value!r} must be a positive number or inf.")
        found.append(number)
    return found
