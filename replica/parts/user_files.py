"""Models and ansatze of the user's own, named ``path/to/file.py:name`` wherever the name of a shipped one is accepted.

The file is imported (its code runs), once for every version of its text: a model keeps its identity as long as its file
does not change, and so do derivations and kernels that belong to it.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from functools import lru_cache
from inspect import isfunction
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from replica.errors import InputError

T = TypeVar("T")


def is_file_name(name: str) -> bool:
    """Return whether a name is of the form ``path/to/file.py:name``."""
    path, colon, _ = name.rpartition(":")
    return bool(colon) and path.endswith(".py")


def from_file(name: str, kind: type[T]) -> T:
    """Return the object that ``path/to/file.py:name`` means: a ``kind``, or what a function without arguments returns.

    Raises
    ------
    InputError
        If there is no such file or no such name in it, if the file cannot be imported, or if what is found is something
        else; one sentence.
    """
    location, _, attribute = name.rpartition(":")
    path, wanted = Path(location).expanduser(), kind.__name__
    if not path.is_file():
        raise InputError(f"There is no file {location!r}; give path/to/file.py:name.")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The file {location!r} cannot be read ({_sentence(error)}).") from None
    module = _imported(path.resolve(), text, location)
    if not attribute.isidentifier() or not hasattr(module, attribute):
        offered = [key for key, value in vars(module).items() if _is_own(module, key, value, kind)]
        hint = f"it defines {', '.join(offered)}" if offered else f"it defines no {wanted}"
        raise InputError(f"The file {location!r} has no {attribute!r}; {hint}.")
    return _value(getattr(module, attribute), name, kind)


def _is_own(module: ModuleType, key: str, value: object, kind: type) -> bool:
    """Whether a name of a module could be meant: an object of the kind, or a function defined there."""
    if key.startswith("_"):
        return False
    return isinstance(value, kind) or (isfunction(value) and getattr(value, "__module__", "") == module.__name__)


def _value(found: object, name: str, kind: type[T]) -> T:
    wanted = f"a replica.{kind.__name__} or a function without arguments that returns one"
    if isinstance(found, kind):
        return found
    if isinstance(found, type) or not callable(found):
        raise InputError(f"{name} is a {type(found).__name__}, not {wanted}.")
    made = _called(found, name)
    if not isinstance(made, kind):
        raise InputError(f"{name} returns a {type(made).__name__}; it must be {wanted}.")
    return made


def _called(function: Callable[[], object], name: str) -> object:
    try:
        return function()
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{name}() fails with {_sentence(error)}.") from error


@lru_cache(maxsize=64)
def _imported(path: Path, text: str, location: str) -> ModuleType:
    """The module of a file with this text, under a name that no package has."""
    digest = hashlib.sha256(f"{path}\n{text}".encode()).hexdigest()[:16]
    module = ModuleType(f"replica_user_file_{digest}")
    module.__file__ = str(path)
    module.__dict__["__text__"] = text
    sys.modules[module.__name__] = module  # dataclasses look their module up while the file runs
    try:
        exec(compile(text, str(path), "exec"), module.__dict__)
    except Exception as error:
        del sys.modules[module.__name__]
        raise InputError(f"The file {location!r} cannot be imported: {_sentence(error)}.") from error
    return module


def _sentence(error: Exception) -> str:
    """An exception in words, without a full stop."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(".: ")
