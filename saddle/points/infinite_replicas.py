r"""Solve a saddle with infinitely many replicas in a cluster: the local entropy and its complexity at ``y = inf``.

The leading order :math:`\phi` is stationary in its unknowns; kernels give its gradient and Hessian, so that Newton's
method, the tangent of the branch and the response to an imposed overlap need nothing else.  The branch starts where
clusters do not matter, at the replica-symmetric point with all shifts 0, and is followed in what is imposed: an overlap,
or half a squared distance where norms are free.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from replica.ansatz import SELF, Ansatz, conjugate
from replica.model import Model
from replica.parts.teacher import SPECIES as TEACHER
from saddle.kernels.kernel import kernel_key, load_kernel
from saddle.kernels.quadrature import Rule
from saddle.points.results import Iteration, SaddlePoint, Status
from saddle.points.setting import Setting

Vector = np.ndarray
_STEPS = ((0.06, 10.0), (0.03, 16.0), (0.015, 32.0), (0.008, 64.0), (0.004, 128.0), (0.002, 128.0), (0.001, 128.0))
_RULES, _COARSE = tuple(Rule(*step) for step in _STEPS), 5
"""Finer and wider rules: the larger the shift of an overlap beside what it leaves to 1, the sharper the integrand."""
_SHARP, _BLUNT, _TINY = 3e-13, 1e-3, 1e-200
"""Relative differences to a refined rule at which a rule is fine enough, and from which on it resolves anything."""
_TERMS = ("interaction", "weights", "energetic")
_EPS = float(np.finfo(float).eps)
_ROUNDING = 32 * _EPS
_NOISE = 1e-14
_CONVERGED, _NEARLY = 1e-12, 1e-8
"""Length of a Newton step, in natural coordinates, at which the iteration stops, and that still counts as converged."""
_SHORTEST_DAMPING = 1e-4
_LONGEST = 50.0
_FIELD = 1e-3
"""Conjugate of an imposed overlap with an anchor at which a branch starts: small, but enough to break its symmetry."""
_FIRST_STEP, _SHORTEST_STEP, _LARGEST_CHANGE, _MOST_STEPS = 0.05, 1e-4, 1.0, 500
_MOST_ITERATIONS = 1000
_SINGULAR = 1e-4
_EDGE, _CLOSED = 0.02, 1e-6
"""Openness of the overlap matrix below which a branch that stops has lost positivity, and the smallest that is told."""


@dataclass(frozen=True)
class Terms:
    """Value, next order, gradient and Hessian of the leading order in all variables; ``sizes`` add up the parts' sizes."""

    leading: float
    next: float
    gradient: Vector
    hessian: Vector
    constraint: Vector
    readings: Vector
    sizes: Vector

    def residual(self, unknowns: int) -> float:
        """The largest undamped residual, relative to one plus the size of its parts."""
        return float(np.max(np.abs(self.gradient[:unknowns]) / (1.0 + self.sizes[2 : 2 + unknowns])))


@dataclass(frozen=True)
class InfinitePoint:
    """A saddle at infinite multiplicity, or the reason for none.

    ``values`` holds the unknowns, what is imposed, and the order parameters that follow from both by name;
    ``local_entropy`` is the leading order per replica, ``complexity`` the next order, each with its absolute error;
    ``slope`` and ``curvature`` are the first two derivatives of the local entropy in what is imposed along the branch,
    ``constraint_slopes`` those in the constraint's parameters, with their errors.
    """

    values: Mapping[str, float]
    local_entropy: float
    local_entropy_error: float
    complexity: float
    complexity_error: float
    slope: float
    curvature: float
    constraint_slopes: Mapping[str, float]
    constraint_errors: Mapping[str, float]
    residual: float
    quadrature_error: float
    status: Status
    message: str
    iterations: tuple[Iteration, ...] = ()


