"""Several kernels, small matrix products and copies as one native call, with nothing of Python's between them.

What is to be done is a table of whole numbers: pairs of a function's address and of the place of its record in the
table, and the records, which hold the addresses of arrays.  Those of scratch memory are written when the table is made,
those of arrays that a call brings at each call.  All of it is done once, or, in a loop, for each of a range of numbers,
with the addresses moving on.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from .code import Code, Module, Value
from .inner import inner_loop
from .kernel import LONG, CompiledKernel
from .library import ALIGNED, DATA, FLAGS, STRAIGHT, bound, library

PRODUCT = 1e6  # floating-point operations above which a matrix product is no longer a small one
DEEPEST = 4  # axes of a copy
_FLOP, _BYTE, _COPIED, _COMPUTED = 0.03e-9, 0.03e-9, 0.3e-9, 5e-9  # seconds
# Numbers at the table's beginning: of operations, whether they take long, of arrays that a call brings, of addresses of
# such, where these are told, the range that is gone through, the operation that may end it, where its record is,
# and whether it has ended
COUNT, LONG_WORK, BROUGHT, PATCHES, FIRST_PATCH, START, STOP, TEST, TESTED, ENDED, _HEAD = range(11)
_ROW_MAJOR, _AS_IT_IS, _TRANSPOSED = 101, 111, 112  # of CBLAS


@dataclass(frozen=True)
class Place:
    """An array in memory: `offset` bytes behind the beginning of scratch, or of an array that a call brings (`root`),
    or what a constant `array` is; strides in bytes."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype
    offset: int = 0
    root: object = None
    array: np.ndarray | None = None

    @property
    def base(self) -> object:
        return self.root if self.array is None else id(self.array)

    def may_overlap(self, other: Place) -> bool:
        """Whether the two may share memory; of different arrays that a call brings, the planner has seen to it."""
        if self.base != other.base:
            return False
        (a, b), (c, d) = self._reach(), other._reach()
        return a < d and c < b

    def _reach(self) -> tuple[int, int]:
        low = self.offset + sum(min((n - 1) * step, 0) for n, step in zip(self.shape, self.strides))
        high = self.offset + sum(max((n - 1) * step, 0) for n, step in zip(self.shape, self.strides))
        return low, high + self.dtype.itemsize

    def __getitem__(self, key) -> Place:
        shown = np.lib.stride_tricks.as_strided(np.empty(1, self.dtype), self.shape, self.strides)
        keys = key if isinstance(key, tuple) else (key,)
        part = shown[keys if ... in keys else (*keys, ...)]
        start = _address(part) - _address(shown)
        return Place(part.shape, part.strides, self.dtype, self.offset + start, self.root, self.array)

    def broadcast_to(self, shape: tuple[int, ...]) -> Place:
        shown = np.lib.stride_tricks.as_strided(np.empty(1, self.dtype), self.shape, self.strides)
        strides = np.broadcast_to(shown, shape).strides
        return Place(shape, strides, self.dtype, self.offset, self.root, self.array)


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


@dataclass
class Operation:
    """One entry of the table: the address of a function, and its record of numbers and places.  At address 0, a loop
    ends if the byte at the one place is 0."""

    address: int
    record: list
    seconds: float = 0.0
    kept: object = None  # what the record refers to


def kernel_operation(kernel: CompiledKernel, places: list[Place]) -> Operation | None:
    """The call of a kernel; None if several threads share its work."""
    if kernel.sizes is None:
        return None
    address = library().address(kernel.kernel.text, "_record")
    return Operation(address, [*places, _address(kernel.sizes)], kernel.seconds, kernel)


