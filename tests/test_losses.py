"""Losses beyond replica symmetry: functions under noise against closed forms, profiles against a formula typed by hand."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
import sympy as sp
from scipy.interpolate import CubicSpline
from scipy.special import log_ndtr
from sympy.core.symbol import Str

import replica
import saddle
from replica.evaluation import evaluate
from replica.expr import Average
from replica.parts.losses import loss_function
from replica.parts.noisy_losses import LogNoisy, Noisy, NoisyCumulant, cost
from saddle import cli
from saddle.checking.grid import on_grid
from saddle.kernels.floors import floor_of
from saddle.kernels.infinite_kernel import infinite_kernel_source
from saddle.kernels.loss_source import loss_source, tag_of
from saddle.points.results import SaddlePoint

BINARY = replica.zoo.binary_perceptron()
A, V, B = sp.symbols("a v beta")


def hinge_under_noise(a: float, v: float, b: float) -> float:
    """ln E exp(-b max(0, -a - n)): two tails, one of them tilted."""
    sd = math.sqrt(v)
    return float(np.logaddexp(log_ndtr(a / sd), b * a + b * b * v / 2 + log_ndtr(-(a + b * v) / sd)))


NOISES = [(0.3, 0.7, 2.0), (-2.5, 0.04, 3.0), (6.0, 1.0, 1.0), (-9.0, 0.8, 40.0), (0.02, 1e-4, 50.0)]


@pytest.mark.parametrize(("a", "v", "b"), NOISES)
def test_hinge_under_noise(a: float, v: float, b: float) -> None:
    """The routines of a kernel as they are written for the hinge, run without a compiler."""
    place, module = (A, V, B, Str("hinge")), {"_compiled": lambda function: function, "math": math, "np": np}
    exec(loss_source([LogNoisy(*place)]), module)
    routine = {name: module[f"{name}_{tag_of(place[3])}"] for name in ("cumulants", "noisy", "noisy_pace")}
    found, marks, table = np.empty(8), np.full(4096, math.nan), np.empty((4096, 8, 16))
    routine["cumulants"](a, v, b, 1.5, 10.0, found)
    with mpmath.workdps(60):

        def exact(x: object, y: object) -> object:
            sd = mpmath.sqrt(v)
            tail = [mpmath.erfc(t / mpmath.sqrt(2)) / 2 for t in (-x / sd, (x + y * v) / sd)]
            return mpmath.log(tail[0] + mpmath.exp(y * x + y * y * v / 2) * tail[1])

        orders = [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (0, 1), (1, 1), (2, 1)]
        expected = [float(mpmath.diff(exact, (a, b), order) if any(order) else exact(a, b)) for order in orders]
    scale = [v ** (-k / 2) for k, _ in orders]
    assert np.all(np.abs(found - expected) <= 1e-13 * np.maximum(np.abs(expected), scale) * (1.0 + abs(a) / math.sqrt(v)))
    panels = routine["noisy"](a, v, b, routine["noisy_pace"](v, 0.0325), 0.0325, 10.0, marks, table)
    assert np.all(np.abs(panels - found) <= 1e-12 * np.maximum(np.abs(found), scale) * (1.0 + abs(a) / math.sqrt(v)))
    assert expected[0] == pytest.approx(hinge_under_noise(a, v, b), abs=1e-12)


def test_differentiation_stays_in_the_set() -> None:
    """Derivatives of ln S as averages over noise against differences, and on the grid."""
    bare = cost(A + sp.Symbol("n"), B, "cross-entropy")
    log = sp.log(Average(bare, sp.Symbol("n"), V)).replace(sp.log, lambda s: LogNoisy(*s.args))
    assert isinstance(Average(bare, sp.Symbol("n"), V), Noisy)
    point = {"a": "0.25", "v": "0.5", "beta": "1.5"}
    for expr, symbol in ((log, A), (log, V), (log, B), (sp.diff(log, A, V), A), (sp.diff(log, V), B)):
        slope = evaluate(sp.diff(expr, symbol), point, digits=14)
        ends = [evaluate(expr, {**point, symbol.name: float(point[symbol.name]) + s * 1e-4}, digits=18) for s in (1, -1)]
        assert float(slope) == pytest.approx(float(ends[0] - ends[1]) / 2e-4, abs=1e-7)
        gridded = on_grid(sp.diff(expr, symbol), {k: float(x) for k, x in point.items()}, {})
        assert gridded == pytest.approx(float(slope), abs=1e-11)
    assert sp.diff(log, V).has(NoisyCumulant)


def test_floor_of_a_loss() -> None:
    floors = {"hinge": 0.0, "(x - 1.3)**2 - 2": -2.0, "cross-entropy": 0.0, "x": -math.inf, "sign(x)": -1.0}
    for text, floor in floors.items():
        found = floor_of(loss_function(text))
        assert found == floor or -5e-3 < found - floor <= 0.0


def test_derivation_joins_the_noise_of_a_reference() -> None:
    """The patterns' term has two averages, over the smoothed factors of the reference and of its probes."""
    for model in (replica.soft(BINARY, "hinge"), BINARY.around(replica.soft(BINARY, "hinge"))):
        f = replica.derive(model, "franz-parisi")
        assert len(f.energetic.atoms(Average)) == 2 and len(f.energetic.atoms(Noisy)) == 2
    text = replica.derive(replica.soft(BINARY, "hinge"), "franz-parisi").text()
    assert "Max(0, -x) is the loss" in text and "L_k = ∂^k ln W/∂a^k" in text


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("franz-parisi", "--distance", "0.1"), "--reference-kappa"),
        (("franz-parisi", "--distance", "0.1", "--reference-loss", "hinge"), "--reference-beta"),
        (("solve", "--reference-loss", "hinge", "--reference-beta", "2"), "no reference"),
        (("franz-parisi", "--distance", "0.1", "--loss", "hinge", "--beta", "inf"), "no hard limit"),
        (("franz-parisi", "--distance", "0.1", "--loss", "hinge", "--beta", "2", "--reference-kappa", "max"), "none is max"),
    ],
)
def test_refused(words: tuple[str, ...], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([words[0], "binary-perceptron", "--alpha", "0.5", *words[1:]]) == 2
    assert reason in capsys.readouterr().err


# -- solved points: each compiles kernels of its own ----------------------------------------------------------------


def solved(model: object, ansatz: str = "franz-parisi", **parameters: float) -> SaddlePoint:
    found = saddle.solve((model, ansatz), throw=True, **parameters)  # type: ignore[arg-type]
    assert isinstance(found, SaddlePoint)
    return found


AT = {"alpha": 0.5, "kappa": 0.1, "reference_kappa": 0.0, "beta": 2.0, "reference_beta": 3.0, "distance": 0.1}
GRID = np.linspace(-9.0, 9.0, 181)
GAUSS = np.exp(-GRID * GRID / 2) / math.sqrt(2 * math.pi) * (GRID[1] - GRID[0])


def under_noise(loss: Callable[[np.ndarray], np.ndarray], mean: np.ndarray, v: float, b: float) -> np.ndarray:
    """ln S by a plain trapezoid (for a smooth loss)."""
    return np.log(np.exp(-b * loss(mean[..., None] + math.sqrt(v) * GRID)) @ GAUSS)


def typed(point: SaddlePoint, log_s: Callable[[np.ndarray, float, float], np.ndarray]) -> float:
    """The Franz-Parisi entropy with the noise of the reference averaged by itself, before that of its probes."""
    found, at = point.order_parameters, point.parameters
    q, t, p, qr = (found[name] for name in ("q", "t", "p", "qr"))
    qhat, that, phat, qrhat = (found[f"{name}hat"] for name in ("q", "t", "p", "qr"))
    b, beta, cold = (p - t) / math.sqrt(1 - qr), at["beta"], at["reference_beta"]
    g = q - t * t / qr - b * b
    s2 = b * b + g
    patterns = weights = 0.0
    for x, dx in zip(GRID, GAUSS, strict=True):
        u = math.sqrt(s2) * GRID  # v given u has the mean b u / s2 and the variance g / s2
        mean = math.sqrt(qr) * x + math.sqrt(1 - qr) * b * u / s2 - at["reference_kappa"]
        reference = log_s(mean, (1 - qr) * g / s2, cold)
        norm = log_s(np.array([math.sqrt(qr) * x - at["reference_kappa"]]), 1 - qr, cold)
        probes = log_s(t * x / math.sqrt(qr) + u - at["kappa"], 1 - q, beta)
        patterns += dx * float(GAUSS @ (np.exp(reference - norm) * probes))
        for s in (1.0, -1.0):
            tilt = 1.0 / (1.0 + math.exp(-2 * s * math.sqrt(qrhat) * x))
            field = that * x / math.sqrt(qrhat) + math.sqrt(qhat - that**2 / qrhat) * GRID + (phat - that) * s
            weights += dx * tilt * float(GAUSS @ np.logaddexp(field, -field))
    return -qhat * (1 - q) / 2 - p * phat + t * that + weights + at["alpha"] * patterns


@pytest.mark.full
@pytest.mark.parametrize("loss", ["cross-entropy", "hinge"])
def test_franz_parisi_of_a_loss(loss: str) -> None:
    """The free entropy as typed, its energy and slope by differences, and what the loss means at equal temperatures."""
    model = replica.soft(BINARY, loss)
    point = solved(model, **AT)

    def log_s(mean: np.ndarray, v: float, b: float) -> np.ndarray:
        if loss == "hinge":
            return np.array([hinge_under_noise(a, v, b) for a in mean])
        return under_noise(lambda x: np.logaddexp(0.0, -x), mean, v, b)

    assert point.free_entropy == pytest.approx(typed(point, log_s), abs=1e-10)
    assert point.error < 1e-11
    step = 1e-3
    for name, found in (("beta", -float(point["energy"])), ("distance", float(point["slope"]))):  # type: ignore[arg-type]
        ends = [solved(model, **{**AT, name: AT[name] + s * step}).free_entropy for s in (1, -1)]
        assert found == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-4)
    assert float(point["entropy"]) == pytest.approx(point.free_entropy + 2.0 * float(point["energy"]), abs=1e-12)  # type: ignore[arg-type]
    same = {**AT, "kappa": 0.0, "reference_beta": 2.0}
    plain = solved(model, "rs", alpha=0.5, kappa=0.0, beta=2.0)
    near = solved(model, **{**same, "distance": (1.0 - float(plain["q"])) / 2.0 + 1e-6})  # type: ignore[arg-type]
    assert near.free_entropy == pytest.approx(plain.free_entropy, abs=1e-10)
    assert abs(float(near["slope"])) < 1e-4  # type: ignore[arg-type]