class InfiniteProblem:
    """The equations of one kernel at fixed load and constraint.

    Parameters
    ----------
    model, ansatz
        The ansatz keeps one multiplicity, which is infinite here.
    alpha : float
        Load.
    constraint : mapping
        The constraint's parameters by name.
    """

    def __init__(self, model: Model, ansatz: Ansatz, alpha: float, constraint: Mapping[str, float]) -> None:
        self.kernel: ModuleType = load_kernel(model, ansatz, "infinite")
        self.key = kernel_key(model, ansatz, "infinite")
        meta = self.kernel.META
        self.model, self.ansatz, self.alpha = model, ansatz, alpha
        self.unknowns: list[str] = meta["unknowns"]
        self.imposed: list[str] = meta["imposed"]
        self.shifts: dict[str, list[str]] = meta["shifts"]
        self.variables = [*self.unknowns, *self.imposed]
        self.constraint: list[str] = meta["constraint"]
        self._tail = [constraint[name] for name in self.constraint]
        self.relations: dict[str, dict[str, float]] = meta["relations"]
        self.readings: list[str] = meta["readings"]
        self._positive = set(meta["positive"])
        self._rooms: dict[str, dict[str, float]] = meta["rooms"]
        self._upper = np.triu_indices(len(self.variables))
        self._size = 2 + len(self.variables) + len(self._upper[0]) + len(self.constraint) + len(self.readings)
        last = self._size - len(self.readings)
        self.of_constraint = slice(last - len(self.constraint), last)
        self._levels = dict.fromkeys(_TERMS, 0)

    def _term(self, name: str, values: Mapping[str, float], rule: Rule) -> Vector:
        """One of the three terms with its derivatives."""
        arguments = np.array([*(values[name] for name in self.variables), *self._tail])
        sinh, cosh, origin = rule.tables()
        out = np.full(self._size, math.nan)
        try:
            # below a margin two parabolas meet: a field has its maximiser farther out by this factor
            reach = rule.reach / max(self.openness(values), _CLOSED) if name == "energetic" else rule.reach
            getattr(self.kernel, name)(arguments, sinh, cosh, origin, rule.step / 4, reach, out)
        except (ZeroDivisionError, ValueError, OverflowError):
            out[:] = math.nan
        return out * self.alpha if name == "energetic" else out

    def openness(self, values: Mapping[str, float]) -> float:
        """The smallest eigenvalue of the replicas' overlap matrix, over what it would be without a shift; at most 1."""
        return 1.0 + min([0.0, *(values[shift] / self._unit(shift, values) for shift in self._rooms)])

    def sharpen(self, values: Mapping[str, float]) -> bool:
        """Choose rules that are fine enough at these values; whether that changed any."""
        before, told = dict(self._levels), 2 + len(self.variables)
        for name in _TERMS:
            # only fields of patterns have features that a shift makes exponentially sharp
            last, sharp = math.inf, name == "energetic"
            while self._levels[name] + 1 < (len(_RULES) if sharp else _COARSE):
                rule = _RULES[self._levels[name]]
                plain, refined = (self._term(name, values, r)[:told] for r in (rule, rule.refined()))
                difference = float(np.max(np.abs(plain - refined) / (np.abs(refined) + _TINY)))
                rounding = last / 4 <= difference and (difference < _BLUNT or not sharp)  # it no longer falls
                if rounding or not difference > _SHARP:
                    break
                last, self._levels[name] = difference, self._levels[name] + 1
        return before != self._levels

    @property
    def rule(self) -> str:
        """The finest rule in use."""
        return str(_RULES[max(self._levels.values())])

    def terms(self, values: Mapping[str, float], refined: bool = False) -> Terms:
        """Everything at these values of the variables, by the rules in use or refined ones; NaN outside the domain."""
        n, k, size = len(self.variables), len(self.constraint), self._size - len(self.readings)
        total, sizes = np.zeros(self._size), np.zeros(self._size)
        for name in _TERMS:
            rule = _RULES[self._levels[name]]
            out = self._term(name, values, rule.refined() if refined else rule)
            total += out
            sizes += np.abs(out)
        hessian = np.zeros((n, n))
        hessian[self._upper] = total[2 + n : size - k]
        hessian = hessian + np.triu(hessian, 1).T
        gradient, constraint = total[2 : 2 + n], total[self.of_constraint]
        return Terms(float(total[0]), float(total[1]), gradient, hessian, constraint, total[size:], sizes)

    def newton(
        self, start: Mapping[str, float], tolerance: float, most: int = 40
    ) -> tuple[dict[str, float] | None, Terms | None, list[Iteration]]:
        """Newton's method in natural coordinates of the unknowns; None where it fails.

        A step is accepted if the next one with the same Hessian is shorter, which does not depend on the units of the
        equations: near a vanishing variance some of them are many orders of magnitude smaller than others.
        """
        m = len(self.unknowns)
        values = dict(start)
        log: list[Iteration] = []
        here = self.terms(values)
        length = math.inf
        for count in range(most):
            matrix = here.hessian[:m, :m] * self.stretch(values)
            step = _solved(matrix, -here.gradient[:m])
            length = _norm(step)
            if not math.isfinite(length):
                return None, None, log
            if length < _CONVERGED:
                break
            damping = min(1.0, 2.0 / float(np.max(np.abs(step))))
            while damping > _SHORTEST_DAMPING:
                trial = self.moved(values, damping * step)
                there = self.terms(trial)
                if _norm(_solved(matrix, -there.gradient[:m])) < length:
                    break
                damping /= 2
            log.append(Iteration(count, here.residual(m), damping, "newton"))
            if damping <= _SHORTEST_DAMPING:
                break
            values, here = trial, there
        solved = length <= _NEARLY and here.residual(m) <= max(tolerance, _NOISE)
        return (values if solved else None), here, log

    def stretch(self, values: Mapping[str, float]) -> Vector:
        """Derivative of the unknowns in their natural coordinates.

        These are the logarithm of a variance, and for the shift of an overlap ``q`` the inverse hyperbolic sine of its ratio
        to ``1 - q`` (or to what ``q`` leaves to the norm): it grows exponentially as that tends to 0.  Of all others it is
        the inverse hyperbolic sine itself: conjugates grow without a bound towards the ends of a branch.
        """
        found = np.ones(len(self.unknowns))
        for i, name in enumerate(self.unknowns):
            found[i] = values[name] if name in self._positive else math.hypot(values[name], self._unit(name, values))
        return found

    def _unit(self, name: str, values: Mapping[str, float]) -> float:
        """The size of an unknown beside which it is small: what an overlap leaves for its shift, or 1."""
        return _linear(self._rooms[name], values) if name in self._rooms else 1.0

    def moved(self, values: Mapping[str, float], step: Vector) -> dict[str, float]:
        """The values after a step in natural coordinates."""
        moved = dict(values)
        for name, change in zip(self.unknowns, step.tolist(), strict=True):
            change = min(max(change, -_LONGEST), _LONGEST)
            if name in self._positive:
                moved[name] = values[name] * math.exp(change)
            else:
                unit = self._unit(name, values)
                moved[name] = unit * math.sinh(math.asinh(values[name] / unit) + change)
        return moved

    def response(self, here: Terms) -> Vector:
        """Derivative of the unknowns in the imposed overlap along the branch."""
        m = len(self.unknowns)
        return _solved(here.hessian[:m, :m], -here.hessian[:m, m])

    def orientation(self, here: Terms) -> float:
        """Sign of the determinant of the Hessian in the unknowns: it changes where the branch folds."""
        m = len(self.unknowns)
        return float(np.sign(np.linalg.det(here.hessian[:m, :m])))

    def singularity(self, values: Mapping[str, float], here: Terms) -> float:
        """Smallest singular value of the Hessian with normalised rows and columns: 0 where the branch folds."""
        m = len(self.unknowns)
        matrix = here.hessian[:m, :m] * self.stretch(values)
        matrix = matrix / np.maximum(np.linalg.norm(matrix, axis=1), np.finfo(float).tiny)[:, None]
        matrix = matrix / np.maximum(np.linalg.norm(matrix, axis=0), np.finfo(float).tiny)
        return float(np.linalg.svd(matrix, compute_uv=False)[-1])

    def typical(self, tolerance: float) -> SaddlePoint:
        """The replica-symmetric point, where clusters do not matter."""
        from saddle.points.solving import solve_point

        parameters = {"alpha": self.alpha, **dict(zip(self.constraint, self._tail, strict=True))}
        return solve_point(Setting.of((self.model, "rs")), parameters, None, tolerance)

    def start(self, typical: SaddlePoint) -> dict[str, float]:
        """The replica-symmetric point in these variables, and the imposed overlap at which it is a solution."""
        setting = Setting.of((self.model, "rs"))
        values = dict.fromkeys(self.variables, _FIELD) | self._placed(setting, typical.order_parameters)
        (name,) = self.imposed
        for overlap in self.ansatz.imposed:
            if overlap in self.relations and overlap in values:
                # the distance at which replicas have the overlap of two solutions
                relation = self.relations[overlap]
                values[name] = (_linear({**relation, name: 0.0}, values) - values[overlap]) / -relation[name]
            elif (hat := conjugate(overlap)) in self.unknowns:
                # the leading order is linear in what is imposed, times this conjugate
                here, row = self.terms(values), self.unknowns.index(hat)
                values[name] -= here.gradient[row] / here.hessian[row, -1]
        return {k: values[k] for k in self.variables}

    def _placed(self, setting: Setting, known: Mapping[str, float]) -> dict[str, float]:
        """The order parameters of a replica-symmetric point under the names that they have here, all shifts 0."""
        names, free = setting.ansatz.names(), self.ansatz.free_species()
        single = {SELF, self.ansatz.tree.name}
        values = dict.fromkeys((shift for _, shift in self.shifts.values()), 0.0)
        for (node, *pair), name in self.ansatz.names().items():
            if node not in single or free & {*pair}:
                continue
            kinds = sorted(s if s == TEACHER else "w" for s in pair)
            there = names[SELF if node == SELF else setting.ansatz.tree.name, kinds[0], kinds[1]]
            limit, _ = self.shifts.get(name, (name, ""))
            values |= {limit: known[there], conjugate(name): known[conjugate(there)]}
        return values

    def room(self, values: Mapping[str, float]) -> float:
        """What an imposed overlap leaves to 1, or the imposed distance itself."""
        (name,) = self.imposed
        return abs(values[name]) if self.relations else 1.0 - abs(values[name])

    def complete(self, values: Mapping[str, float], here: Terms) -> dict[str, float]:
        """The values with what follows from them: order parameters that are read off, overlaps at an imposed distance."""
        found = {**values, **dict(zip(self.readings, here.readings.tolist(), strict=True))}
        return found | {name: _linear(form, found) for name, form in self.relations.items()}

    def follow(
        self, start: Mapping[str, float], target: float, tolerance: float
    ) -> tuple[dict[str, float] | None, Terms | None, list[Iteration]]:
        """The branch from ``start`` towards ``target`` as what is imposed: the values that it got to (None: nowhere)."""
        (name,) = self.imposed
        values, here, log = self.newton(start, tolerance)
        if values is None or here is None:
            return None, here, log
        step, sign = math.copysign(_FIRST_STEP, target - values[name]), self.orientation(here)
        for _ in range(_MOST_STEPS):
            if len(log) > _MOST_ITERATIONS:
                break
            if values[name] == target or abs(step) < _SHORTEST_STEP * self.room(values):
                break
            rates = self.response(here) / self.stretch(values)
            longest = min(0.3 * self.room(values), _LARGEST_CHANGE / max(float(np.max(np.abs(rates))), _TINY))
            step = math.copysign(min(abs(step), longest), step)
            there = target if abs(step) >= abs(target - values[name]) else values[name] + step
            tangent = rates * (there - values[name])
            guess = {**self.moved(values, tangent), name: there}
            found, terms, steps = self.newton(guess, tolerance, most=12)
            log += steps
            if found is not None and terms is not None and self.orientation(terms) == sign:
                if self.sharpen(found):
                    found, terms, steps = self.newton(found, tolerance)
                    if found is None or terms is None:
                        break
                values, here, step = found, terms, step * 1.6
            else:
                step /= 2
        return values, here, log