def copy_operation(into: Place, value: Place) -> Operation | None:
    """`into[...] = value`"""
    if into.dtype != value.dtype or into.dtype.hasobject or into.dtype.itemsize not in (1, 2, 4, 8, 16):
        return None
    try:
        value = value.broadcast_to(into.shape)
    except ValueError:
        return None
    if into.may_overlap(value):
        return None
    merged = _axes([into, value])
    if len(merged) > DEEPEST or 0 in into.shape:
        return None
    merged = [(1, 0, 0)] * (DEEPEST - len(merged)) + merged
    record = [into, value, *[n for n, _, _ in merged], *[to for _, to, _ in merged], *[of for _, _, of in merged]]
    size = int(np.prod(into.shape, dtype=np.int64))
    address = library().address(_copy(into.dtype.itemsize))
    return Operation(address, record, size * (_COPIED if merged[-1][1] != merged[-1][2] else _BYTE))


def _axes(places: list[Place]) -> list[tuple[int, ...]]:
    """Length and strides of the axes that arrays of one shape have, neighbours that are as good as one put together;
    the first of the arrays is gone through in order."""
    axes = [axis for axis in zip(places[0].shape, *[place.strides for place in places]) if axis[0] != 1]
    axes.sort(key=lambda axis: -abs(axis[1]))
    merged: list[tuple[int, ...]] = []
    for n, *steps in axes:
        if merged and merged[-1][1:] == tuple([n * step for step in steps]):
            merged[-1] = (merged[-1][0] * n, *steps)
        else:
            merged.append((n, *steps))
    return merged


def ufunc_operation(ufunc: np.ufunc, inputs: list[Place], into: Place) -> Operation | None:
    """`ufunc(*inputs, into)`, by NumPy's own inner loop, of arrays that one loop goes along."""
    found = inner_loop(ufunc, (*[place.dtype for place in inputs], into.dtype))
    if found is None or 0 in into.shape:
        return None
    places = [place.broadcast_to(into.shape) for place in inputs]
    axes = _axes([into, *places])
    if len(axes) > 1 or any(each.may_overlap(into) and each != into for each in places):
        return None
    (count, step, *steps) = axes[0] if axes else (1, 0, *[0] * len(places))
    record = [*found, 4 + len(places) + 1, count, *places, into, *steps, step]
    return Operation(library().address(_inner()), record, count * _COMPUTED)


def product_operation(a: Place, b: Place, into: Place) -> Operation | None:
    """`numpy.matmul(a, b, into)` of small matrices, or stacks of such."""
    product = _cblas(a.dtype.char)
    if product is None or not (a.dtype == b.dtype == into.dtype) or len(a.shape) < 2 or len(b.shape) < 2:
        return None
    (m, k), n = a.shape[-2:], b.shape[-1]
    if min(m, n, k) < 2 or 2 * m * n * k > PRODUCT:
        return None
    if (a.base, a.offset) == (b.base, b.offset):  # of a matrix and its transpose NumPy computes one half
        return None
    if into.may_overlap(a) or into.may_overlap(b):
        return None
    stack = into.shape[:-2]
    if len(stack) > 1 or 0 in stack:
        return None
    a, b = a.broadcast_to((*stack, m, k)), b.broadcast_to((*stack, k, n))
    first, second, third = _way(a), _way(b), _way(into)
    if first is None or second is None or third is None or third[0] != _AS_IT_IS:
        return None
    (way_a, step_a), (way_b, step_b), (_, step) = first, second, third
    count, *steps = (stack[0], *[each.strides[0] for each in (a, b, into)]) if stack else (1, 0, 0, 0)
    record = [product[0], way_a, way_b, m, n, k, step_a, step_b, step, a, b, into, count, *steps]
    return Operation(library().address(_gemm(a.dtype.char)), record, 2 * m * n * k * count * _FLOP)


def _way(place: Place) -> tuple[int, int] | None:
    """How BLAS is told that a matrix lies: transposed or not, and the elements between two rows."""
    size = place.dtype.itemsize
    (m, n), (rows, columns) = place.shape[-2:], place.strides[-2:]
    if columns == size and rows % size == 0 and rows >= n * size:
        return _AS_IT_IS, rows // size
    if rows == size and columns % size == 0 and columns >= m * size:
        return _TRANSPOSED, columns // size
    return None


