"""Compiled kernels as real modules: written once, found by a recipe, imported from a private folder.

A kernel module holds the quadrature functions of one model under one ansatz, the special functions that they call, and
``META``, the plain-data description that a solver needs.  Its file name is a hash of the recipe (model, ansatz), of the
sources of both packages that shape it, and of the versions of the compiler: finding it needs no derivation, so that
a warm command never pays for symbolic algebra.  The folder is ``REPLICA_CACHE_DIR`` or the user's cache folder; since
modules in it are executed, it is made private to its owner and refused when it belongs to somebody else.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import tempfile
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal

from replica.errors import InputError

if TYPE_CHECKING:
    from replica.ansatz import Ansatz
    from replica.model import Model

Variant = Literal["", "infinite", "continued"]

_READING = ("averages.py", "printing")
"""Parts of the derivation that no kernel depends on."""


def cache_folder() -> Path:
    """Return the folder of compiled kernels, made if it is missing.

    ``REPLICA_CACHE_DIR`` if it is set, otherwise a folder in the user's cache directory.
    """
    import platformdirs

    chosen = os.environ.get("REPLICA_CACHE_DIR")
    folder = Path(chosen) if chosen else Path(platformdirs.user_cache_dir("replica-saddle"))
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
            raise InputError(f"The kernel folder {folder} belongs to another user; set REPLICA_CACHE_DIR to your own.")
    except OSError as error:
        raise InputError(
            f"The kernel folder {folder} cannot be used ({error.strerror}); set REPLICA_CACHE_DIR to a writable one."
        ) from None
    return folder


@lru_cache(maxsize=1)
def _sources_digest() -> str:
    """Hash of everything besides the recipe that shapes a kernel."""
    import replica

    symbolic = Path(str(replica.__file__)).parent
    derivation = (path for path in symbolic.rglob("*.py") if path.relative_to(symbolic).parts[0] not in _READING)
    generation = Path(__file__).parent.glob("*.py")
    digest = hashlib.sha256()
    for path in (*sorted(derivation), *sorted(generation)):
        digest.update(path.read_bytes())
    for package in ("sympy", "numba", "numpy"):
        digest.update(f"{package} {metadata.version(package)}".encode())
    digest.update(sys.version.encode())
    return digest.hexdigest()


def kernel_key(model: Model, ansatz: Ansatz, variant: Variant = "") -> str:
    """Return the key of the kernel of a model under an ansatz (or a variant of it): 16 hexadecimal digits."""
    recipe = f"{model.recipe()}\n{ansatz!r}\n{variant}{_sources_digest()}"
    return hashlib.sha256(recipe.encode()).hexdigest()[:16]


@lru_cache(maxsize=64)
def _load(key: str, folder: Path, model: Model, ansatz: Ansatz, variant: Variant) -> ModuleType:
    path = folder / f"kernel_{key}.py"
    if not path.exists():
        from saddle.kernels.infinite_kernel import infinite_kernel_source
        from saddle.kernels.kernel_source import kernel_source

        if variant == "infinite":
            _write(path, infinite_kernel_source(model, ansatz))
        else:
            _write(path, kernel_source(model, ansatz, continued=variant == "continued"))
    name = f"replica_saddle_kernel_{key}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def load_kernel(model: Model, ansatz: Ansatz, variant: Variant = "") -> ModuleType:
    """Return the kernel module of a model under an ansatz, derived and written the first time.

    ``infinite`` is the limit in which the multiplicity that the ansatz keeps is infinite, ``continued`` the kernel whose
    averages of powers have negative variances.

    Raises
    ------
    InputError
        If the kernel folder cannot be used.
    """
    return _load(kernel_key(model, ansatz, variant), cache_folder(), model, ansatz, variant)


def _write(path: Path, text: str) -> None:
    """Write a file so that other processes see all of it or none."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    os.replace(temporary, path)
