"""Products of two matrices by the BLAS that NumPy brings, called without NumPy, and shared among the team.

OpenBLAS has threads of its own, and gains little from them where the sum over k is long and the result is small.  Two
calls at once that both want those threads stand in each other's way (milliseconds for microseconds of work), so it
is told to use one for as long as the team does a product, and what it was told before, after that.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from .. import pool
from ..functions import Matmul
from ..ir import Instruction
from .calling import entry
from .code import Module
from .kernel import by_team
from .library import SIZES, bound, library
from .team import is_possible

LEAST = 1 << 19  # multiplications of a part, below which handing it over is not won back
MOST = 1 << 28  # multiplications above which OpenBLAS, which packs its operands once, shares as well
LONG = 1 << 20  # multiplications above which other threads of Python's run meanwhile
ROW, COLUMN, STRAIGHT, TRANSPOSED = 101, 102, 111, 112  # CBLAS's names of orders
LETTER = {"f": "s", "d": "d"}
# Behind the sizes of all kernels: the BLAS function, the orders, m, n, k, and of a, b and the result where this part
# begins, in bytes, and how far its rows are apart, in elements
GEMM, OF_A, OF_B, M, N, K, A, LDA, B, LDB, C, LDC, WORDS = range(SIZES, SIZES + 13)

_LOOPS = """
define internal void @loops(ptr %p0, ptr %p1, ptr %p2, {room}ptr %sizes) noinline nounwind {{
entry:
{loaded}
{combine}
do:
  %a = getelementptr i8, ptr %p0, i64 %w{A}
  %b = getelementptr i8, ptr %p1, i64 %w{B}
  %c = getelementptr i8, ptr {base}, i64 %w{C}
  %gemm = inttoptr i64 %w{GEMM} to ptr
  %of_a = trunc i64 %w{OF_A} to i32
  %of_b = trunc i64 %w{OF_B} to i32
{whole}
  call void %gemm(i32 {ROW}, i32 %of_a, i32 %of_b, {int} %m, {int} %n, {int} %k, {real} 1.0, ptr %a, {int} %lda,
    ptr %b, {int} %ldb, {real} 0.0, ptr %c, {int} %ldc)
  ret void
}}
"""

# Where k is divided, the first part writes the result, the others write terms of it, which the last call adds
_COMBINE = """
  %parts.at = getelementptr i64, ptr %sizes, i64 3
  %parts = load i64, ptr %parts.at
  %part.at = getelementptr i64, ptr %sizes, i64 2
  %part = load i64, ptr %part.at
  %first = icmp eq i64 %part, 0
  %base = select i1 %first, ptr %p2, ptr %p3
  %size = mul i64 %w{M}, %w{N}
  %last = icmp sgt i64 %parts, 0
  br i1 %last, label %terms, label %do
terms:
  %term = phi i64 [ 1, %entry ], [ %term.next, %added ]
  %more = icmp slt i64 %term, %parts
  br i1 %more, label %begin, label %end
begin:
  %before = sub i64 %term, 1
  %skipped = mul i64 %before, %w{C}
  %there = getelementptr i8, ptr %p3, i64 %skipped
  br label %add
add:
  %i = phi i64 [ 0, %begin ], [ %i.next, %add ]
  %x.at = getelementptr {real}, ptr %p2, i64 %i
  %x = load {real}, ptr %x.at
  %y.at = getelementptr {real}, ptr %there, i64 %i
  %y = load {real}, ptr %y.at
  %z = fadd {real} %x, %y
  store {real} %z, ptr %x.at
  %i.next = add i64 %i, 1
  %on = icmp slt i64 %i.next, %size
  br i1 %on, label %add, label %added
added:
  %term.next = add i64 %term, 1
  br label %terms
end:
  ret void
"""

# The setting is shared by all who want OpenBLAS on one thread: the first changes it, the last changes it back.
# Memory: a lock, how many want it, the number before, and the functions that get and set it
_AROUND = """
declare i32 @sched_yield()

define internal void @lock(ptr %memory) nounwind {
entry:
  br label %try
try:
  %was = cmpxchg ptr %memory, i64 0, i64 1 acquire monotonic, align 8
  %mine = extractvalue { i64, i1 } %was, 1
  br i1 %mine, label %end, label %wait
wait:
  call i32 @sched_yield()
  br label %try
end:
  ret void
}

define internal void @before(ptr %memory) nounwind {
entry:
  %count.at = getelementptr i64, ptr %memory, i64 1
  %saved.at = getelementptr i64, ptr %memory, i64 2
  %get.at = getelementptr i64, ptr %memory, i64 3
  %set.at = getelementptr i64, ptr %memory, i64 4
  call void @lock(ptr %memory)
  %count = load i64, ptr %count.at
  %more = add i64 %count, 1
  store i64 %more, ptr %count.at
  %none = icmp eq i64 %count, 0
  br i1 %none, label %first, label %end
first:
  %get = load ptr, ptr %get.at
  %found = call i32 %get()
  %threads = sext i32 %found to i64
  store i64 %threads, ptr %saved.at
  %several = icmp sgt i64 %threads, 1
  br i1 %several, label %change, label %end
change:
  %set = load ptr, ptr %set.at
  call void %set(i32 1)
  br label %end
end:
  store atomic i64 0, ptr %memory release, align 8
  ret void
}

