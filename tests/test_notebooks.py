"""Notebooks run from top to bottom in a copy, and what is committed of them is finished and clean."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))
MAX_BYTES = 500_000
MAX_SECONDS = 180.0
# Where a home folder, a temporary folder or a drive would show through.
PATHS = re.compile(r"(?<![\w.])(?:/(?:home|Users|root|tmp|var|private|opt|usr|mnt|work)/|[A-Z]:\\\\)")

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@each
def test_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The kernel is a process of its own; it finds the packages where this one does.
    import os
    import sys

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(entry for entry in sys.path if entry))
    notebook = read(path)
    start = time.monotonic()
    client = NotebookClient(
        notebook, timeout=MAX_SECONDS, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()  # raises at the first cell that fails
    assert time.monotonic() - start < MAX_SECONDS
    assert not [out for cell in code_cells(notebook) for out in cell.outputs if out.get("name") == "stderr"]


@each
def test_outputs_are_committed(path: Path) -> None:
    notebook = read(path)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [out for cell in cells for out in cell.outputs]
    assert any("image/png" in out.get("data", {}) for out in outputs)
    assert any("text/latex" in out.get("data", {}) for out in outputs)
    assert not [out for out in outputs if out.output_type == "error" or out.get("name") == "stderr"]


@each
def test_file_is_small_and_clean(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    notebook = read(path)
    nbformat.validate(notebook)
    assert len(text.encode()) < MAX_BYTES
    assert notebook.metadata.kernelspec.name == "python3"
    assert set(notebook.metadata) <= {"kernelspec", "language_info", "title"}
    assert not [cell for cell in notebook.cells if cell.metadata]
    assert notebook.cells[0].source.startswith("# ")
    assert not PATHS.search(text)


@each
def test_notebook_uses_the_public_names_only(path: Path) -> None:
    source = "\n".join(cell.source for cell in code_cells(read(path)))
    imported = set(re.findall(r"^\s*(?:import|from)\s+([\w.]+)", source, flags=re.MULTILINE))
    assert imported <= {"replica", "saddle", "matplotlib.pyplot"}
    assert not re.search(r"\b\w+\._\w+", source)
