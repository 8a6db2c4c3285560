"""Compiling: from LLVM's language to functions that Python calls, and their machine code on disk.

A kernel is called with arrays and nothing else, and trusts its caller in their dtypes, shapes and strides; it takes
from each array object the address of its memory.  Sizes and strides are in an array that the kernel is bound to.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np

DATA = object.__basicsize__  # where the address of its memory lies in an array object (NumPy's ABI since 1.7)
STRIDES, FLAGS = 24, 48  # where that of its strides lies behind it, and where its flags do
STRAIGHT, ALIGNED = 0x001, 0x100  # flags: it lies in C order; its elements lie where numbers of their size should
SIZES = 5  # numbers ahead of the extents: start, stop, part, parts to combine, whether to release the GIL
LINE = 64  # bytes of a line of the cache, at whose beginning vectors should lie
PYTHON = "PyEval_SaveThread PyEval_RestoreThread PyMem_RawMalloc PyMem_RawFree Py_IncRef Py_DecRef".split()
PYTHON += ["PyObject_CallNoArgs", "PyErr_Clear"]
MISSING = "the numba backend needs llvmlite, which Numba brings: pip install needle-autodiff[jit]"


class Unavailable(ImportError):
    """Kernels cannot be compiled here."""


class _Method(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("call", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p)]


class Library:
    """The compiler and everything that it has compiled in this process."""

    def __init__(self) -> None:
        try:
            import llvmlite
            import llvmlite.binding as llvm
        except ImportError as error:
            raise Unavailable(MISSING) from error
        self.llvm: Any = llvm
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        features = llvm.get_host_cpu_features()
        self.cpu, self.features = llvm.get_host_cpu_name(), features.flatten()
        self.version = f"{llvmlite.__version__} {sys.implementation.cache_tag} {self.cpu} {self.features}"
        target = llvm.Target.from_default_triple()
        self.machine = target.create_target_machine(cpu=self.cpu, features=self.features, opt=3, jit=True)
        self.engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), self.machine)
        for name in PYTHON:
            llvm.add_symbol(name, ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value)
        llvm.add_symbol("_Py_TrueStruct", id(True))
        llvm.add_symbol("_Py_FalseStruct", id(False))
        self._lock = threading.Lock()
        self._addresses: dict[str, int] = {}

    def address(self, text: str, end: str = "") -> int:
        """The address of the function `@NAME` that a module's text defines, or of another whose name has that `end`."""
        key = hashlib.sha256(f"{self.version}\n{text}".encode()).hexdigest()[:32]
        with self._lock:
            found = self._addresses.get(key)
        name = f"needle_{key}"
        if found is not None:
            return self.engine.get_function_address(name + end) if end else found
        directory = _directory()
        path = directory and directory / f"{key}.o"
        machine_code = path and _read(path)
        if machine_code is None:
            machine_code = self._compiled(text.replace("@NAME", f"@{name}"))
            if path is not None:
                _write(path, machine_code)
        with self._lock:
            if key not in self._addresses:
                self.engine.add_object_file(self.llvm.ObjectFileRef.from_data(machine_code))
                self.engine.finalize_object()
                self._addresses[key] = self.engine.get_function_address(name)
            return self.engine.get_function_address(name + end) if end else self._addresses[key]

    def _compiled(self, text: str) -> bytes:
        return self.machine.emit_object(self.optimised(text))

    def optimised(self, text: str) -> Any:
        """The module after LLVM's optimiser."""
        llvm = self.llvm
        module = llvm.parse_assembly(text, llvm.create_context())
        module.triple, module.data_layout = llvm.get_process_triple(), str(self.machine.target_data)
        options = llvm.create_pipeline_tuning_options(speed_level=3)
        options.loop_vectorization = options.loop_interleaving = options.loop_unrolling = True
        builder = llvm.create_pass_builder(self.machine, options)
        builder.getModulePassManager().run(module, builder)
        return module


def bound(address: int, sizes: np.ndarray | None):
    """The function at `address` as a Python function of arrays, bound to its sizes."""
    method = _Method(b"kernel", address, 0x80, None)  # METH_FASTCALL
    _METHODS.append(method)
    new = ctypes.pythonapi.PyCFunction_NewEx
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
    return new(ctypes.addressof(method), sizes, None)


_METHODS: list[_Method] = []  # Python's functions refer to these
_LIBRARY: list[Library] = []
_LOCK = threading.Lock()


def is_installed() -> bool:
    """Whether there is an LLVM to compile with."""
    try:
        return importlib.util.find_spec("llvmlite") is not None
    except (ImportError, ValueError):  # who blocks an import may raise here already
        return False


def library() -> Library:
    """The one Library, made when first asked for."""
    with _LOCK:
        if not _LIBRARY:
            _LIBRARY.append(Library())
        return _LIBRARY[0]


def _directory() -> Path | None:
    """Where machine code is kept: NEEDLE_CACHE_DIR, or needle in the user's cache directory; None for a user without
    a home."""
    given = os.environ.get("NEEDLE_CACHE_DIR")
    if given:
        return Path(given)
    try:
        return _of_the_user()
    except RuntimeError:
        return None


def _of_the_user() -> Path:
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home()))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "needle" / "kernels"


def _read(path: Path) -> bytes | None:
    try:
        stored = path.read_bytes()
    except OSError:
        return None
    digest, code = stored[:32], stored[32:]
    return code if hashlib.sha256(code).digest() == digest else None


def _write(path: Path, code: bytes) -> None:
    """Whole, or not at all; a directory that cannot be written to is no error."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(hashlib.sha256(code).digest() + code)
        os.replace(file.name, path)
    except OSError:
        pass