define internal void @after(ptr %memory) nounwind {
entry:
  %count.at = getelementptr i64, ptr %memory, i64 1
  %saved.at = getelementptr i64, ptr %memory, i64 2
  %set.at = getelementptr i64, ptr %memory, i64 4
  call void @lock(ptr %memory)
  %count = load i64, ptr %count.at
  %less = sub i64 %count, 1
  store i64 %less, ptr %count.at
  %threads = load i64, ptr %saved.at
  %none = icmp eq i64 %less, 0
  %several = icmp sgt i64 %threads, 1
  %back = and i1 %none, %several
  br i1 %back, label %change, label %end
change:
  %set = load ptr, ptr %set.at
  %number = trunc i64 %threads to i32
  call void %set(i32 %number)
  br label %end
end:
  store atomic i64 0, ptr %memory release, align 8
  ret void
}

define ptr @NAME(i64 %which) nounwind {
  %first = icmp eq i64 %which, 0
  %address = select i1 %first, ptr @before, ptr @after
  ret ptr %address
}
"""


class Blas:
    """The OpenBLAS that NumPy has loaded.

    Attributes:
        gemm: the addresses of its functions, by dtype.
        int: LLVM's type of the numbers that it takes.
        get, set: the functions for the number of its threads.
    """

    def __init__(self) -> None:
        core: Any = np._core._multiarray_umath
        loaded = ctypes.CDLL(core.__file__)  # finds what this refers to
        self.int = "i64"
        for beginning, end in (("scipy_", "64_"), ("", "64_"), ("scipy_", ""), ("", "")):
            if hasattr(loaded, f"{beginning}openblas_get_config{end}"):
                break
        else:
            raise LookupError("NumPy has another BLAS")
        if getattr(loaded, f"{beginning}openblas_get_parallel{end}")() > 1:
            raise LookupError("the setting of an OpenBLAS of OpenMP holds for one thread")
        self.int = "i64" if end else "i32"
        self.gemm = {
            np.dtype(char): _address(getattr(loaded, f"{beginning}cblas_{letter}gemm{end}"))
            for char, letter in LETTER.items()
        }
        self.get = getattr(loaded, f"{beginning}openblas_get_num_threads{end}")
        self.set = getattr(loaded, f"{beginning}openblas_set_num_threads{end}")
        self.memory = np.array([0, 0, 0, _address(self.get), _address(self.set)])

    @property
    def around(self) -> tuple[int, int, int]:
        """For the team's table: what is called before and after a product, and with what."""
        libc = ctypes.CDLL(None)
        library().llvm.add_symbol("sched_yield", _address(libc.sched_yield))
        which = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_int64)(library().address(_AROUND))
        return which(0), which(1), self.memory.ctypes.data

    def forget(self) -> None:
        """A process that was forked may have been so while another thread was at a product."""
        if self.memory[1] and self.memory[2] > 1:
            self.set(int(self.memory[2]))
        self.memory[:3] = 0


def _address(function) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


@cache
def blas() -> Blas | None:
    """The one Blas, or None if NumPy has another than OpenBLAS."""
    try:
        return Blas()
    except (AttributeError, LookupError, OSError):
        return None


def _forget() -> None:
    if blas.cache_info().currsize and (found := blas()) is not None:
        found.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


class Product(Matmul):
    """`numpy.matmul` of two matrices, in a program with kernels."""

    __slots__ = ()

    def compiled(self, instruction: Instruction, strides: list, unknown: list[int]) -> _Product | None:
        """The call of two arrays and one for the result, in C order; None if BLAS cannot do it.

        Args:
            strides: of the two arrays, in bytes.
            unknown: which of the two are to be looked at: if one does not have these strides, nothing is done and the
                call gives False.
        """
        found = blas()
        a, b = instruction.inputs
        dtype = instruction.output.dtype
        if found is None or dtype not in found.gemm or not (a.dtype == b.dtype == dtype):
            return None
        (m, k), n = a.shape, b.shape[1]
        if min(m, n, k) < 2 or a is b or _base(a) is _base(b):  # NumPy calls other functions of BLAS
            return None
        orders = [_order(var.shape, steps, dtype.itemsize) for var, steps in zip((a, b), strides)]
        if None in orders:
            return None
        return _Product(found, dtype, (m, n, k), orders, strides, unknown)


def _base(var):
    while var.source is not None and var.source.function.view:
        var = var.source.inputs[0]
    return var


