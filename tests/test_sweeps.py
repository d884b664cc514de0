"""Sweeps: the same rows as the report to the last bit, whoever computes them and however often they are interrupted."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import replica
import saddle
from replica.errors import InputError
from saddle import cli
from saddle.command.commands import compute
from saddle.command.options import parse
from saddle.command.ranges import values
from saddle.critical import capacities
from saddle.points.results import Status
from saddle.sweeping.branches import LENGTH, branches, places
from saddle.sweeping.packing import line, packed
from saddle.sweeping.scheduling import slice_of

MODEL = "binary-perceptron"
ENTROPY = {"model": MODEL, "alpha": [0.3, 0.5], "kappa": "-0.5:0.2:21"}
PROFILE = {"model": MODEL, "alpha": [0.4, 0.5], "reference_kappa": ["max", 0.1], "distance": "0.02:0.3:5"}


@pytest.fixture
def time_limit() -> Iterator[None]:
    """Five minutes for a test with other processes, after which it fails where it stands."""

    def stop(*_: object) -> None:
        raise TimeoutError("five minutes are over")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(300)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
    assert not multiprocessing.active_children()


def same(curve: saddle.Curve, other: saddle.Curve) -> bool:
    """Whether two curves are the same to the last bit."""
    points, others = ([line(packed(point)) for point in one] for one in (curve, other))
    return curve.to_csv() == other.to_csv() and repr(curve.curves) == repr(other.curves) and points == others


def entropy() -> saddle.Curve:
    return saddle.entropy_curve(MODEL, [0.3, 0.5], values("-0.5:0.2:21"))


# What is a branch


def test_branches_are_cut_where_the_fastest_range_starts_anew_and_after_a_while() -> None:
    ranges = {"alpha": [1, 2], "kappa": list(range(2 * LENGTH + 1)), "beta": [7]}
    found = branches(ranges)
    assert [len(branch["kappa"]) for branch in found] == [LENGTH, LENGTH, 1] * 2
    assert [row for branch in found for row in places(branch)] == places(ranges)
    assert branches({"a": [1, 2], "b": [3]}) == [{"a": [1, 2], "b": [3]}]
    assert branches({"a": [1, 2], "b": [3, 4]}, "a", None) == [{"a": [1, 2], "b": [3]}, {"a": [1, 2], "b": [4]}]


# The rows of a sweep are those of the report

REPORTS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "solve": (
        lambda: [saddle.solve((MODEL, "rs"), alpha=a, kappa=k) for a in (0.3, 0.4) for k in (0.0, 0.1)],
        {"alpha": [0.3, 0.4], "kappa": [0.0, 0.1]},
    ),
    "entropy": (entropy, ENTROPY),
    "capacity": (lambda: saddle.capacity(MODEL, [0.0, 0.5]), {"kappa": (0.0, 0.5)}),
    "max-margin": (lambda: saddle.max_margin(MODEL, [0.5, 0.6]), {"alpha": np.array([0.5, 0.6])}),
    "franz-parisi": (
        lambda: saddle.franz_parisi(MODEL, [0.4, 0.5], ["max", 0.1], 0.0, values("0.02:0.3:5")),
        PROFILE,
    ),
    "local-entropy": (
        lambda: saddle.local_entropy(MODEL, 0.4, y=[2, "inf"], overlap=[0.5, 0.6]),
        {"alpha": 0.4, "y": "2,inf", "overlap": [0.5, 0.6]},
    ),
    "generalization": (
        lambda: saddle.generalization("teacher-student", [0.5, 1.0], [0.0, 0.5]),
        {"model": "teacher-student", "alpha": [0.5, 1.0], "kappa": [0.0, 0.5]},
    ),
    "thresholds": (
        lambda: saddle.thresholds(MODEL, alpha=0.5, only=["kappa_max"]),
        {"alpha": 0.5, "only": ["kappa_max"]},
    ),
}


@pytest.mark.parametrize("name", REPORTS)
def test_rows_are_those_of_the_report_and_come_back_from_the_store(name: str, tmp_path: Path) -> None:
    report, grid = REPORTS[name]
    found, path = report(), tmp_path / "s.jsonl"
    expected = found if isinstance(found, saddle.Curve) else saddle.Curve(tuple(found))
    first = saddle.sweep(name, {"model": MODEL, **grid}, executor=1, store=path)
    size = path.stat().st_size
    assert same(first, expected)
    assert first.thresholds == expected.thresholds or name == "generalization"
    again = saddle.sweep(name, {"model": MODEL, **grid}, executor=1, store=path, progress=pytest.fail)
    assert same(again, expected)
    assert path.stat().st_size == size
    stored = saddle.load_store(path)
    assert same(stored.curve, expected)
    assert stored.missing == ()


def test_a_function_names_its_report() -> None:
    assert same(saddle.sweep(saddle.entropy_curve, ENTROPY, executor=1), entropy())


@pytest.mark.parametrize(("task", "grid"), [("entropy", ENTROPY), ("franz-parisi", PROFILE)])
def test_an_interrupted_sweep_goes_on_to_the_same_bytes(task: str, grid: dict[str, Any], tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.jsonl", tmp_path / "s.jsonl"
    expected = saddle.sweep(task, grid, executor=1, store=whole)
    stops = (1, 3, 17) if task == "entropy" else (2, 7)
    for stop in stops:
        seen: list[Any] = []

        def count(point: Any, seen: list[Any] = seen, stop: int = stop) -> None:
            seen.append(point)
            if len(seen) == stop:
                raise KeyboardInterrupt

        with pytest.raises(saddle.SweepInterrupted, match=r"interrupted: \d+ of .* the same command goes on") as told:
            saddle.sweep(task, grid, executor=1, store=path, progress=count)
        assert not told.value.curve.complete
        assert len(told.value.curve) >= stop
        with path.open("ab") as stream:
            stream.write(b'{"key":"torn')
    found = saddle.sweep(task, grid, executor=1, store=path)
    assert same(found, expected)
    assert path.read_bytes() == whole.read_bytes()


def test_a_larger_grid_takes_over_what_is_there(tmp_path: Path) -> None:
    path, new = tmp_path / "s.jsonl", []
    saddle.sweep("capacity", {"model": MODEL, "kappa": [0.0, 0.5]}, executor=1, store=path)
    found = saddle.sweep("capacity", {"model": MODEL, "kappa": [0.0, 0.25, 0.5]}, 1, path, progress=new.append)
    assert [point.parameters["kappa"] for point in new] == [0.25]
    assert same(found, saddle.capacity(MODEL, [0.0, 0.25, 0.5]))
    assert len(saddle.load_store(path).curve) == 3
    with pytest.raises(InputError, match="holds another sweep"):
        saddle.sweep("capacity", {"model": "spherical-perceptron", "kappa": [0.0]}, executor=1, store=path)


def test_an_own_model_is_known_by_its_content(tmp_path: Path) -> None:
    text = "import replica\nmodel = replica.Model('own', replica.BinaryWeights(), replica.Threshold())\n"
    (tmp_path / "own.py").write_text(text)
    grid = {"model": f"{tmp_path / 'own.py'}:model", "kappa": [0.0]}
    found = saddle.sweep("capacity", grid, executor=1, store=tmp_path / "s.jsonl")
    assert found.value == saddle.capacity(MODEL, [0.0]).value
    (tmp_path / "own.py").write_text(text.replace("BinaryWeights", "SphericalWeights"))
    with pytest.raises(InputError, match="same name but other content"):
        saddle.sweep("capacity", grid, executor=1, store=tmp_path / "s.jsonl")


# What goes wrong stays where it is


def test_a_point_that_fails_is_a_row(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    solved = capacities._threshold

    def fragile(*arguments: Any) -> Any:
        if arguments[4] == 0.25:
            raise ZeroDivisionError("float division by zero")
        return solved(*arguments)

    monkeypatch.setattr(capacities, "_threshold", fragile)
    code = cli.main(["capacity", MODEL, "--kappa", "0,0.25,0.5", "--workers", "1", "--json"])
    out, err = capsys.readouterr()
    rows = json.loads(out)["rows"]
    assert code == 1
    assert [row["status"] for row in rows] == ["converged", "not-converged", "converged"]
    assert rows[1]["value"] is None
    assert "ZeroDivisionError: float division by zero" in rows[1]["message"]
    assert "1 of 3 points failed (1 times: Not converged: ZeroDivisionError" in err


def test_a_part_that_is_refused_does_not_cost_the_rest(tmp_path: Path) -> None:
    grid = {"model": MODEL, "alpha": [0.4, 0.7], "reference_kappa": 0.3, "distance": [0.1, 0.2]}
    found = saddle.sweep("franz-parisi", grid, executor=1, store=tmp_path / "s.jsonl")
    assert [point.status for point in found] == [Status.CONVERGED] * 2 + [Status.ABSENT] * 2
    assert "above the maximal margin" in found[2].message  # type: ignore[operator]
    summary = saddle.load_store(tmp_path / "s.jsonl").summary()
    assert (summary["done"], summary["missing"]) == ({"converged": 2}, 0)
    assert list(summary["refused"].values()) == [2]
    with pytest.raises(InputError, match="above the maximal margin"):
        saddle.sweep("franz-parisi", {**grid, "alpha": 0.7}, executor=1)


@pytest.mark.parametrize(
    ("task", "grid", "told"),
    [
        ("derive", {}, "There is no sweep of 'derive'"),
        ("entropy", {"model": MODEL}, "entropy needs alpha"),
        ("entropy", {"model": MODEL, "alpha": 0.5, "gamma": 1}, "entropy takes no gamma"),
        ("entropy", {"model": MODEL, "alpha": "0:1"}, "is not a range"),
        ("entropy", {"model": MODEL, "alpha": [0.5, "much"]}, "is not a number"),
        ("entropy", {"model": MODEL, "alpha": []}, "alpha has no values"),
        ("franz-parisi", {**PROFILE, "distance": 0.7}, "outside"),
        ("entropy", {"model": "no-model", "alpha": 0.5}, "There is no model 'no-model'"),
    ],
)
def test_bad_input_is_refused(task: str, grid: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=told):
        saddle.sweep(task, grid, executor=1, store=tmp_path / "s.jsonl")
    assert not (tmp_path / "s.jsonl").exists()


# Workers


class Fragile(Executor):
    """An executor in this process whose worker dies wherever it would have to compute one margin."""

    _max_workers = 2

    def __init__(self, kappa: float, deaths: int) -> None:
        self.kappa, self.deaths = kappa, deaths

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **settings: Any) -> Future[Any]:
        future: Future[Any] = Future()
        units = arguments[1] if function is slice_of else ()
        if self.deaths and any(unit.places[0]["kappa"] == self.kappa and not known for unit, known in units):
            self.deaths -= 1
            future.set_exception(BrokenExecutor("a worker died"))
        else:
            future.set_result(function(*arguments))
        return future


class Ending(Executor):
    """An executor in this process that is gone after some calls, like a dask client whose scheduler has ended."""

    _max_workers = 1

    def __init__(self, calls: int) -> None:
        self.calls = calls

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **settings: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.calls -= 1
        if self.calls < 0:
            future.cancel()
            future.set_running_or_notify_cancel()
        else:
            future.set_result(function(*arguments))
        return future


@pytest.mark.parametrize("calls", [0, 2])
def test_an_executor_that_has_ended_is_named_and_rows_are_kept(calls: int, tmp_path: Path) -> None:
    grid, path = {"model": MODEL, "kappa": [0.0, 0.1, 0.2, 0.25, 0.5]}, tmp_path / "s.jsonl"
    with pytest.raises(InputError, match="The executor has ended, or its scheduler has; what was finished is kept"):
        saddle.sweep("capacity", grid, Ending(calls), store=path)
    if calls:
        done = len(saddle.load_store(path).curve)
        assert 0 < done < 5
    assert same(saddle.sweep("capacity", grid, executor=1, store=path), saddle.capacity(MODEL, grid["kappa"]))


def test_a_point_that_kills_its_worker_is_given_up() -> None:
    made: list[Executor] = []

    def executor(deaths: int) -> Callable[[], Executor]:
        return lambda: made.append(Fragile(0.25, deaths - len(made))) or made[-1]  # type: ignore[func-returns-value]

    grid = {"model": MODEL, "kappa": [0.0, 0.1, 0.2, 0.25, 0.5]}
    expected = saddle.capacity(MODEL, grid["kappa"])
    assert same(saddle.sweep("capacity", grid, executor(2)), expected)
    made.clear()
    found = saddle.sweep("capacity", grid, executor(99))
    statuses = [point.status for point in found]
    assert statuses == [Status.CONVERGED] * 3 + [Status.NOT_CONVERGED] + [Status.CONVERGED]
    assert "the worker process died while it computed this point, 3 times" in found[3].message  # type: ignore[operator]
    assert [p for p in found if p.converged] == [p for p in expected if p.parameters["kappa"] != 0.25]
    with pytest.raises(InputError, match="took its executor with it"):
        saddle.sweep("capacity", grid, Fragile(0.25, 1))


def test_an_executor_that_was_given_stays_open() -> None:
    with ThreadPoolExecutor(2) as threads:
        assert same(saddle.sweep("entropy", ENTROPY, threads), entropy())
        assert threads.submit(int, "3").result() == 3


def test_processes_give_the_same_bits_and_survive_a_death(time_limit: None, tmp_path: Path) -> None:
    grid = {**PROFILE, "alpha": [0.35, 0.4, 0.45, 0.5]}
    expected = saddle.sweep("franz-parisi", grid, executor=1)
    pools: list[ProcessPoolExecutor] = []

    def pool() -> ProcessPoolExecutor:
        pools.append(ProcessPoolExecutor(2, multiprocessing.get_context("spawn")))
        return pools[-1]

    def kill_once(point: Any) -> None:
        if len(pools) == 1 and pools[0]._processes:
            os.kill(next(iter(pools[0]._processes)), signal.SIGKILL)

    assert same(saddle.sweep("franz-parisi", grid, pool, tmp_path / "s.jsonl", progress=kill_once), expected)
    assert len(pools) == 2
    for one in pools:
        one.shutdown()
    assert same(saddle.load_store(tmp_path / "s.jsonl").curve, expected)


def test_workers_on_the_command_line(time_limit: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["entropy", MODEL, "--alpha", "0.3,0.5", "--kappa", "-0.5:0.2:21", "--json"]
    assert cli.main(words) == 0
    serial = capsys.readouterr().out
    assert cli.main([*words, "--workers", "2", "--store", str(tmp_path / "s.jsonl")]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == (serial, "")
    assert json.loads(out)["provenance"]["command"] == ["replica", *words]


def command(words: list[str]) -> list[str]:
    """A command in a process that hears an interrupt, also where those who began the tests do not."""
    heard = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"
    return [sys.executable, "-c", f"{heard}; from saddle.cli import main; sys.exit(main())", *words]


@pytest.mark.parametrize(
    ("sent", "workers"),
    [
        (signal.SIGKILL, []),
        (signal.SIGINT, ["--workers", "2"]),
        pytest.param(signal.SIGKILL, ["--workers=2"], marks=pytest.mark.full),
        pytest.param(signal.SIGINT, [], marks=pytest.mark.full),
    ],
)
def test_a_killed_command_goes_on(sent: signal.Signals, workers: list[str], time_limit: None, tmp_path: Path) -> None:
    path, total = tmp_path / "s.jsonl", 8 * 50
    ranges = {"alpha": "0.35:0.5:8", "reference_kappa": "0.1", "distance": "0.02:0.3:50"}
    options = [word for name, text in ranges.items() for word in (f"--{name.replace('_', '-')}", text)]
    words = ["franz-parisi", MODEL, *options, *workers, "--store", str(path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    with subprocess.Popen(command(words), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while not path.exists() or path.read_bytes().count(b"\n") < 20:
            assert process.poll() is None
            time.sleep(0.002)
        process.send_signal(sent)
        _, err = process.communicate()
    done = len(saddle.load_store(path).curve)
    assert 18 <= done < total
    if sent is signal.SIGINT:
        assert process.returncode == 130
        told = err.decode().strip().splitlines()
        assert told == [f"replica: interrupted: {done} of {total} points are in {path}; the same command goes on from there"]
    seen: list[Any] = []
    found = saddle.sweep("franz-parisi", {"model": MODEL, **ranges}, 1, path, progress=seen.append)
    assert len(seen) == total - done
    assert same(found, saddle.sweep("franz-parisi", {"model": MODEL, **ranges}, executor=1))


def test_a_real_cluster(time_limit: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    distributed = pytest.importorskip("distributed")
    ranges = ["--alpha", "0.35,0.4,0.45,0.5", "--reference-kappa", "0.1,max", "--distance", "0.02:0.3:5"]
    words = ["franz-parisi", MODEL, *ranges]
    assert cli.main([*words, "--json"]) == 0
    serial = capsys.readouterr().out
    settings = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**settings) as cluster, distributed.Client(cluster) as client:
        pids = list(client.run(os.getpid).values())
        killed: list[int] = []

        def kill_once(point: Any) -> None:
            if not killed:
                killed.append(pids[0])
                os.kill(pids[0], signal.SIGKILL)

        grid = {**PROFILE, "alpha": [0.35, 0.4, 0.45, 0.5], "reference_kappa": [0.1, "max"]}
        found = saddle.sweep("franz-parisi", grid, client.get_executor(), progress=kill_once)
        assert killed
        assert same(found, saddle.sweep("franz-parisi", grid, executor=1))
        address = cluster.scheduler_address
        assert cli.main([*words, "--json", "--scheduler", address, "--store", str(tmp_path / "s.jsonl")]) == 0
        assert capsys.readouterr().out == serial
    with pytest.raises(InputError, match="--scheduler has its own"):
        compute(parse([*words, "--scheduler", "tcp://127.0.0.1:9", "--workers", "2"]), words)
    for address, told in (("no-address", "missing port number"), ("http://localhost:80", "unknown address scheme")):
        assert cli.main([*words, "--scheduler", address]) == 2
        assert f"the scheduler {address} does not answer: {told}" in capsys.readouterr().err


@pytest.mark.full
def test_loky(time_limit: None) -> None:
    loky = pytest.importorskip("joblib.externals.loky")
    expected = entropy()
    assert same(saddle.sweep("entropy", ENTROPY, loky.get_reusable_executor(max_workers=2)), expected)
    loky.get_reusable_executor().shutdown(wait=True)


# What a store tells


def test_a_store_is_summarised_and_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "s.jsonl"
    stopped = iter(range(13))

    def stop(point: Any) -> None:
        if next(stopped) == 11:
            raise KeyboardInterrupt

    with pytest.raises(saddle.SweepInterrupted):
        saddle.sweep("franz-parisi", PROFILE, executor=1, store=path, progress=stop)
    assert cli.main(["store", str(path), "--csv", str(tmp_path / "s.csv")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["franz-parisi, binary-perceptron: 12 of 20 points done", "  12 converged", "missing: 8"]
    assert cli.main(["store", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["done"], told["failed"], told["missing"]) == ({"converged": 12}, {}, 8)
    with (tmp_path / "s.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 12
    stored = saddle.load_store(path)
    frame = stored.to_pandas()
    assert list(frame.free_entropy) == [point.free_entropy for point in stored.curve]  # type: ignore[union-attr]
    (tmp_path / "other.txt").write_text("text")
    assert cli.main(["store", str(tmp_path / "other.txt")]) == 2
    assert "is not a store" in capsys.readouterr().err
    assert cli.main(["store", str(path), "--csv", str(path)]) == 2


def test_several_rows_at_one_place_have_a_dimension(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    grid = {"model": "teacher-student", "alpha": [0.5, 1.0], "kappa": [0.0, 0.5]}
    curve = saddle.sweep("generalization", grid, executor=1, store=path)
    data = saddle.load_store(path).to_xarray()
    assert dict(data.sizes) == {"alpha": 2, "kappa": 2, "solution": 2}
    assert str(data.branch.sel(alpha=1.0, kappa=0.0, solution=1).item()) == "teacher"
    assert int((data.branch == "").sum()) == data.branch.size - len(curve)
    assert replica.zoo.model("teacher-student").name == data.attrs["model"]


def test_a_store_becomes_netcdf(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("h5py")
    path = tmp_path / "s.jsonl"
    saddle.sweep("franz-parisi", {**PROFILE, "alpha": 0.4, "reference_kappa": 0.1}, executor=1, store=path)
    saddle.sweep("franz-parisi", {**PROFILE, "alpha": 0.5, "reference_kappa": "max"}, executor=1, store=path)
    assert cli.main(["store", str(path), "--netcdf", str(tmp_path / "s.nc")]) == 0
    capsys.readouterr()

    import xarray

    with xarray.open_dataset(tmp_path / "s.nc", engine="h5netcdf") as data:
        assert dict(data.sizes) == {"alpha": 2, "reference_kappa": 2, "distance": 5}
        point = saddle.solve((MODEL, "franz-parisi"), alpha=0.4, reference_kappa=0.1, distance=0.02)
        found = data.free_entropy.sel(alpha=0.4, reference_kappa="0.1", distance=0.02)
        assert float(found) == pytest.approx(point.free_entropy, rel=1e-12)
        assert int(np.isnan(data.free_entropy).sum()) == 10
        assert data.free_entropy.attrs["units"] == "nats per weight"
        assert data.attrs["model"] == MODEL
        assert json.loads(data.attrs["versions"])["numpy"] == np.__version__