@pytest.mark.full
def test_patterns_nested_to_many_digits() -> None:
    """Probes of one loss around a reference of another: at one x three averages inside each other, none of them joined."""
    model = replica.soft(BINARY, "cross-entropy").around(replica.soft(BINARY, "hinge"))
    point, f = solved(model, **AT), replica.derive(model, "franz-parisi")
    q, t, p, qr = (mpmath.mpf(point.order_parameters[name]) for name in ("q", "t", "p", "qr"))
    x, load = mpmath.mpf("0.35"), (p - t) / (1 - qr)

    def average(function: Callable[[object], object], variance: object) -> object:
        """A trapezoid, for a smooth function."""
        return mpmath.fsum(mpmath.npdf(z) * function(mpmath.sqrt(variance) * z) for z in mpmath.linspace(-9, 9, 37)) / 2

    def cut(function: Callable[[object], object], variance: object, kink: object) -> object:
        """Adaptive quadrature on both sides of a kink."""
        places = [-9 * mpmath.sqrt(variance), kink, 9 * mpmath.sqrt(variance)]
        return mpmath.quad(lambda v: mpmath.npdf(v, 0, mpmath.sqrt(variance)) * function(v), places, maxdegree=4)

    def reference(v: object) -> object:
        return mpmath.exp(-3 * max(0, -(x + v)))

    def probes(v: object) -> object:
        mean = t / qr * x + load * v - mpmath.mpf(AT["kappa"])
        spread = q - t * t / qr - load * load * (1 - qr)
        return average(lambda y: mpmath.log(average(lambda n: (1 + mpmath.exp(-mean - y - n)) ** -2, 1 - q)), spread)

    expected = cut(lambda v: reference(v) * probes(v), 1 - qr, -x) / cut(reference, 1 - qr, -x)
    body = f.energetic.body.subs({f.energetic.variable: sp.Float(x)})
    values = {**point.parameters, **point.order_parameters}
    assert on_grid(body, values, f.definitions) == pytest.approx(float(expected), abs=1e-9)