@dataclass(frozen=True)
class Move:
    """Where a loop's i-th time finds an array: at offset + i·step, and every other time `turn` bytes further."""

    offset: int = 0
    step: int = 0
    turn: int = 0


@dataclass
class Sequence:
    """Operations that one call does.

    Attributes:
        roots: the arrays that a call brings, in the order of its arguments behind the table.
    """

    operations: list[Operation] = field(default_factory=list)
    roots: list = field(default_factory=list)

    def add(self, operations: list[Operation]) -> None:
        for operation in operations:
            self.operations.append(operation)
            for place in operation.record:
                if isinstance(place, Place) and place.root is not None and place.root not in self.roots:
                    self.roots.append(place.root)

    @property
    def seconds(self) -> float:
        """About how long it takes."""
        return sum(each.seconds for each in self.operations)

    def table(self, memory: np.ndarray, moves: dict[object, Move] | None = None) -> np.ndarray:
        """The table of a call whose scratch is `memory`; `moves` tells of arrays that a loop goes along."""
        start, still = _address(memory), Move()
        count = len(self.operations)
        test = next((i for i, each in enumerate(self.operations) if each.address == 0), count)
        head = {COUNT: count, LONG_WORK: int(self.seconds > LONG), BROUGHT: len(self.roots), STOP: 1, TEST: test}
        numbers = [*[head.get(i, 0) for i in range(_HEAD)], *[0] * (2 * count)]
        patches: list[tuple[int, ...]] = []
        for i, operation in enumerate(self.operations):
            numbers[_HEAD + 2 * i : _HEAD + 2 * i + 2] = operation.address, len(numbers)
            for item in operation.record:
                if not isinstance(item, Place):
                    numbers.append(item)
                elif item.array is not None:
                    numbers.append(_address(item.array) + item.offset)
                elif item.root is None:
                    numbers.append(start + item.offset)
                else:
                    move = (moves or {}).get(item.root, still)
                    where = self.roots.index(item.root), len(numbers), item.offset + move.offset
                    patches.append((*where, move.step, move.turn))
                    numbers.append(0)
        if test < count:
            numbers[TESTED] = numbers[_HEAD + 2 * test + 1]
        numbers[PATCHES], numbers[FIRST_PATCH] = len(patches), len(numbers)
        return np.array([*numbers, *[number for patch in patches for number in patch]], np.int64)


@cache
def run_table() -> Callable[..., bool]:
    """The function of a table and of the arrays that it is for: it computes and gives True, or, if one of the arrays
    does not lie in C order, does nothing and gives False."""
    return bound(library().address(_runner()), None)


# --------------------------------------------------------------------------------------------------------------------
# Native code


@cache
def _cblas(char: str) -> tuple[int, object] | None:
    """The address of `cblas_sgemm` or `cblas_dgemm` in the BLAS that NumPy itself has loaded; None if it hides."""
    letter = {"f": "s", "d": "d"}.get(char)
    if letter is None:
        return None
    try:
        from numpy._core import _multiarray_umath as loaded
    except ImportError:
        from numpy.core import _multiarray_umath as loaded
    try:
        blas = ctypes.CDLL(loaded.__file__)
    except OSError:
        return None
    names = [f"scipy_cblas_{letter}gemm64_", f"cblas_{letter}gemm64_"]
    if sys.platform.startswith("linux"):  # where whole numbers of 32 bits may be passed as such of 64
        names.append(f"cblas_{letter}gemm")
    for name in names:
        function = getattr(blas, name, None)
        if function is not None:
            return ctypes.cast(function, ctypes.c_void_p).value or 0, blas
    return None