def solve_infinite(
    problem: InfiniteProblem, target: float, tolerance: float, start: Mapping[str, float] | None = None
) -> InfinitePoint:
    """Return the saddle at an imposed overlap or distance, from ``start`` if that leads there, or along the branch."""
    (name,) = problem.imposed
    values: dict[str, float] | None = None
    log: list[Iteration] = []
    if start is not None and {*problem.unknowns} <= start.keys():
        values, here, log = problem.newton({**{k: start[k] for k in problem.unknowns}, name: target}, tolerance)
        if values is not None and problem.sharpen(values):  # what a coarse rule found may be none by a finer one
            values, here, steps = problem.newton(values, tolerance)
            log += steps
    if values is None:
        typical = problem.typical(tolerance)
        if not typical.converged:
            return _nothing(problem, typical.status, f"The replica-symmetric point: {typical.message}", log)
        values, here, steps = problem.follow(problem.start(typical), target, tolerance)
        log += steps
        if values is not None and here is not None and values[name] != target:
            return _cut_off(problem, values, here, log, math.copysign(1.0, target - values[name]))
    if values is not None and problem.sharpen(values):
        values, here, steps = problem.newton(values, tolerance)
        log += steps
    if values is None or here is None:
        return _nothing(problem, Status.NOT_CONVERGED, "Not converged: Newton's method failed along the branch.", log)
    return _finished(problem, values, here, log)


