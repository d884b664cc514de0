"""The arrows between the packages, what start-up may load, and what the wheel ships."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import inspect
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from types import ModuleType

import pytest

import replica
import saddle

PACKAGES = {package.__name__: Path(str(package.__file__)).parent for package in (replica, saddle)}
SOURCES = [path for folder in PACKAGES.values() for path in sorted(folder.rglob("*.py"))]
PUBLIC = [(package, name) for package in (replica, saddle) for name in package.__all__]

# 0.3 to 0.5 s each: nobody waits for them before there is something to compute.
HEAVY = {"sympy", "numba", "scipy", "mpmath", "matplotlib", "pandas"}
# What the symbolic package does without, also inside functions.
NUMERIC = {"numpy", "numba", "scipy", "saddle"}
MAX_LINES = 500


def imported(source: str) -> Iterator[str]:
    """Yield the top-level name of everything imported anywhere in the source, relative imports excepted."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module).partition(".")[0]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.args[0].value.partition(".")[0]


def undocumented(cls: type) -> Iterator[str]:
    """Yield the public methods and properties that the class defines without a docstring, own or inherited."""
    for name, member in vars(cls).items():
        bare = getattr(member, "__func__", member)
        public = not name.startswith("_") and (inspect.isroutine(bare) or isinstance(bare, property))
        # Through the class, so that an override finds what its parent says.
        if public and not inspect.getdoc(getattr(cls, name)):
            yield name


def sources(package: str) -> list[Path]:
    return sorted(PACKAGES[package].rglob("*.py"))


def loaded_by(statement: str, folder: Path) -> set[str]:
    """Return the top-level names in ``sys.modules`` after the statement, in a fresh process in another folder."""
    path = os.pathsep.join(dict.fromkeys(str(home.parent) for home in PACKAGES.values()))
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys; print(*sys.modules)"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_imports_are_seen_wherever_they_stand() -> None:
    source = (
        "import numpy.linalg as la\n"
        "from . import zoo\n"
        "def late():\n    from scipy.special import erf\n    return import_module('numba.core'), __import__('saddle')\n"
    )
    assert set(imported(source)) == {"numpy", "scipy", "numba", "saddle"}


@pytest.mark.parametrize("path", sources("replica"), ids=lambda path: path.stem)
def test_symbolic_package_imports_nothing_numeric(path: Path) -> None:
    assert not NUMERIC & set(imported(path.read_text(encoding="utf-8")))


def test_numeric_package_imports_the_symbolic_one() -> None:
    assert any("replica" in imported(path.read_text(encoding="utf-8")) for path in sources("saddle"))


@pytest.mark.parametrize("statement", ["import replica, saddle", "import saddle.cli"])
def test_start_up_loads_nothing_heavy(statement: str, tmp_path: Path) -> None:
    loaded = loaded_by(statement, tmp_path)
    assert {"replica", "saddle"} & loaded
    assert not HEAVY & loaded


def test_symbolic_package_is_usable_alone(tmp_path: Path) -> None:
    loaded = loaded_by("import replica\nfor name in replica.__all__: getattr(replica, name)", tmp_path)
    assert "replica" in loaded
    assert not {"saddle", "numba", "scipy"} & loaded


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_public_name_is_not_shadowed_by_its_module(package: str, tmp_path: Path) -> None:
    # Importing replica.derive sets the attribute "derive" of the package to the module, also if only a neighbour
    # imports it: a lazily loaded function of that name would then never be found.
    modules = [
        ".".join((package, *path.relative_to(PACKAGES[package]).with_suffix("").parts))
        for path in sources(package)
        if not path.stem.startswith("__")
    ]
    source = (
        f"import importlib, types, {package} as package\n"
        f"for module in {modules}: importlib.import_module(module)\n"
        "for name in package.__all__:\n"
        "    item = getattr(package, name)\n"
        "    assert not (isinstance(item, types.ModuleType) and hasattr(item, name)), name"
    )
    assert package in loaded_by(source, tmp_path)


@pytest.mark.parametrize(("package", "name"), PUBLIC, ids=[f"{package.__name__}.{name}" for package, name in PUBLIC])
def test_public_name_is_documented(package: ModuleType, name: str) -> None:
    item = getattr(package, name)
    if inspect.isclass(item) or inspect.isroutine(item) or inspect.ismodule(item):
        text = item.__doc__ or ""
        # A dataclass without a docstring gets its signature as one.
        assert text.strip() and not text.startswith(f"{name}(")
    if inspect.isclass(item):
        assert not list(undocumented(item))


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_package_is_typed(package: str) -> None:
    assert (files(package) / "py.typed").is_file()


def test_published_numbers_are_package_data() -> None:
    document = json.loads((files("saddle") / "published.json").read_text(encoding="utf-8"))
    assert document["rows"]
    for row in document["rows"]:
        assert row["quantity"] and row["model"] and row["source"]
        assert "value" in row or "interval" in row


def test_command_starts_the_numeric_package() -> None:
    try:
        entries = importlib.metadata.distribution("replica-saddle").entry_points
        scripts = {script.name: script.value for script in entries}
    except importlib.metadata.PackageNotFoundError:  # sources that were never installed
        project = PACKAGES["saddle"].parent / "pyproject.toml"
        scripts = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["scripts"]
    assert scripts == {"replica": "saddle.cli:main"}
    module, _, function = scripts["replica"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_file_holds_one_idea(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES
