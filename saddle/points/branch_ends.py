"""Where branches of Franz-Parisi saddles end: the status and the sentence for a distance that none of them reaches."""

from __future__ import annotations

from collections.abc import Mapping

from replica.parts.constraints import lies_inside
from saddle.points.branch import SMALLEST_DISTANCE, Side
from saddle.points.problem import State
from saddle.points.results import Status
from saddle.points.setting import Setting


def where_branches_end(
    setting: Setting, values: Mapping[str, float], below: Side | None, above: Side | None
) -> tuple[Status, str]:
    """Status and sentence for a distance that no branch reaches."""
    if above is None:
        assert below is not None
        return Status.BRANCH_END, (
            f"No saddle: the branch ends at distance {below.distance:.4g} ({_how_it_ends(below.state)}), and none was "
            "found at larger distances."
        )
    upper = f"the one from the typical distance ends at {above.distance:.4g} ({_how_it_ends(above.state)})"
    if below is not None:
        return Status.NO_SADDLE, (
            f"Window without a saddle: the branch from small distances ends at {below.distance:.4g} "
            f"({_how_it_ends(below.state)}), {upper}."
        )
    if reference_is_inside(setting, values):
        return Status.NO_SADDLE, (
            f"Window without a saddle: the branch from small distances ends below {SMALLEST_DISTANCE:g}, {upper}."
        )
    return Status.BRANCH_END, (
        f"No saddle: the branch ends at distance {above.distance:.4g} ({_how_it_ends(above.state)}), and there is none "
        "at smaller distances, where the reference is not inside the probe's constraint."
    )


def reference_is_inside(setting: Setting, values: Mapping[str, float]) -> bool:
    """Whether the reference fulfils the probe's constraint with room to spare, so that probes surround it closely."""
    prefix = next((prefix for _, prefix in setting.ansatz.prefixes if prefix), "")
    inner, outer = (setting.model.obeyed(p).constraint for p in (prefix, ""))
    at = {name: values[prefix + name] for name in inner.parameters}
    return lies_inside(inner, at, outer, {name: values[name] for name in outer.parameters})


def is_frozen(state: State) -> bool:
    """Whether an overlap of the probes tends to 1 and a conjugate to infinity."""
    return max(state.overlaps[name] for name in state.pivots) > 0.99 and max(map(abs, state.conjugates.values())) > 100.0


def _how_it_ends(state: State) -> str:
    if is_frozen(state):
        closest = max(state.pivots, key=lambda name: state.overlaps[name])
        return f"the probes freeze: {closest} tends to 1 and its conjugate to infinity"
    return "in a fold"
