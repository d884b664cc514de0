"""The parts of a model as text: equal recipes have equal equations, whoever wrote the classes.

The parts that ship are data of known classes, and the sources of this package belong to the key of a compiled kernel
anyway.  A class of the user's own adds a hash of the source of its module and of its compiled methods, so that an edited
formula is a new recipe.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from pathlib import Path
from types import CodeType
from typing import Any

_OWN = Path(__file__).parents[1]


def recipe_of(*parts: Any) -> str:
    """Return the recipe of the parts of a model."""
    return " ".join([*map(_described, parts), *sorted({text for part in parts for text in _sources(part)})])


def _described(part: Any) -> str:
    """The part as text; without a text of its own, its class and data (never its address)."""
    speaks = any("__repr__" in vars(cls) for cls in type(part).__mro__ if cls is not object)
    if speaks:
        return repr(part)
    data = ", ".join(f"{name}={value!r}" for name, value in sorted(getattr(part, "__dict__", {}).items()))
    return f"{type(part).__qualname__}({data})"


def _sources(part: Any) -> list[str]:
    """Hashes of the modules of all classes of a part that do not ship."""
    found = []
    for cls in type(part).__mro__:
        if cls is not object and not _ships(cls):
            found.append(f"{cls.__qualname__}:{_digest(cls)}")
    return found


def _ships(cls: type) -> bool:
    """Whether a class is of this package or of Python itself."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return cls.__module__.partition(".")[0] in sys.stdlib_module_names or (file is not None and _OWN in Path(file).parents)


def _digest(cls: type) -> str:
    """Hash of the source of a class's module and of its methods as they are loaded, which may be older than the source."""
    module = sys.modules.get(cls.__module__)
    text = getattr(module, "__text__", None)  # of a user's file, as it was when it was imported
    try:
        source = text or inspect.getsource(module if module is not None else cls)
    except (OSError, TypeError):  # typed into an interpreter
        source = ""
    loaded = b"".join(_compiled(value) for _, value in sorted(vars(cls).items(), key=lambda item: item[0]))
    return hashlib.sha256(source.encode() + loaded).hexdigest()[:16]


def _compiled(value: Any) -> bytes:
    """What a method does: its byte code and constants, those of functions inside it too."""
    code = getattr(getattr(value, "fget", value), "__code__", None)
    return _code(code) if isinstance(code, CodeType) else b""


def _code(code: CodeType) -> bytes:
    constants = [_code(c) if isinstance(c, CodeType) else repr(c).encode() for c in code.co_consts]
    return b"|".join([code.co_code, repr(code.co_names).encode(), *constants])