def _order(shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int) -> tuple[int, int] | None:
    """How BLAS is told that a matrix lies, and how far its rows, or columns, are apart; None if it cannot be told."""
    rows, columns = [step // itemsize for step in strides]
    if any(step % itemsize for step in strides):
        return None
    if columns == 1 and rows >= shape[1]:
        return STRAIGHT, rows
    if rows == 1 and columns >= shape[0]:
        return TRANSPOSED, columns
    return None


def cut(m: int, n: int, k: int, workers: int) -> tuple[str, int]:
    """Along what a product is divided, and in how many parts."""
    work = m * n * k
    if work > MOST:
        return "m", 1
    parts = min(workers, work // LEAST)
    if k >= 4 * max(m, n):
        return "k", max(min(parts, k // 64), 1)
    along, length = ("m", m) if 2 * m >= n else ("n", n)
    return along, max(min(parts, length // 8), 1)


class _Product:
    """A product that is compiled.

    Attributes:
        call: (a, b, result) → whether a and b lay as was supposed.
        key: two with the same do the same.
    """

    def __init__(self, blas: Blas, dtype: np.dtype, sizes: tuple[int, int, int], orders: list, strides, unknown):
        m, n, k = sizes
        self.real, self.int, itemsize = {"f": "float", "d": "double"}[dtype.char], blas.int, dtype.itemsize
        shares = pool.WORKERS > 1 and is_possible() and blas.get() > 1
        along, parts = cut(m, n, k, pool.WORKERS) if shares else ("m", 1)
        extents = {"m": m, "n": n, "k": k}
        length = extents[along]
        step = -(-length // parts)
        step = min(-(-step // 8) * 8, step + step // 8)  # whole vectors, if the parts stay about equal
        cuts = [min(i * step, length) for i in range(parts)] + [length]
        (of_a, lda), (of_b, ldb) = orders
        by_row, by_column = [(lda, 1), (1, lda)][of_a == TRANSPOSED], [(ldb, 1), (1, ldb)][of_b == TRANSPOSED]
        steps = {"m": (by_row[0], 0, n), "n": (0, by_column[1], 1), "k": (by_row[1], by_column[0], 0)}[along]
        looked, numbers = self._looked_at(unknown, strides)
        rows = []
        for i in range(parts):
            of_part = {**extents, along: cuts[i + 1] - cuts[i]}
            at = [cuts[i] * each * itemsize for each in steps]
            if along == "k":
                at[2] = max(i - 1, 0) * m * n * itemsize
            begin = [0, 0, i, 0, int(m * n * k > LONG), blas.gemm[dtype], of_a, of_b, *of_part.values()]
            rows.append([*begin, at[0], lda, at[1], ldb, at[2], n, *numbers])
        several = along == "k" and parts > 1
        text = self._text(looked, parts > 1, several)
        self.key = text, *[number for row in rows for number in row]
        if parts == 1:
            self.call: Callable[..., bool] = bound(library().address(text), np.array(rows[0], np.int64))
            return
        if several:
            last = [0, 0, parts, parts, 0, 0, 0, 0, m, n, 0, 0, 0, 0, 0, m * n * itemsize, 0]
            rows.append(last)
        self.call = by_team(text, rows, parts, (parts - 1) * m * n * itemsize if several else 0, blas.around)

    def _looked_at(self, unknown: list[int], strides) -> tuple[dict[int, list[tuple[int, int]]], list[int]]:
        numbers = [number for i in unknown for number in strides[i]]
        return {i: [(0, WORDS + 2 * at), (1, WORDS + 2 * at + 1)] for at, i in enumerate(unknown)}, numbers

    def _text(self, looked: dict, divided: bool, several: bool) -> str:
        names = {name: globals()[name] for name in ("GEMM", "OF_A", "OF_B", "M", "N", "A", "B", "C", "ROW")}
        names |= {"int": self.int, "real": self.real}
        loaded = []
        for i in range(SIZES, WORDS):
            loaded += [f"  %at{i} = getelementptr i64, ptr %sizes, i64 {i}", f"  %w{i} = load i64, ptr %at{i}"]
        convert = "add i64 0," if self.int == "i64" else "trunc i64"
        given = {"m": M, "n": N, "k": K, "lda": LDA, "ldb": LDB, "ldc": LDC}
        whole = [f"  %{name} = {convert} %w{i}" + ("" if self.int == "i64" else " to i32") for name, i in given.items()]
        module = Module()
        module.functions["@loops"] = _LOOPS.format(
            loaded="\n".join(loaded),
            combine=_COMBINE.format(**names) if several else "  br label %do",
            whole="\n".join(whole),
            room="ptr %p3, " if several else "",
            base="%base" if several else "%p2",
            **names,
        )
        module.functions["@NAME"] = entry(module, 3, looked, divided, several)
        return module.text()
