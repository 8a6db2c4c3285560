"""SymPy, imported when it is first used."""

import importlib


def sympy_module():
    """SymPy, or an error that says how to get it."""
    try:
        return importlib.import_module("sympy")
    except ModuleNotFoundError:
        raise ModuleNotFoundError("needle.symbolic needs SymPy: pip install needle-autodiff[symbolic]") from None