class _Record:
    """The numbers that a function finds in its record."""

    def __init__(self, code: Code):
        self.code = code

    def __getitem__(self, i: int) -> Value:
        return self.code.load("i64", f"{self._at(i)}")

    def pointer(self, i: int) -> str:
        return self.code.load("ptr", self._at(i)).name

    def _at(self, i: int) -> str:
        return self.code.address("i64", "%record", self.code.constant("i64", i))


def _function(module: Module, code: Code, head: str) -> str:
    lines = [f"define {head} nounwind {{", "start:", *code.header, "  br label %entry", "entry:", *code.lines]
    module.functions["@NAME"] = "\n".join([*lines, "}"])
    return module.text()


@cache
def _gemm(char: str) -> str:
    """void NAME(record): a product of matrices for each of a stack."""
    module = Module()
    code = Code(module)
    record, type = _Record(code), {"f": "float", "d": "double"}[char]
    product = record.pointer(0)
    way_a, way_b = [record[i].convert("trunc", "i32").name for i in (1, 2)]
    m, n, k, step_a, step_b, step = [record[i].name for i in range(3, 9)]
    a, b, into = [record.pointer(i) for i in (9, 10, 11)]
    steps = [record[i] for i in (13, 14, 15)]
    one, zero = code.constant(type, 1.0).name, code.constant(type, 0.0).name
    with code.loop(code.constant("i64", 0), record[12]) as i:
        at = [code.address("i8", pointer, i * by) for pointer, by in zip((a, b, into), steps)]
        code.line(
            f"call void {product}(i32 {_ROW_MAJOR}, i32 {way_a}, i32 {way_b}, i64 {m}, i64 {n}, i64 {k}, {type} {one}, "
            f"ptr {at[0]}, i64 {step_a}, ptr {at[1]}, i64 {step_b}, {type} {zero}, ptr {at[2]}, i64 {step})"
        )
    code.line("ret void")
    return _function(module, code, "void @NAME(ptr %record)")


@cache
def _inner() -> str:
    """void NAME(record): an inner loop of NumPy's."""
    module = Module()
    code = Code(module)
    record = _Record(code)
    strides = code.address("i64", "%record", record[2])
    count, arrays = [code.address("i64", "%record", code.constant("i64", i)) for i in (3, 4)]
    code.line(f"call void {record.pointer(0)}(ptr {arrays}, ptr {count}, ptr {strides}, ptr {record.pointer(1)})")
    code.line("ret void")
    return _function(module, code, "void @NAME(ptr %record)")


