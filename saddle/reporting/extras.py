"""Optional packages: found when asked for, or one sentence saying how to get them."""

from __future__ import annotations

import importlib
from types import ModuleType

from replica.errors import InputError


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """The imported ``module``, which the extra ``extra`` of the distribution brings.

    Raises
    ------
    InputError
        Where the module is missing: what for it is needed and the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as missing:
        name = module.partition(".")[0]
        raise InputError(f"{purpose} needs {name}: pip install 'replica-saddle[{extra}]'") from missing