@pytest.mark.full
def test_one_loss_in_several_words() -> None:
    """Errors as an expression are those that are counted, a formula is the loss of that name, cold errors are forbidden."""
    counted, named = solved(replica.soft(BINARY), **AT), solved(replica.soft(BINARY, "cross-entropy"), **AT)
    written = solved(replica.soft(BINARY, "(1 - sign(x))/2"), **AT)
    assert written.free_entropy == pytest.approx(counted.free_entropy, abs=1e-11)
    formula = solved(replica.soft(BINARY, "log(1 + exp(-x))"), **AT)
    assert formula.free_entropy == pytest.approx(named.free_entropy, abs=1e-12)
    cold = {**AT, "reference_kappa": 0.2, "beta": 60.0, "reference_beta": 60.0}
    hard = {name: value for name, value in cold.items() if not name.endswith("beta")}
    expected = solved(BINARY, **hard).free_entropy
    assert solved(replica.soft(BINARY, "(1 - sign(x))/2"), **cold).free_entropy == pytest.approx(expected, abs=1e-10)


@pytest.mark.full
@pytest.mark.parametrize(
    ("model", "ansatz"),
    [
        (replica.soft(BINARY, "hinge"), "franz-parisi"),
        (replica.soft(BINARY, "cross-entropy"), "franz-parisi"),
        (BINARY.around(replica.soft(BINARY, "cross-entropy")), "franz-parisi"),
        (replica.soft(replica.zoo.spherical_perceptron(), "cross-entropy"), "franz-parisi"),
        (replica.soft(BINARY, "hinge"), "1rsb"),
        (replica.soft(BINARY, "hinge"), "local-entropy"),
        (replica.soft(BINARY, "Abs(x - 1) + sign(x)/2"), "rs"),
    ],
    ids=["hinge", "cross-entropy", "around", "spherical", "1rsb", "local-entropy", "two-kinks"],
)
def test_every_check(model: replica.Model, ansatz: str) -> None:
    assert [str(check) for check in saddle.check(model, ansatz) if not check.passed] == []