def _cut_off(
    problem: InfiniteProblem, values: Mapping[str, float], here: Terms, log: list[Iteration], direction: float
) -> InfinitePoint:
    """The answer where the branch was not followed to the end: it folds, or its numbers leave double precision."""
    (name,) = problem.imposed
    distance = values[name] / (2.0 * problem.model.weights.scale) if problem.relations else (1.0 - values[name]) / 2
    where = f"distance {distance:.6g}" if problem.relations else f"overlap {values[name]:.6g} (distance {distance:.6g})"
    if problem.singularity(values, here) < _SINGULAR and _folds(problem, values, here, direction):
        return _nothing(problem, Status.BRANCH_END, f"No saddle: the branch ends in a fold at {where}.", log)
    fields = [values[conjugate(name)] for name in problem.ansatz.imposed if conjugate(name) in problem.unknowns]
    if fields and abs(fields[0]) < _FIELD:
        reason = f"the field along the reference vanishes at {where}; beyond, it does not hold its replicas"
        return _nothing(problem, Status.BRANCH_END, f"No saddle: {reason}.", log)
    if problem.openness(values) < _EDGE:
        reason = f"the overlap matrix of the replicas stops being positive right beyond {where}"
        return _nothing(problem, Status.BRANCH_END, f"No saddle: {reason}.", log)
    message = f"Not converged: the branch could be followed to {where}; beyond, its shifts leave double precision."
    return _nothing(problem, Status.NOT_CONVERGED, message, log)


