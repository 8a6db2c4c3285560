"""Writing the code of kernels: LLVM's language, as text, with numbers that Python's operators work on.

`x * y + 1` on two `Value`s writes the instructions that compute it.  No instruction may be contracted or reordered, so
what is written here is computed as NumPy would compute it; `fma` and `reassociated` say where that is wanted.
"""

from __future__ import annotations

import struct

WIDTHS = {"i1": 1, "i8": 8, "i16": 16, "i32": 32, "i64": 64, "float": 32, "double": 64}
WHOLE = {"float": "i32", "double": "i64"}  # whole numbers of the same width


def literal(type: str, number) -> str:
    """A number as LLVM spells it: floats by their bits, those of a float32 as a float64 of the same value."""
    if type == "float":
        try:
            number = struct.unpack("f", struct.pack("f", number))[0]
        except OverflowError:
            number = float("inf") if number > 0 else float("-inf")
    if type in WHOLE:
        return f"0x{struct.unpack('Q', struct.pack('d', float(number)))[0]:016X}"
    if type == "i1":
        return "true" if number else "false"
    return str(int(number))


class Value:
    """A number that the code computes, of an LLVM type; whole numbers are signed where that matters."""

    __slots__ = ("code", "name", "number", "type")

    def __init__(self, code: Code, type: str, name: str, number=None):
        self.code, self.type, self.name = code, type, name
        self.number = number  # what it is, if the code says so

    @property
    def is_float(self) -> bool:
        return self.type in WHOLE

    def like(self, other) -> Value:
        """A number as a value of this type."""
        return other if isinstance(other, Value) else self.code.constant(self.type, other)

    def _binary(self, real: str, whole: str, other) -> Value:
        operation = real if self.is_float else whole
        return self.code.value(self.type, f"{operation} {self.type} {self.name}, {self.like(other).name}")

    def __add__(self, other) -> Value:
        return self._binary("fadd", "add", other)

    def __sub__(self, other) -> Value:
        return self._binary("fsub", "sub", other)

    def __mul__(self, other) -> Value:
        return self._binary("fmul", "mul", other)

    def __truediv__(self, other) -> Value:
        return self._binary("fdiv", "sdiv", other)

    def __mod__(self, other) -> Value:
        return self._binary("frem", "srem", other)

    def __radd__(self, other) -> Value:
        return self.like(other) + self

    def __rsub__(self, other) -> Value:
        return self.like(other) - self

    def __rmul__(self, other) -> Value:
        return self.like(other) * self

    def __rtruediv__(self, other) -> Value:
        return self.like(other) / self

    def __and__(self, other) -> Value:
        return self._binary("", "and", other)

    def __or__(self, other) -> Value:
        return self._binary("", "or", other)

    def __xor__(self, other) -> Value:
        return self._binary("", "xor", other)

    def __lshift__(self, other) -> Value:
        return self._binary("", "shl", other)

    def __rshift__(self, other) -> Value:
        return self._binary("", "ashr", other)

    def __invert__(self) -> Value:
        return self ^ (1 if self.type == "i1" else -1)

    def __neg__(self) -> Value:
        if self.is_float:
            return self.code.value(self.type, f"fneg {self.type} {self.name}")
        return self.code.constant(self.type, 0) - self

    def __abs__(self) -> Value:
        return self.intrinsic("fabs") if self.is_float else select(self < 0, -self, self)

    def compare(self, how: str, other) -> Value:
        """A comparison by LLVM's name for it."""
        operation = "fcmp" if self.is_float else "icmp"
        return self.code.value("i1", f"{operation} {how} {self.type} {self.name}, {self.like(other).name}")

    def __lt__(self, other) -> Value:
        return self.compare("olt" if self.is_float else "slt", other)

    def __le__(self, other) -> Value:
        return self.compare("ole" if self.is_float else "sle", other)

    def __gt__(self, other) -> Value:
        return self.compare("ogt" if self.is_float else "sgt", other)

    def __ge__(self, other) -> Value:
        return self.compare("oge" if self.is_float else "sge", other)

    def equals(self, other) -> Value:
        return self.compare("oeq" if self.is_float else "eq", other)

    def differs(self, other) -> Value:
        return self.compare("une" if self.is_float else "ne", other)

    def is_nan(self) -> Value:
        return self.compare("uno", self)

    def bits(self) -> Value:
        """A float's bits, as a whole number."""
        whole = WHOLE[self.type]
        return self.code.value(whole, f"bitcast {self.type} {self.name} to {whole}")

    def from_bits(self) -> Value:
        """The float that has these bits."""
        real = "float" if self.type == "i32" else "double"
        return self.code.value(real, f"bitcast {self.type} {self.name} to {real}")

    def convert(self, how: str, type: str) -> Value:
        return self.code.value(type, f"{how} {self.type} {self.name} to {type}")

    def intrinsic(self, name: str, *others) -> Value:
        """One of LLVM's own functions of one type: fabs, sqrt, floor, …"""
        values = [self, *map(self.like, others)]
        width = {"float": "f32", "double": "f64"}.get(self.type, self.type)
        function = f"@llvm.{name}.{width}"
        self.code.module.declare(f"declare {self.type} {function}({', '.join([self.type] * len(values))})")
        given = ", ".join(f"{value.type} {value.name}" for value in values)
        return self.code.value(self.type, f"call {self.type} {function}({given})")

    def reassociated(self, operation: str, other: Value) -> Value:
        """An `fadd` or `fmul` that may be carried out in another order: a sum in several lanes."""
        return self.code.value(self.type, f"{operation} reassoc nsz {self.type} {self.name}, {other.name}")


