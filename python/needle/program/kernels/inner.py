"""NumPy's own inner loops of ufuncs, for what kernels do not compute themselves: their addresses in ufunc objects.

The layout of these objects is part of NumPy's public C interface (`PyUFuncObject`); it is compared with what Python
shows of them before it is trusted.
"""

from __future__ import annotations

import ctypes
from functools import cache

import numpy as np

KINDS = "?fd"  # types whose loops cannot raise errors
_HEAD = object.__basicsize__


class _Ufunc(ctypes.Structure):
    _fields_ = [
        ("nin", ctypes.c_int),
        ("nout", ctypes.c_int),
        ("nargs", ctypes.c_int),
        ("identity", ctypes.c_int),
        ("functions", ctypes.POINTER(ctypes.c_void_p)),
        ("data", ctypes.POINTER(ctypes.c_void_p)),
        ("ntypes", ctypes.c_int),
        ("reserved", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("types", ctypes.POINTER(ctypes.c_char)),
    ]


@cache
def inner_loop(ufunc: np.ufunc, dtypes: tuple[np.dtype, ...]) -> tuple[int, int] | None:
    """The addresses of the inner loop for these dtypes of operands and result, and of what it is handed.

    `void loop(char **arrays, intp *count, intp *strides, void *data)`
    """
    if any(dtype.char not in KINDS or not dtype.isnative for dtype in dtypes) or ufunc.nout != 1 or ufunc.signature:
        return None
    spelled = "".join([dtype.char for dtype in dtypes])
    wanted = f"{spelled[:-1]}->{spelled[-1]}"
    if wanted not in ufunc.types:
        return None
    i = ufunc.types.index(wanted)
    inside = _Ufunc.from_address(id(ufunc) + _HEAD)
    if (inside.nin, inside.nout, inside.nargs, inside.ntypes) != (ufunc.nin, ufunc.nout, ufunc.nargs, ufunc.ntypes):
        return None
    types = inside.types[i * ufunc.nargs : (i + 1) * ufunc.nargs]  # numbers, a byte each
    if list(types) != [dtype.num for dtype in dtypes]:
        return None
    function = inside.functions[i]
    return (function, inside.data[i] or 0) if function else None