@cache
def _copy(itemsize: int) -> str:
    """void NAME(record): a copy, the last axis the one that lies closest in what is written."""
    module = Module()
    code = Code(module)
    record, type, many = _Record(code), f"i{8 * itemsize}", max(32 // itemsize, 2)
    zero = code.constant("i64", 0)
    lengths, to, of = [[record[2 + DEEPEST * i + axis] for axis in range(DEEPEST)] for i in range(3)]

    def level(axis: int, into: str, value: str) -> None:
        if axis < DEEPEST - 1:
            with code.loop(zero, lengths[axis]) as i:
                level(axis + 1, code.address("i8", into, i * to[axis]), code.address("i8", value, i * of[axis]))
            return
        straight = to[axis].equals(itemsize) & of[axis].equals(itemsize)
        after = code.begin_if(straight)
        wide = lengths[axis] - lengths[axis] % many
        with code.loop(zero, wide, many) as i:  # rows are too short for a call of memcpy
            row, to_row = code.address(type, value, i), code.address(type, into, i)
            numbers = code.value(f"<{many} x {type}>", f"load <{many} x {type}>, ptr {row}, align {itemsize}")
            code.line(f"store {numbers.type} {numbers.name}, ptr {to_row}, align {itemsize}")
        with code.loop(wide, lengths[axis]) as i:
            code.store(code.load(type, code.address(type, value, i)), code.address(type, into, i))
        code.end_if(after)
        after = code.begin_if(~straight)
        with code.loop(zero, lengths[axis]) as i:
            number = code.load(type, code.address("i8", value, i * of[axis]))
            code.store(number, code.address("i8", into, i * to[axis]))
        code.end_if(after)

    level(0, record.pointer(0), record.pointer(1))
    code.line("ret void")
    return _function(module, code, "void @NAME(ptr %record)")


@cache
def _runner() -> str:
    """PyObject *NAME(self, PyObject **arrays, n): the first of them is the table."""
    module = Module()
    code = Code(module)
    for line in (
        "@_Py_TrueStruct = external global i8",
        "@_Py_FalseStruct = external global i8",
        "declare void @Py_IncRef(ptr)",
        "declare ptr @PyEval_SaveThread()",
        "declare void @PyEval_RestoreThread(ptr)",
    ):
        module.declare(line)

    def number(i: int) -> Value:
        return code.constant("i64", i)

    def array(i: Value) -> str:
        return code.load("ptr", code.address("ptr", "%arrays", i)).name

    def member(of: str, offset: int) -> str:
        return code.address("i8", of, number(offset))

    table = code.load("ptr", member(array(number(0)), DATA)).name

    def entry(i: Value) -> str:
        return code.address("i64", table, i)

    def head(i: int) -> Value:
        return code.load("i64", entry(number(i)))

    zero = number(0)
    wanted = ALIGNED | STRAIGHT
    fits = code.variable("i1")
    code.store(code.constant("i1", True), fits)
    with code.loop(zero, head(BROUGHT)) as i:
        flags = code.load("i32", member(array(i + 1), DATA + FLAGS))
        code.store(code.load("i1", fits) & (flags & wanted).equals(wanted), fits)
    done = code.load("i1", fits)
    after = code.begin_if(done)
    is_long = head(LONG_WORK).differs(0)
    state = code.variable("ptr")
    let_go = code.begin_if(is_long)
    code.store(code.value("ptr", "call ptr @PyEval_SaveThread()"), state)
    code.end_if(let_go)
    first, patches, count, test, tested = map(head, (FIRST_PATCH, PATCHES, COUNT, TEST, TESTED))

    def call_all(start: Value, stop: Value) -> None:
        with code.loop(start, stop) as i:
            function = code.load("ptr", entry(i * 2 + _HEAD)).name
            record = entry(code.load("i64", entry(i * 2 + (_HEAD + 1))))
            code.line(f"call void {function}(ptr {record})")

    turns = code.loop(head(START), head(STOP))
    with turns as turn:
        odd = turn & 1
        with code.loop(zero, patches) as i:
            at = first + i * 5
            root, place, offset, step, other = [code.load("i64", entry(at + part)) for part in range(5)]
            memory = code.load("ptr", member(array(root + 1), DATA)).name
            address = code.address("i8", memory, offset + turn * step + odd * other)
            code.line(f"store ptr {address}, ptr {entry(place)}")
        call_all(zero, test)
        with_test = code.begin_if(test < count)
        holds = code.load("i8", code.load("ptr", entry(tested)).name).differs(0)
        ends = code.begin_if(~holds)
        code.store(turn, entry(number(START)))
        code.store(number(1), entry(number(ENDED)))
        code.line(f"br label %{turns.after}")
        code.label(code.name("never"))
        code.end_if(ends)
        call_all(test + 1, count)
        code.end_if(with_test)
    take_back = code.begin_if(is_long)
    code.line(f"call void @PyEval_RestoreThread(ptr {code.load('ptr', state).name})")
    code.end_if(take_back)
    code.end_if(after)
    result = code.value("ptr", f"select i1 {done.name}, ptr @_Py_TrueStruct, ptr @_Py_FalseStruct").name
    code.line(f"call void @Py_IncRef(ptr {result})")
    code.line(f"ret ptr {result}")
    return _function(module, code, "ptr @NAME(ptr %self, ptr %arrays, i64 %n)")
