"""Settings that must stand before anything is imported: all that a test run writes goes to a temporary folder."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

gc.set_threshold(200_000, 20, 50)  # compiling makes many objects that stay
_scratch = Path(tempfile.mkdtemp(prefix="replica-saddle-tests-"))

# Kernels: a folder that is set already (an empty one, or one kept warm between runs) is used as it is.
os.environ.setdefault("REPLICA_CACHE_DIR", str(_scratch / "kernels"))
os.environ["MPLBACKEND"] = "Agg"
# Matplotlib, IPython and Jupyter otherwise write below the home folder.
os.environ["MPLCONFIGDIR"] = str(_scratch / "matplotlib")
os.environ["IPYTHONDIR"] = str(_scratch / "ipython")
os.environ["JUPYTER_CONFIG_DIR"] = str(_scratch / "jupyter" / "config")
os.environ["JUPYTER_DATA_DIR"] = str(_scratch / "jupyter" / "data")
os.environ["JUPYTER_RUNTIME_DIR"] = str(_scratch / "jupyter" / "runtime")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the temporary folder of this run."""
    shutil.rmtree(_scratch, ignore_errors=True)


@pytest.fixture
def plain_python(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Kernels that are loaded inside run as plain Python."""
    import numba

    from saddle.kernels import kernel

    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    kernel._load.cache_clear()
    yield
    kernel._load.cache_clear()