def select(condition: Value, a, b) -> Value:
    """a where the condition holds, otherwise b.  One of the two may be a number."""
    value = a if isinstance(a, Value) else b
    a, b = value.like(a), value.like(b)
    return condition.code.value(a.type, f"select i1 {condition.name}, {a.type} {a.name}, {b.type} {b.name}")


def fma(a: Value, b, c) -> Value:
    """a·b + c, rounded once."""
    return a.intrinsic("fma", b, c)


def polynomial(x: Value, coefficients) -> Value:
    """c₀ + c₁x + c₂x² + …, by Horner's rule."""
    *rest, last = coefficients
    result = x.like(last)
    for coefficient in reversed(rest):
        result = fma(result, x, coefficient)
    return result


class Module:
    """The text of one compiled unit."""

    def __init__(self) -> None:
        self.declarations: dict[str, None] = {}
        self.functions: dict[str, str] = {}

    def declare(self, line: str) -> None:
        self.declarations[line] = None

    def text(self) -> str:
        return "\n".join([*self.declarations, *self.functions.values(), ""])


class Code:
    """The code of one function while it is being written."""

    def __init__(self, module: Module):
        self.module = module
        self.lines: list[str] = []
        self.header: list[str] = []  # what stands at the function's beginning
        self._names = 0
        self.block = "entry"

    def name(self, beginning: str = "v") -> str:
        self._names += 1
        return f"{beginning}{self._names}"

    def line(self, text: str) -> None:
        self.lines.append(f"  {text}")

    def value(self, type: str, text: str) -> Value:
        name = "%" + self.name()
        self.line(f"{name} = {text}")
        return Value(self, type, name)

    def constant(self, type: str, number) -> Value:
        return Value(self, type, literal(type, number), number)

    def label(self, name: str) -> None:
        self.lines.append(f"{name}:")
        self.block = name

    def variable(self, type: str) -> str:
        """Room for a number that changes."""
        name = "%" + self.name("a")
        self.header.append(f"  {name} = alloca {type}")
        return name

    def at_beginning(self, type: str, text: str) -> Value:
        name = "%" + self.name("h")
        self.header.append(f"  {name} = {text}")
        return Value(self, type, name)

    def load(self, type: str, pointer: str) -> Value:
        return self.value(type, f"load {type}, ptr {pointer}")

    def store(self, value: Value, pointer: str) -> None:
        self.line(f"store {value.type} {value.name}, ptr {pointer}")

    def address(self, type: str, pointer: str, index: Value) -> str:
        return self.value("ptr", f"getelementptr inbounds {type}, ptr {pointer}, i64 {index.name}").name

    def smaller(self, a: Value, b: Value) -> Value:
        return select(a < b, a, b)

    def begin_if(self, condition: Value) -> str:
        """What follows runs only if the condition holds, up to `end_if`."""
        inside, after = self.name("then"), self.name("after")
        self.line(f"br i1 {condition.name}, label %{inside}, label %{after}")
        self.label(inside)
        return after

    def end_if(self, after: str) -> None:
        self.line(f"br label %{after}")
        self.label(after)

    def loop(self, start: Value, stop: Value, step: int = 1) -> Loop:
        return Loop(self, start, stop, step)


class Loop:
    """`with code.loop(start, stop) as i:` writes a loop over start ≤ i < stop."""

    def __init__(self, code: Code, start: Value, stop: Value, step: int):
        self.code, self.start, self.stop, self.step = code, start, stop, step

    def __enter__(self) -> Value:
        code = self.code
        before = code.block
        self.head, self.end, self.after = code.name("head"), code.name("end"), code.name("after")
        body = code.name("body")
        code.line(f"br label %{self.head}")
        code.label(self.head)
        self.index = Value(code, "i64", "%" + code.name("i"))
        self.next = code.name("%n")
        code.line(f"{self.index.name} = phi i64 [ {self.start.name}, %{before} ], [ {self.next}, %{self.end} ]")
        more = self.index < self.stop
        code.line(f"br i1 {more.name}, label %{body}, label %{self.after}")
        code.label(body)
        return self.index

    def __exit__(self, *exception) -> None:
        code = self.code
        code.line(f"br label %{self.end}")
        code.label(self.end)
        code.line(f"{self.next} = add nsw i64 {self.index.name}, {self.step}")
        code.line(f"br label %{self.head}")
        code.label(self.after)