@pytest.mark.full
def test_solutions_around_what_a_loss_finds(capsys: pytest.CaptureFixture[str]) -> None:
    """Configurations without errors around a typical one of the cross-entropy, from the command line and from Python."""
    words = ["franz-parisi", "binary-perceptron", "--alpha", "0.5", "--distance", "0.1", "--json"]
    assert cli.main([*words, "--reference-loss", "cross-entropy", "--reference-beta", "20"]) == 0
    document = json.loads(capsys.readouterr().out)
    model = BINARY.around(replica.soft(BINARY, "cross-entropy"))
    point = solved(model, alpha=0.5, kappa=0.0, reference_kappa=0.0, reference_beta=20.0, distance=0.1)
    assert document["rows"][0]["free_entropy"] == pytest.approx(point.free_entropy, abs=1e-12)
    assert document["options"] == {"reference_model": "binary-perceptron", "reference_loss": "cross-entropy"}
    assert "energy" not in document["rows"][0]
    typical = saddle.franz_parisi(BINARY, 0.5, 0.0, 0.0, 0.1).free_entropy[0]
    assert point.free_entropy > typical  # a colder loss lies in a wider minimum than a typical solution


# -- infinitely many replicas ----------------------------------------------------------------------------------------


def test_the_kernel_of_infinitely_many_replicas_has_all_that_it_calls() -> None:
    source = ast.parse(infinite_kernel_source(replica.soft(BINARY, "hinge"), replica.zoo.ansatz("local-entropy")))
    functions = [node for node in ast.walk(source) if isinstance(node, ast.FunctionDef)]
    called = {n.func.id for n in ast.walk(source) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    assert {name for name in called if name.startswith(("noisy", "energetic", "weights"))} <= {f.name for f in functions}
    assert any(name.startswith("noisy_") for name in called)
    # a function that looks for a maximum is handed its table, and makes none
    tables = {f.name for f in functions if "np.empty((4096" in ast.unparse(f)}
    assert tables == {"energetic"}


def infinite(point: SaddlePoint, log_s: Callable[[np.ndarray, float, float], np.ndarray]) -> float:
    """The leading order per replica, both maxima taken over a grid and refined by a parabola (theory.md, section 6)."""
    found, at = point.order_parameters, point.parameters
    q, a, b, c = found["q1"], found["q1hat"], found["B"], found["C"]
    x, outer = np.linspace(-8.0, 8.0, 1601), np.linspace(-9.0, 9.0, 1801)
    gauss = np.exp(-outer * outer / 2) / math.sqrt(2 * math.pi) * (outer[1] - outer[0])

    def highest(values: np.ndarray) -> np.ndarray:
        top = np.clip(np.argmax(values, axis=1), 1, x.size - 2)
        before, here, after = (values[np.arange(len(top)), top + i] for i in (-1, 0, 1))
        return here + (after - before) ** 2 / (8 * (2 * here - after - before))

    field = math.sqrt(a) * outer[:, None] + math.sqrt(b) * x
    mean = math.sqrt(q) * outer[:, None] + math.sqrt(c) * x - at["kappa"]
    table = np.linspace(mean.min(), mean.max(), 4001)
    smooth = CubicSpline(table, log_s(table, 1 - q, at["beta"]))
    weights = gauss @ highest(-x * x / 2 + np.logaddexp(field, -field))
    patterns = gauss @ highest(-x * x / 2 + smooth(mean))
    return float(-a * (1 - q) / 2 - q * b / 2 - a * c / 2 + weights + at["alpha"] * patterns)


@pytest.mark.full
@pytest.mark.parametrize("loss", ["cross-entropy", "hinge"])
def test_infinitely_many_replicas_with_a_loss(loss: str) -> None:
    model, h = replica.soft(BINARY, loss), 1e-3
    given = {"alpha": 0.6, "kappa": 0.1, "y": math.inf, "overlap": 0.8}
    point = solved(model, "local-entropy", beta=2.0, **given)

    def log_s(mean: np.ndarray, v: float, b: float) -> np.ndarray:
        if loss == "hinge":
            return np.array([hinge_under_noise(a, v, b) for a in mean])
        return under_noise(lambda x: np.logaddexp(0.0, -x), mean, v, b)

    energy = float(point["energy"])  # type: ignore[arg-type]
    value = float(point["local_entropy"]) - 2.0 * energy  # type: ignore[arg-type]
    # the maximum has a kink, where a trapezoid errs like its step squared
    assert value == pytest.approx(infinite(point, log_s), abs=1e-5)
    moved = [solved(model, "local-entropy", beta=2.0 + s * h, **given) for s in (1, -1)]
    limits = [float(p["local_entropy"]) - p.parameters["beta"] * float(p["energy"]) for p in moved]  # type: ignore[arg-type]
    assert energy == pytest.approx(-(limits[0] - limits[1]) / (2 * h), abs=1e-6)
    # the free entropy inside of a cluster gets there at least like 1/y
    away = []
    for y in (20.0, 40.0):
        many = solved(model, "local-entropy", beta=2.0, **{**given, "y": y})
        away.append(abs(float(many["local_entropy"]) - 2.0 * float(many["energy"]) - value))  # type: ignore[arg-type]
    assert away[1] < 0.5 * away[0] < 0.003


@pytest.mark.full
def test_cold_losses_are_reached_from_warmer_ones() -> None:
    model = replica.soft(BINARY, "cross-entropy")
    cold = {"alpha": 0.5, "kappa": 0.0, "beta": 100.0}
    point = solved(model, reference_kappa=0.0, reference_beta=100.0, distance=0.1, **cold)
    typical = solved(model, "rs", **cold)
    assert point.residual < 1e-12 and point.error < 1e-9
    assert point.free_entropy < typical.free_entropy  # the typical distance is 0.0192
    assert float(point["slope"]) < 0.0  # type: ignore[arg-type]
    found = point.order_parameters
    assert found["p"] < found["t"] < found["qr"] and found["q"] < found["qr"]
