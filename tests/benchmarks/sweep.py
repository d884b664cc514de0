"""Throughput of two worker processes against two serial runs side by side: ``python tests/benchmarks/sweep.py``.

Both compute the same Franz-Parisi profiles: the two serial runs half of the loads each, as two processes that know nothing
of each other; the sweep all of them with two workers.  Every run is a fresh process with warm kernels, writes a store and
is timed from start to end, its start and imports included.  Wall-clock times mean something on an idle machine only;
the processor time of all processes together, printed beside, does on a busy one too: what the sweep spends more is what
spreading the work costs.  The exit code does not depend on the figures.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_COMMAND = "import sys; from saddle.cli import main; sys.exit(main(sys.argv[1:]))"


def words(loads: str, store: Path, *more: str) -> list[str]:
    """The command line of a sweep over some loads."""
    grid = ["--alpha", loads, "--reference-kappa", "0.1,max", "--distance", "0.01:0.3:100"]
    return [sys.executable, "-c", _COMMAND, "franz-parisi", "binary-perceptron", *grid, "--store", str(store), *more]


def timed(commands: list[list[str]]) -> tuple[float, float]:
    """Wall-clock and processor seconds of commands side by side, those of their own processes included."""
    path = os.pathsep.join(entry for entry in sys.path[1:] if entry)
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) for command in commands]
    codes = [process.wait() for process in running]
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert codes == [0] * len(commands)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, spent


def main() -> int:
    """Measure in alternation and print the ratios."""
    parser = argparse.ArgumentParser(description="Two workers against two serial runs side by side.")
    parser.add_argument("--loads", type=int, default=40, help="loads of each half (two profiles of 100 points a load)")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    low, high = f"0.3:0.4:{options.loads}", f"0.41:0.51:{options.loads}"
    serial, spread = [], []
    with tempfile.TemporaryDirectory() as folder:
        timed([words("0.4", Path(folder) / "warm.jsonl")])
        for repeat in range(options.repeats):
            names = [Path(folder) / f"{name}-{repeat}.jsonl" for name in ("low", "high", "both")]
            serial.append(timed([words(low, names[0]), words(high, names[1])]))
            spread.append(timed([words(f"{low},{high}", names[2], "--workers", "2")]))
    for name, place in (("wall-clock time", 0), ("processor time", 1)):
        ours, theirs = (statistics.median(run[place] for run in runs) for runs in (spread, serial))
        verdict = "met" if theirs / ours >= 0.9 else "NOT met"
        print(f"two workers, throughput by {name:<16} {theirs / ours:5.3f} >= 0.9 {verdict:<8} {ours:.1f} s, {theirs:.1f} s")
    print(f"load of the machine now: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