def _folds(problem: InfiniteProblem, values: Mapping[str, float], here: Terms, direction: float) -> bool:
    """Whether the smallest singular value vanishes right ahead, like a square root, and is not just small: it was larger."""
    (name,) = problem.imposed
    back = {**values, name: values[name] - direction * 10.0 * _SHORTEST_STEP * problem.room(values)}
    found, there, _ = problem.newton(back, _NEARLY)
    if found is None or there is None:
        return False
    return problem.singularity(found, there) > 1.5 * problem.singularity(values, here)


def _finished(
    problem: InfiniteProblem, values: dict[str, float], here: Terms, log: list[Iteration]
) -> InfinitePoint:
    """The point with its errors: refined rule, rounding, and what the uncertainty of the unknowns does."""
    m = len(problem.unknowns)
    refined = problem.terms(values, refined=True)
    shift = _solved(here.hessian[:m, :m], -refined.gradient[:m])
    moved = {**values, **{k: values[k] + d for k, d in zip(problem.unknowns, shift.tolist(), strict=True)}}
    # differences of one rule: the next order and slopes are not stationary in the unknowns
    there = problem.terms(moved)
    drift = abs(there.next - here.next)
    slopes = np.abs(refined.constraint - here.constraint) + np.abs(there.constraint - here.constraint)
    slopes += _ROUNDING * refined.sizes[problem.of_constraint]
    quadrature = abs(refined.leading - here.leading)
    rounding, next_rounding = (_ROUNDING * size for size in refined.sizes[:2].tolist())
    residual = here.residual(m)
    curvature = here.hessian[m, m] + float(here.hessian[m, :m] @ problem.response(here))
    return InfinitePoint(
        values=problem.complete(values, refined),
        local_entropy=refined.leading,
        local_entropy_error=quadrature + rounding + abs(float(refined.gradient[:m] @ shift)),
        complexity=refined.next,
        complexity_error=abs(refined.next - here.next) + next_rounding + drift,
        slope=float(refined.gradient[m]),
        curvature=curvature,
        constraint_slopes=dict(zip(problem.constraint, refined.constraint.tolist(), strict=True)),
        constraint_errors=dict(zip(problem.constraint, slopes.tolist(), strict=True)),
        residual=residual,
        quadrature_error=quadrature,
        status=Status.CONVERGED,
        message=f"Solved to residual {residual:.1e}.",
        iterations=tuple(log),
    )


