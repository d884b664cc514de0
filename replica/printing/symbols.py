r"""How the names of parameters and order parameters are typeset."""

from __future__ import annotations

import re

GREEK = (
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi",
    "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
)


def latex_symbol(name: str) -> str:
    r"""Return the LaTeX of a parameter: ``q0hat`` is :math:`\hat q_0`, ``reference_kappa`` :math:`\kappa_r`."""
    if name.endswith("hat") and len(name) > 3:
        return _with_subscript(name[:-3], hat=True)
    return _with_subscript(name, hat=False)


def _with_subscript(name: str, hat: bool) -> str:
    prefix, _, last = name.rpartition("_")
    if prefix:
        base, subscript = (last, prefix[0]) if last in GREEK or len(last) == 1 else (name[0], last)
    elif name in GREEK:
        base, subscript = name, ""
    else:
        match = re.fullmatch(rf"({'|'.join(GREEK)}|[A-Za-z])(\w*)", name)
        base, subscript = match.groups() if match else (name, "")
    base = "\\" + base if base in GREEK else base
    return (rf"\hat{{{base}}}" if hat else base) + (f"_{{{subscript}}}" if subscript else "")
