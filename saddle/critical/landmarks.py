r"""All thresholds of a model on one axis: where solutions end, and where flat minima open a gap or break up.

At given load and margin the axis is the reference's margin (``kappa_max``, ``kappa_gap``, ``kappa_mono``), at given
margin alone it is the load (``alpha_c``, ``alpha_LE``, ``alpha_gap``, those of clusters of replicas and of states; with a
teacher, where the student finds it).  Each is a row with its own status: one that does not exist (``absent``, with a
sentence) or could not be computed never hides another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from replica.errors import InputError
from replica.model import Model
from saddle.critical.breakup import breakup
from saddle.critical.capacities import capacity, max_margin
from saddle.critical.cluster_thresholds import number_of_replicas, of_clones, of_replicas
from saddle.critical.dynamical import NAMES as OF_STATES
from saddle.critical.dynamical import of_states
from saddle.critical.flat_thresholds import by_load, by_margin
from saddle.critical.landmark import Axis, Landmark
from saddle.critical.learning import transition
from saddle.points.results import Number, Threshold
from saddle.points.setting import Setting, same_constraint
from saddle.points.solving import DEFAULT_TOLERANCE
from saddle.reporting.curve import Curve
from saddle.reporting.temperatures import refuse_temperature
from saddle.sweeping.journal import Journal, Steps

_BY_MARGIN = ("kappa_max", "kappa_gap", "kappa_mono")
_BY_LOAD = ("alpha_c", "alpha_LE", "alpha_gap", "alpha_LE_y_inf", "alpha_U", "alpha_OGP")
_OF_A_STUDENT = ("alpha_first_order", "alpha_spinodal")


def thresholds(
    model: Model | str,
    *,
    alpha: float | None = None,
    kappa: float = 0.0,
    y: float | Iterable[float] = (),
    only: Iterable[str] | None = None,
    tolerance: float = DEFAULT_TOLERANCE,
    progress: Callable[[Any], None] | None = None,
    journal: Journal | None = None,
) -> Curve:
    r"""Return the thresholds of a model: in the reference's margin at a given load, or else in the load.

    With ``alpha``: ``kappa_max`` (:math:`\phi_\mathrm{RS} = 0`), ``kappa_gap`` (:math:`\phi = \phi' = 0` for the
    Franz-Parisi entropy) and ``kappa_mono`` (:math:`\phi' = \phi'' = 0`).  Without: ``alpha_c`` and the loads
    ``alpha_gap`` and ``alpha_LE`` at which the latter two reach ``kappa_max`` (Baldassi et al., arXiv 2107.01163);
    ``alpha_LE_y`` and ``alpha_LE_y_inf``, where the local entropy of ``y`` replicas stops rising with their distance;
    ``alpha_U``, where the line of vanishing complexity around a reference breaks up (Baldassi et al., arXiv 1509.05753);
    and ``alpha_OGP``, the smallest onset of an overlap gap over numbers of clones.  Of the states of typical solutions, by
    default for continuous weights only (discrete ones are frozen at every load): ``alpha_d``, where they appear, and
    ``alpha_K``, where they condense (:mod:`saddle.critical.dynamical`).  With a teacher: ``alpha_first_order`` and
    ``alpha_spinodal``, and ``alpha_OGP`` where it is asked for.

    Parameters
    ----------
    model : Model or str
    alpha : float, optional
        The load.
    kappa : float
        Margin of the probes.
    y : float or iterable of float
        Numbers of replicas for ``alpha_LE_y``, a row each.
    only : iterable of str, optional
        Names of the thresholds wanted, in this order; by default all but those named above.
    tolerance : float
        Largest undamped residual of the saddles.
    progress : callable, optional
        Called with every finished row.
    journal : Journal, optional
        What remembers rows of an earlier run (:mod:`saddle.sweeping.journal`).

    Returns
    -------
    Curve
        One row a threshold: ``name, value, error, definition``, where it happens (``distance``, ``overlap``, ``y``,
        ``clones``), ``order_parameters``, ``status`` (``absent`` with a sentence where it does not exist,
        ``not-converged`` where it could not be computed) and ``message``.

    Raises
    ------
    InputError
        For bad input.
    """
    refuse_temperature(model, "thresholds")
    setting = Setting.of((model, "franz-parisi"))
    same_constraint(setting)
    wanted = names(setting.model, alpha, y, only)
    axis = Axis(setting, alpha, float(kappa), tolerance)
    Setting.of((model, "rs")).resolve({"alpha": 1.0, **axis.parameters}, tolerance)
    steps = Steps(journal, progress)
    for name, replicas in wanted:
        steps.at(place_of(axis.parameters, name, replicas), _landmark, axis, name, replicas)
    return Curve(tuple(steps.points))


def place_of(parameters: Mapping[str, float], name: str, y: float) -> dict[str, Any]:
    """Where the row of a threshold belongs: its parameters, its name and, where it has one, its number of replicas."""
    return {**parameters, "name": name, **({"y": y} if name == "alpha_LE_y" else {})}


def names(
    model: Model, alpha: float | None, y: float | Iterable[float], only: Iterable[str] | None
) -> list[tuple[str, float]]:
    """Return the name of every row asked for, with its number of replicas (infinite where that is not asked for).

    Raises
    ------
    InputError
        For a name that does not exist here, and numbers of replicas that are not above 1 or that no threshold has.
    """
    replicas = [float(value) for value in (y if isinstance(y, Iterable) else (y,))]
    if bad := [value for value in replicas if not value > 1.0]:
        raise InputError(f"y = {bad[0]:g} must be above 1: one replica has no overlap to impose.")
    known = _BY_MARGIN if alpha is not None else _OF_A_STUDENT if model.teacher else _BY_LOAD
    if replicas and "alpha_LE_y_inf" in known:
        known = (*known, "alpha_LE_y")
    asked = OF_STATES if "alpha_c" in known else ("alpha_OGP",) if known is _OF_A_STUDENT else ()
    default = (*known, *asked) if not model.weights.discrete else known
    given = only.split(",") if isinstance(only, str) else only
    known, wanted = (*known, *asked), tuple(default if given is None else given)
    if not all(wanted) or not wanted:
        raise InputError(f"A threshold without a name was asked for; there are {', '.join(known)}.")
    if repeated := [name for i, name in enumerate(wanted) if name in wanted[:i]]:
        raise InputError(f"The threshold {repeated[0]} is asked for twice.")
    if wrong := [name for name in wanted if name not in known]:
        missing = " (give y=)" if wrong[0] == "alpha_LE_y" and alpha is None else ""
        raise InputError(f"There is no threshold {wrong[0]} here{missing}; there are {', '.join(known)}.")
    if replicas and "alpha_LE_y" not in wanted:
        raise InputError(f"y = {replicas[0]:g} cannot be used: only alpha_LE_y has a number of replicas, not asked for.")
    return [(name, m) for name in wanted for m in (replicas if name == "alpha_LE_y" else [math.inf])]


def _landmark(axis: Axis, name: str, y: float) -> Landmark:
    """One row; what goes wrong stays in it."""
    nowhere, compute = _plan(axis, name, y)
    return axis.guarded(name, nowhere, compute)


def _plan(axis: Axis, name: str, y: float) -> tuple[Mapping[str, Number], Callable[[], Landmark]]:
    """The columns of a threshold that say where it happens, empty, and what computes it."""
    if name in ("kappa_max", "alpha_c"):
        return {}, partial(_end_of_solutions, axis, name)
    if name.startswith("alpha_LE_y"):
        empty = {**number_of_replicas(name, y), "overlap": None, "complexity": None}
        return empty, partial(of_replicas, axis, name, y)
    if name == "alpha_U":
        return {"distance": None, "y": None, "overlap": None}, partial(breakup, axis, name)
    if name == "alpha_OGP":
        return {"clones": None, "overlap": None}, partial(of_clones, axis, name)
    if name in _OF_A_STUDENT:
        return {"overlap": None}, partial(_of_a_student, axis, name)
    if name in OF_STATES:
        return {"overlap": None}, partial(of_states, axis, name)
    return {"distance": None}, partial(by_load if axis.alpha is None else by_margin, axis, name)


def _end_of_solutions(axis: Axis, name: str) -> Landmark:
    model = axis.setting.model
    if axis.alpha is not None:
        found = max_margin(model, axis.alpha, tolerance=axis.tolerance)
    else:
        found = capacity(model, axis.kappa, tolerance=axis.tolerance)
    assert isinstance(found, Threshold)
    return axis.as_landmark(name, found, {})


def _of_a_student(axis: Axis, name: str) -> Landmark:
    found = transition(name, axis.setting.model, axis.kappa, axis.tolerance)
    where = {"overlap": found.observables["overlap"]}
    return axis.as_landmark(name, found, where, setting=Setting.of((axis.setting.model, "rs")))
