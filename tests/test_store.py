"""The store of a sweep as a file: torn and damaged lines, locks, versions, and that nothing loses a bit."""

from __future__ import annotations

import errno
import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handmade import fp_point, rs_point

from replica.errors import InputError
from saddle.points.results import Iteration, Status
from saddle.sweeping.packing import line, packed, read, unpacked
from saddle.sweeping.store import Store, records

HEADER: dict[str, Any] = {
    "report": "entropy",
    "model": "binary-perceptron",
    "options": {},
    "tolerance": 1e-12,
    "content": "abc",
    "versions": {"numpy": "2.0", "sources": "0123"},
}


def rows(path: Path) -> list[Any]:
    return [record["row"] for record in records(path)[1:]]


def test_rows_come_back_to_the_last_bit() -> None:
    steps = (Iteration(0, 0.1, 1.0, "newton"), Iteration(1, math.inf, 0.5, "newton"))
    odd = {"q": math.nextafter(0.3, 1), "qhat": -0.0, "huge": 1e300, "none": math.nan, "over": -math.inf}
    point = replace(
        rs_point(0.1, 0.2),
        order_parameters=odd,
        iterations=steps,
        window=(0.1, 0.2),
        warnings=("a", "b"),
        observables={"stable": np.bool_(True), "n": 3, "x": np.float64(0.1), "y": None, "word": "inf"},
    )
    text = line(packed(point))
    json.loads(text, parse_constant=pytest.fail)  # strict JSON
    again = unpacked(read(text))
    assert {k: float(v).hex() for k, v in again.order_parameters.items()} == {k: v.hex() for k, v in odd.items()}
    assert again.observables == point.observables
    assert (again.iterations, again.window, again.warnings) == (steps, (0.1, 0.2), ("a", "b"))
    assert again.status is Status.CONVERGED
    assert type(again.order_parameters["huge"]) is float
    assert line(packed(again)) == text


def test_every_kind_of_result_comes_back() -> None:
    from saddle.critical.diagrams import DiagramRow
    from saddle.critical.landmark import Landmark

    known: dict[str, Any] = {"model": "m", "ansatz": "rs", "parameters": {"kappa": 0.5}, "value": 1.0, "error": 1e-12}
    known |= {"residual": 0.0, "quadrature_error": 0.0, "order_parameters": {}, "status": Status.ABSENT, "message": "none"}
    marks = [
        Landmark(name="alpha_c", definition="capacity", where={"distance": None}, **known),
        DiagramRow(name="diagram", lines={"kappa_max": 0.25}, **known),
        fp_point(0.1),
    ]
    for mark in marks:
        assert unpacked(read(line(packed(mark)))) == mark


def test_a_torn_last_line_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    with Store(path, HEADER) as store:
        for row in range(3):
            store.append({"row": row})
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        complete = whole[:cut].count(b"\n")
        assert len(records(path)) == complete
        if complete > 1:
            with Store(path, HEADER) as store:
                store.append({"row": 9})
            assert rows(path) == [*range(complete - 1), 9]
    path.write_bytes(whole + b"\0\0\0\n")  # a tail of a write that the disk never saw
    assert rows(path) == [0, 1, 2]


def test_a_damaged_line_in_the_middle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    with Store(path, HEADER) as store:
        store.append({"row": 0})
        store.append({"row": 1})
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"row":\n' + lines[2])
    with pytest.raises(InputError, match="damaged: line 2"):
        Store(path, HEADER)


@pytest.mark.parametrize("content", [b"precious text", b'{"schema": 1}\n', b"\n"])
def test_another_file_is_left_alone(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match="is not a store"):
        Store(path, HEADER)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"versions": {"numpy": "2.1", "sources": "0123"}}, "another version .numpy 2.0, here 2.1"),
        ({"versions": {"numpy": "2.0", "sources": "9999"}}, "another version .sources"),
        ({"model": "spherical-perceptron"}, "another sweep .model binary-perceptron, here spherical-perceptron"),
        ({"tolerance": 1e-8}, "another sweep .tolerance"),
        ({"content": "def"}, "same name but other content"),
    ],
)
def test_rows_of_something_else_are_not_mixed_in(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    with Store(path, HEADER) as store:
        store.append({"row": 0})
    before = path.read_bytes()
    with pytest.raises(InputError, match=told):
        Store(path, {**HEADER, **change})
    assert path.read_bytes() == before
    with Store(path, HEADER):  # the lock of the refused one is gone
        pass


def test_two_writers_do_not_share_a_store(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    with Store(path, HEADER) as store:
        store.append({"row": 0})
        with pytest.raises(InputError, match="in use by another process"):
            Store(path, HEADER)
        assert rows(path) == [0]  # reading takes no lock
    with Store(path, HEADER):
        pass


def test_a_disk_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")

    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(InputError, match=r"cannot be locked \(.*\), as a store must be: give a file on another disk"):
        Store(tmp_path / "s.jsonl", HEADER)


def test_a_store_in_which_nothing_was_written_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    with Store(path, HEADER):
        assert path.exists()
    assert not path.exists()
    with pytest.raises(InputError, match="cannot be written"):
        Store(tmp_path / "no" / "folder", HEADER)


_WRITER = """
import json, sys
from saddle.sweeping.store import Store
store = Store(sys.argv[1], json.loads(sys.argv[2]))
for row in range(10**6):
    store.append({"row": row})
    if row == 100:
        print("ready", flush=True)
"""


def test_kill_loses_nothing_that_was_written(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    words = [sys.executable, "-c", _WRITER, str(path), json.dumps(HEADER)]
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        with pytest.raises(InputError, match="in use"):
            Store(path, HEADER)
        process.send_signal(signal.SIGKILL)
    found = rows(path)
    assert len(found) > 100
    assert found == list(range(len(found)))
    with Store(path, HEADER) as store:  # the lock has gone with the process
        store.append({"row": len(found)})
    assert rows(path) == list(range(len(found) + 1))


def test_the_disk_is_asked_regularly_and_not_for_every_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr("saddle.sweeping.store._SYNC", 0.02)
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(descriptor))
    with Store(tmp_path / "s.jsonl", HEADER) as store:
        for row in range(500):
            store.append({"row": row})
        end = time.monotonic() + 5.0
        while not synced and time.monotonic() < end:  # without another row
            time.sleep(0.01)
        assert 0 < len(synced) < 100
        store.append({"row": 500})
    assert len(synced) > 1