def _nothing(problem: InfiniteProblem, status: Status, message: str, log: list[Iteration]) -> InfinitePoint:
    nan = math.nan
    return InfinitePoint(
        values=dict.fromkeys([*problem.variables, *problem.readings, *problem.relations], nan),
        local_entropy=nan,
        local_entropy_error=nan,
        complexity=nan,
        complexity_error=nan,
        slope=nan,
        curvature=nan,
        constraint_slopes=dict.fromkeys(problem.constraint, nan),
        constraint_errors=dict.fromkeys(problem.constraint, nan),
        residual=log[-1].residual if log else nan,
        quadrature_error=nan,
        status=status,
        message=message,
        iterations=tuple(log),
    )


def _linear(form: Mapping[str, float], values: Mapping[str, float]) -> float:
    """A linear form by name, whose constant has an empty one."""
    return sum(c * values[name] if name else c for name, c in form.items())


def _norm(vector: Vector) -> float:
    size = float(np.sqrt(vector @ vector))
    return size if math.isfinite(size) else math.inf


def _solved(matrix: Vector, vector: Vector) -> Vector:
    """The solution of a linear system, by least squares where the matrix is singular."""
    if not np.all(np.isfinite(matrix)):
        return np.full(len(vector), math.nan)
    rows = np.maximum(np.max(np.abs(matrix), axis=1), np.finfo(float).tiny)
    matrix, vector = matrix / rows[:, None], vector / rows
    try:
        return np.linalg.solve(matrix, vector)
    except np.linalg.LinAlgError:
        found: Vector = np.linalg.lstsq(matrix, vector, rcond=None)[0]
        return found
