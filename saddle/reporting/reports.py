r"""Curves: the entropy against the margin, and the Franz-Parisi entropy against the distance.

Points are solved in the order asked for, each started from its neighbour on the same branch
(:mod:`saddle.sweeping.branches`).
What a Franz-Parisi curve says about itself (where it is maximal, whether it is positive and increasing below that) is
solved for on its branch, not read off its grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from replica.ansatz import Ansatz
from replica.errors import InputError
from replica.model import Model
from saddle.points.results import SaddlePoint, Status
from saddle.points.setting import Setting
from saddle.points.solving import DEFAULT_TOLERANCE, solve_point
from saddle.reporting.curve import Curve
from saddle.reporting.profile import Profile
from saddle.reporting.temperatures import Temperatures, as_range, as_temperatures, at_temperature, temperature_of
from saddle.sweeping.branches import Place, branches, places
from saddle.sweeping.journal import Journal, Steps

Progress = Callable[[SaddlePoint], None]
Numbers = float | Iterable[float]


def entropy_curve(
    model: Model | str,
    alpha: Numbers,
    kappa: Numbers = 0.0,
    *,
    ansatz: Ansatz | str = "rs",
    beta: Temperatures = None,
    start: SaddlePoint | Mapping[str, float] | None = None,
    tolerance: float = DEFAULT_TOLERANCE,
    progress: Progress | None = None,
    journal: Journal | None = None,
) -> Curve:
    r"""Return the entropy at every load and margin, replica-symmetric unless another ansatz is asked for.

    Columns: ``alpha, kappa, free_entropy, overlap, distance`` (``(1-q)/2``, between typical solutions), ``replicon``
    (positive: stable), ``stable``, the order parameters ``q, qhat``, and the errors and status of every result.

    Parameters
    ----------
    model : Model or str
    alpha, kappa : float or iterable of float
        Loads and margins; their product is computed, ``kappa`` fastest, in the order given.
    ansatz : Ansatz or str
        ``"rs"``, or ``"1rsb"``: then with ``internal_entropy`` and ``complexity`` in place of overlap and distance, and
        ``m`` among the order parameters.
    beta : float, "inf" or an iterable of these, optional
        Inverse temperatures, faster still: every violated pattern costs 1 (or the loss of :func:`replica.soft`).  Columns
        ``energy`` (per weight) and ``entropy`` = ``free_entropy + beta energy``; ``"inf"`` is the hard constraint.
    start : optional
        Order parameters to start the first point of every branch from.
    tolerance : float
        Largest undamped residual.
    progress : callable, optional
        Called with every finished point.
    journal : Journal, optional
        What remembers points of an earlier run (:mod:`saddle.sweeping.journal`).

    Raises
    ------
    InputError
        For bad input, and if there is no saddle at any point asked for.
    """
    model, temperatures = at_temperature(model, beta)
    setting = Setting.of((model, ansatz))
    steps = Steps(journal, progress)
    ranges = {"alpha": as_numbers("alpha", alpha), "kappa": as_numbers("kappa", kappa), **as_range(temperatures)}
    for branch in branches(ranges):
        previous = start
        for row in places(branch):
            point = steps.at(row, solve_point, setting, setting.resolve(row, tolerance), previous, tolerance)
            previous = point if point.converged else None
    points = steps.points
    if points and not setting.ansatz.extremised and all(point.status is Status.NO_SADDLE for point in points):
        raise InputError(f"No saddle at any point asked for: {points[0].message}")
    return Curve(tuple(points))


def franz_parisi(
    model: Model | str,
    alpha: Numbers,
    reference_kappa: float | str | Iterable[float | str],
    kappa: Numbers = 0.0,
    distance: Numbers | None = None,
    *,
    beta: Temperatures = None,
    reference_beta: Temperatures = None,
    reference: Model | str | None = None,
    start: SaddlePoint | Mapping[str, float] | None = None,
    tolerance: float = DEFAULT_TOLERANCE,
    progress: Progress | None = None,
    journal: Journal | None = None,
) -> Curve:
    r"""Return the Franz-Parisi entropy: how many solutions of margin ``kappa`` surround a typical one of larger margin.

    Columns: ``alpha, kappa, reference_kappa, distance, free_entropy, slope`` (in the distance), ``bound``
    (:math:`-d \ln d - (1-d) \ln(1-d)` for binary weights), the order parameters
    ``q, qhat, t, that, p, phat, qr, qrhat``, errors and status.  ``curves`` has one entry per curve: ``typical_distance``
    (where it is maximal), ``positive`` and ``monotonic`` (below that, within the distances asked for).  At finite
    temperature ``positive`` is about the entropy, the others about the free entropy.

    Parameters
    ----------
    model : Model or str
    alpha, kappa : float or iterable of float
    reference_kappa : float, "max", or an iterable of these
        Margin of the reference; ``"max"`` is the largest that exists at the load.
    distance : float or iterable of float
        Distances to the reference, inside (0, 1/2).
    beta, reference_beta : float, "inf" or an iterable of these, optional
        Inverse temperatures of the probes and of the reference (default: that of the probes): every violated pattern
        costs 1 (or the loss of :func:`replica.soft`).  ``"inf"`` is the hard constraint.  Columns ``energy`` and
        ``entropy`` are those of the probes.
    reference : Model or str, optional
        Whose typical solution the reference is, if its constraint is another one than that of the probes: a window, a
        temperature or a loss around which a margin is asked for.  Its temperature is ``reference_beta`` alone.

    Raises
    ------
    InputError
        For bad input, among it a reference margin above the maximal one.

    References
    ----------
    Baldassi, Lauditi, Malatesta, Perugini, Zecchina, arXiv 2107.01163.
    """
    if distance is None:
        raise InputError("The Franz-Parisi entropy needs distance=, a number or several inside (0, 1/2).")
    model, temperatures = _around(model, reference, beta, reference_beta)
    setting = Setting.of((model, "franz-parisi"))
    name = temperature_of(model.obeyed("reference_"))
    own = f"reference_{name}"
    ranges: dict[str, Sequence[Any]] = {
        "alpha": as_numbers("alpha", alpha),
        "kappa": as_numbers("kappa", kappa),
        "reference_kappa": _references(reference_kappa),
        **as_range(temperatures),
        **({} if reference_beta is None else {own: as_temperatures(own, reference_beta)}),
        "distance": as_numbers("distance", distance),
    }
    lines = [places(line) for line in branches(ranges, "distance", length=None)]
    # Everything is resolved, and so refused if it is wrong, before the first point is solved.
    resolved = [[setting.resolve(_with_reference(row, name), tolerance) for row in line] for line in lines]
    profiles = [Profile(setting, line, tolerance) for line in resolved]
    steps = Steps(journal, progress)
    for profile, line in zip(profiles, lines, strict=True):
        profile.solve(line, start, steps)
    return Curve(tuple(steps.points), tuple(profile.summary() for profile in profiles))


def _around(
    model: Model | str, reference: Model | str | None, beta: Temperatures, reference_beta: Temperatures
) -> tuple[Model, list[dict[str, float]]]:
    """The model of probes around their reference, and the temperatures of the probes."""
    model, temperatures = at_temperature(model, beta)
    reference = model.reference if reference is None else reference
    if reference is None and reference_beta is not None and beta is None:
        raise InputError("reference_beta needs beta, that of the probes (inf is the hard constraint), or a reference.")
    if reference is not None:
        model = model.around(at_temperature(reference, reference_beta)[0])
    return model, temperatures


def _with_reference(row: Place, temperature: str) -> Place:
    """A row in which the reference has the temperature of the probes where it has none of its own."""
    return {f"reference_{temperature}": row[temperature], **row} if temperature in row else row


def as_numbers(name: str, values: Any) -> list[float]:
    """Values as a list of finite numbers."""
    if isinstance(values, (str, bytes)):
        raise InputError(f"{name} = {values!r} is not a number.")
    listed: Sequence[Any] = list(values) if isinstance(values, Iterable) else [values]
    if not listed:
        raise InputError(f"{name} has no values; give a number or several.")
    for value in listed:
        try:
            finite = math.isfinite(float(value))
        except (TypeError, ValueError):
            raise InputError(f"{name} = {value!r} is not a number.") from None
        if not finite:
            raise InputError(f"{name} = {value!r} must be a finite number.")
    return [float(value) for value in listed]


def _references(values: Any) -> list[Any]:
    """Reference margins: numbers, or the word max."""
    listed = [values] if isinstance(values, str) or not isinstance(values, Iterable) else list(values)
    if not listed:
        raise InputError("reference_kappa has no values; give a number, several, or max.")
    return [value if value == "max" else as_numbers("reference_kappa", value)[0] for value in listed]
