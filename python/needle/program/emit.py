"""A program as the source of one Python function of NumPy calls, and that function.

What lies in scratch is written there by `out=`, and the arrays that show scratch are made once, for as many calls as
run at the same time: an arena.  A call takes an arena from those that are free and puts it back at its end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter

import numpy as np

from .functions import (
    Assign,
    BroadcastTo,
    Call,
    Cast,
    Copy,
    Empty,
    Full,
    Index,
    Matmul,
    Reduce,
    Reshape,
    Transpose,
    Ufunc,
    Where,
)
from .ir import Instruction, Var
from .kernels import Native, Product, run_table
from .kernels.kernel import CompiledKernel
from .plan import ALIGNMENT, GROUPS, WRITES, Buffer, Plan, bits_of, is_of_bits, is_zero, plan, shown
from .sequences import Places, Run, Step, home, in_runs, words
from .spelling import Names, identifier, key_text, kind, title

_HEAD = """
    try:
        arena = arenas.pop()
    except IndexError:
        arena = new_arena()
    {}= arena"""


class Emitter(Names):
    """Writes the source of a plan.

    Args:
        native: whether native calls may do what neighbouring statements say.

    Attributes:
        source: the function `program`.
        inner: the functions that run one block of a group.
        listings: what kernels compute.
        steps: the statements of each instruction, in order.
    """

    def __init__(self, plan: Plan, name: str = "program", native: bool = False):
        super().__init__(("arena", "arenas", "new_arena", "seldom", name, "times", "perf_counter", "asarray", "own"))
        self.plan, self.name, self.native = plan, name, native
        self.inner: list[Emitter] = []
        self.listings: list[str] = []
        self.names |= {"perf_counter": perf_counter, "asarray": np.asarray, "own": own}
        self.steps: list[Step] = []
        self._compiled: dict[Instruction, CompiledKernel] = {}
        self._tables: dict[str, Run] = {}
        self._called: dict[Var, str] = {}
        self._count = 0
        self._buffers: dict[Buffer, str] = {}
        self._reductions: dict[np.ufunc, str] = {}
        self._kernels: dict[tuple, str] = {}
        self._inputs = [self._input(var) for var in plan.program.inputs]
        self._body()
        self._parts = self._with_runs()
        self._choose_lists()
        self.names |= {"arenas": [], "new_arena": self._new_arena()}
        inside = [inner.source for inner in {inner.name: inner for inner in reversed(self.inner)}.values()]
        self.source: str = "\n\n".join([*self.listings, *reversed(inside), self._source(timed=False)])

    # Names

    def _input(self, var: Var) -> str:
        self._called[var] = self._unused(identifier(getattr(var, "name", "x")))
        return self._called[var]

    def _name(self, var: Var) -> str:
        name = self._called.get(var)
        if name is None:
            if var in self.plan.constants:
                name = self._number(self.plan.constants[var])
            else:
                self._count += 1
                name = self._unused(f"h{self._count}")
            self._called[var] = name
        return name

    def _buffer(self, buffer: Buffer) -> str:
        if buffer not in self._buffers:
            self._buffers[buffer] = self._unused(f"b{len(self._buffers)}")
        return self._buffers[buffer]

    # Statements

    def _body(self) -> None:
        plan = self.plan
        for instruction in plan.program:
            if any(var in plan.constants for var in instruction.outputs):
                continue
            if any(var in plan.views for var in instruction.outputs):
                self._name(instruction.output)
                continue
            self.steps.append(Step(instruction, self._written(instruction), instruction.line))
        self.returned = []
        for i, var in enumerate(plan.program.outputs):
            name = self._name(var)
            if i in plan.program.in_place:
                target = self._name(plan.program.in_place[i])
                if i in plan.copied:
                    self.steps.append(Step(None, [f"{target}[...] = {name}"]))
                name = target
            elif var in plan.constants:
                name = f"{name}.copy()"
            self.returned.append(name)

    @property
    def statements(self) -> list[tuple[str, str]]:
        """(text, user's line) of each statement, in order."""
        return [(text, step.line) for step in self.steps for text in step.texts]

    def _with_runs(self) -> list[Step | Run]:
        """The steps, with those in runs that one native call does."""
        if not self.native:
            return list(self.steps)
        places = self.places()
        for step in self.steps:
            if step.instruction is not None:
                step.operations = places.operations(step.instruction, self._compiled.get(step.instruction))
        parts = in_runs(self.steps, places)
        later = words(self.returned)
        for part in reversed(parts):
            if isinstance(part, Run):
                self._tables[self._unused("table")] = part
                for var in reversed(part.results):
                    if self._name(var) in later and var not in part.fresh:
                        part.left.insert(0, var)
                        later |= words([self._named(var)])
                later |= words([text for step in part.steps for text in step.texts])
            else:
                later |= words(part.texts)
        if self._tables:
            self._run = self.constant(run_table(), "run_table")
        return parts

    def places(self) -> Places:
        return Places(self.plan, lambda var: self.names[self._name(var)])

    def _choose_lists(self) -> None:
        """Which arrays of an arena each call names, and which only statements that a native call stands for."""
        often = set(self.returned)
        for part in self._parts:
            often |= words(self._around(part) if isinstance(part, Run) else part.texts)
        arrays = self._arrays()
        self._often = [name for name in arrays if name in often or not self._tables]
        self._seldom = [name for name in arrays if name not in set(self._often)]

    def _around(self, run: Run) -> list[str]:
        """The statements around those of a run: what must be there before, the native call, and names for later."""
        fresh = [f"{self._name(v)} = {self._empty()}({v.shape}, {self._dtype(v.dtype)})" for v in run.fresh]
        table = next(name for name, each in self._tables.items() if each is run)
        call = f"{self._run}({', '.join([table, *map(self._name, run.sequence.roots)])})"
        return [*fresh, f"if not {call}:  # in one native call:", *map(self._named, run.left)]

    def _named(self, var: Var) -> str:
        """The statement that names a result of a run."""
        there = home(self.plan, var)
        if there in self.plan.buffers:
            return f"{self._name(var)} = {self._buffer(self.plan.buffers[there])}  # {kind(var)}"
        if there is not var:
            return f"{self._name(var)} = {self._name(there)}  # {kind(var)}"
        source = var.source
        assert source is not None
        return f"{self._name(var)} = {self._view(source.function, var, [self._name(source.inputs[0])])}  # {kind(var)}"

    def _written(self, instruction: Instruction) -> list[str]:
        """The statements of an instruction."""
        function, plan = instruction.function, self.plan
        if isinstance(function, Assign) and instruction.inputs[0] in plan.constants:
            inputs = ["", self._name(instruction.inputs[1])]
        else:
            inputs = [self._name(var) for var in instruction.inputs]
        if isinstance(function, GROUPS):
            return self._group(instruction, inputs)
        if not (function.view or isinstance(function, WRITES)):
            return self._called_with(instruction, inputs)
        var = instruction.output
        if var in plan.targets:
            into = self._name(plan.targets[var])
        elif var in plan.buffers:
            into = self._buffer(plan.buffers[var])
        else:
            into = ""
        name = self._name(var)
        shape = f"  # {kind(var)}"
        if is_of_bits(instruction):
            start = [] if into else [f"{name} = {self._empty()}({var.shape}, {self._dtype(var.dtype)})"]
            lines = [*start, *self._of_bits(instruction, into or name)]
            return lines if into in ("", name) else [*lines, f"{name} = {into}{shape}"]
        if isinstance(function, Product) and var not in plan.targets:
            call = self._product(instruction, [*inputs, into or name])
            if call:
                start = [] if into else [f"{name} = {self._empty()}({var.shape}, {self._dtype(var.dtype)}){shape}"]
                return [*start, call, *([f"{name} = {into}{shape}"] if into not in ("", name) else [])]
        if isinstance(function, Assign) and not into:
            if var in plan.onto:
                return [f"{inputs[0]}[{key_text(function.key_)}] = {inputs[1]}", f"{name} = {inputs[0]}"]
            made = f"{name} = {self._empty()}({var.shape}, {self._dtype(var.dtype)}){shape}"
            return [made, *self._into(instruction, inputs, name)[:-1]]
        lines = self._into(instruction, inputs, into) if into else [self._new(instruction, inputs)]
        value = lines.pop()
        if value == name:
            return lines
        return [*lines, f"{name} = {value}{shape}"]

    def _into(self, instruction: Instruction, inputs: list[str], into: str) -> list[str]:
        """Statements that write a result into the array `into`, and last the expression that gives it."""
        function = instruction.function
        if isinstance(function, Ufunc):
            dtype = "" if function.dtype is None else f", dtype={self._dtype(function.dtype)}"
            # A third argument is taken faster by place, but these two will take it for something else
            by_name = "out=" if function.ufunc in (np.maximum, np.minimum) else ""
            return [f"{self._ufunc(function.ufunc)}({', '.join(inputs)}, {by_name}{into}{dtype})"]
        if isinstance(function, Matmul):
            return [f"{self.constant(np.matmul, 'matmul')}({', '.join([*inputs, into])})"]
        if isinstance(function, Reduce):
            return [self._reduce(function, inputs[0], into)]
        if isinstance(function, Where):
            condition, a, b = inputs
            copyto = self.constant(np.copyto, "copyto")
            return [*self._copied(instruction, 2, b, into), f"{copyto}({into}, {a}, where={condition})", into]
        if isinstance(function, Assign):
            base, value = inputs
            return [*self._copied(instruction, 0, base, into), f"{into}[{key_text(function.key_)}] = {value}", into]
        if isinstance(function, Full):
            return [f"{into}[...] = {self._spelled(function.value)}", into]
        if isinstance(function, Reshape):
            return [f"{into}[...] = {inputs[0]}.reshape({function.shape})", into]
        return [*self._copied(instruction, 0, inputs[0], into), into]

    def _of_bits(self, instruction: Instruction, into: str) -> list[str]:
        """The statements of a `where` by masks: (a & mask), or ((a ^ b) & mask) ^ b."""
        var = instruction.output
        condition, a, b = instruction.inputs
        out = self._bits(var, into)
        lines = [f"{out}[...] = {self._name(condition)}"]
        et, xor = self._ufunc(np.bitwise_and), self._ufunc(np.bitwise_xor)
        if is_zero(a):
            one = self._number(np.ones((), bits_of(var.dtype)))
            lines.append(f"{self._ufunc(np.subtract)}({out}, {one}, {out})")
        else:
            lines.append(f"{self._ufunc(np.negative)}({out}, {out})")
        if is_zero(a) or is_zero(b):
            return [*lines, f"{et}({out}, {self._bits(b if is_zero(a) else a)}, {out})"]
        work = self._buffer(self.plan.work[instruction])
        return [
            *lines,
            f"{xor}({self._bits(a)}, {self._bits(b)}, {work})",
            f"{et}({out}, {work}, {out})",
            f"{xor}({out}, {self._bits(b)}, {out})",
        ]

    def _bits(self, var: Var, name: str = "") -> str:
        """An array as whole numbers of the same size."""
        dtype = bits_of(var.dtype)
        if var in self.plan.buffers:
            return self._buffer(replace(self.plan.buffers[var], dtype=dtype))
        if var in self.plan.constants:
            array = self.plan.constants[var].view(dtype)
            return self._number(array) if not array.ndim else self.constant(array)
        return f"{name or self._name(var)}.view({self._dtype(dtype)})"

    def _copied(self, instruction: Instruction, i: int, value: str, into: str) -> list[str]:
        """The statement that copies input i, which has the name `value`, into `into`, if it does not lie there."""
        buffers = self.plan.buffers
        var = instruction.inputs[i]
        if var.source is not None and isinstance(var.source.function, Empty):
            return []
        if not value:  # a constant
            value = self._filled(var)
        there = buffers.get(var)
        if value == into or (there is not None and there == buffers.get(instruction.output)):
            return []
        return [f"{into}[...] = {value}"]

    def _filled(self, var: Var) -> str:
        """A constant to be copied: its number, if it has but one."""
        array = self.plan.constants[var]
        if array.size and not any(array.strides):
            return self._number(array[(0,) * array.ndim])
        return self._name(var)

    def _new(self, instruction: Instruction, inputs: list[str]) -> str:
        """The expression of a result in memory of its own, or of a view."""
        function, var = instruction.function, instruction.output
        if isinstance(function, Ufunc):
            if not var.ndim:
                return self._into(instruction, inputs, f"{self._empty()}((), {self._dtype(var.dtype)})")[0]
            dtype = "" if function.dtype is None else f", dtype={self._dtype(function.dtype)}"
            return f"{self._ufunc(function.ufunc)}({', '.join(inputs)}{dtype})"
        if isinstance(function, Matmul):
            value = f"{self.constant(np.matmul, 'matmul')}({', '.join(inputs)})"
            return value if var.ndim else f"asarray({value})"
        if isinstance(function, Reduce):
            value = self._reduce(function, inputs[0], "")
            return value if var.ndim else f"asarray({value})"
        if isinstance(function, Where):
            return f"{self.constant(np.where, 'where')}({', '.join(inputs)})"
        if isinstance(function, Cast):
            return f"{inputs[0]}.astype({self._dtype(function.dtype)})"
        if isinstance(function, Copy):
            return f"{inputs[0]}.copy()"
        if isinstance(function, Full):
            if function.value == 0 and str(function.value)[0] != "-":
                return f"{self.constant(np.zeros, 'zeros')}({function.shape}, {self._dtype(function.dtype)})"
            value = self._spelled(function.value)
            return f"{self.constant(np.full, 'full')}({function.shape}, {value}, {self._dtype(function.dtype)})"
        return self._view(function, var, inputs)

    def _view(self, function, var: Var, inputs: list[str]) -> str:
        if isinstance(function, Reshape):
            return f"{inputs[0]}.reshape({function.shape})"
        if isinstance(function, Transpose):
            flat = function.axes == tuple(range(var.ndim))[::-1]
            return f"{inputs[0]}.T" if flat else f"{inputs[0]}.transpose({function.axes})"
        if isinstance(function, Index):
            key = function.key_ if isinstance(function.key_, tuple) else (function.key_,)
            if not var.ndim and ... not in key:
                key = (*key, ...)
            return f"{inputs[0]}[{key_text(key)}]"
        if isinstance(function, BroadcastTo):
            return f"{self.constant(np.broadcast_to, 'broadcast_to')}({inputs[0]}, {function.shape})"
        value = f"{self.constant(function)}({', '.join(inputs)})"
        return value if var.ndim else f"asarray({value})"

    def _reduce(self, function: Reduce, array: str, into: str) -> str:
        axis = function.axis[0] if len(function.axis) == 1 else function.axis
        options = [] if function.dtype is None else [f"dtype={self._dtype(function.dtype)}"]
        options += [f"out={into}"] if into else []
        options += ["keepdims=True"] if function.keepdims else []
        options += [] if function.initial is None else [f"initial={self._spelled(function.initial)}"]
        name = self._reductions.get(function.ufunc)
        if name is None:
            name = self._reductions[function.ufunc] = self._unused(f"{function.ufunc.__name__}_reduce")
            self.names[name] = function.ufunc.reduce
        return f"{name}({', '.join([array, str(axis), *options])})"

    def _called_with(self, instruction: Instruction, inputs: list[str]) -> list[str]:
        """A call of a function of which nothing is known: of a `Call`, with its arguments spelled out."""
        function = instruction.function
        if isinstance(function, Call):
            args = [self._spelled(item, inputs) for item in function.args]
            args += [
                f"{key}={self._spelled(item, inputs)}"
                if key.isidentifier()
                else f"**{{{key!r}: {self._spelled(item, inputs)}}}"
                for key, item in function.kwargs.items()
            ]
            value = f"{self.constant(function.function, title(function.function))}({', '.join(args)})"
        else:
            inner = getattr(function, "make", getattr(function, "function", function))  # of a Draw, of an Effect
            value = f"{self.constant(inner, title(inner))}({', '.join(inputs)})"
        if not instruction.outputs:
            return [value]
        names = [self._name(var) for var in instruction.outputs]
        shapes = "  # " + ", ".join([kind(var) for var in instruction.outputs])

        def checked(var: Var, value: str) -> str:
            return f"own({', '.join([value, *inputs])})" if var in self.plan.in_new else f"asarray({value})"

        if not function.several:
            return [f"{names[0]} = {checked(instruction.output, value)}{shapes}"]
        lines = [f"{', '.join(names)}{',' if len(names) == 1 else ''} = {value}{shapes}"]
        return lines + [f"{name} = {checked(var, name)}" for name, var in zip(names, instruction.outputs)]

    def _group(self, instruction: Instruction, inputs: list[str]) -> list[str]:
        """The call of a function that runs a group: block by block, or a compiled kernel."""
        function, planned = instruction.function, self.plan
        over, lines, names = {}, [], []
        for i, var in enumerate(instruction.outputs):
            target, buffer = planned.targets.get(var), planned.buffers.get(var)
            for j in function.overwritable(i):
                same = instruction.inputs[j]
                if same is target or (buffer is not None and planned.buffers.get(same) == buffer):
                    over[i] = j
            if i in over:
                names.append(inputs[over[i]])
            elif target is not None:
                names.append(self._name(target))
            elif buffer is not None:
                names.append(self._buffer(buffer))
            else:
                lines.append(f"{self._name(var)} = {self._empty()}({var.shape}, {self._dtype(var.dtype)})")
                names.append(self._name(var))
        if isinstance(function, Native):
            lines.append(self._kernel(instruction, over, [*inputs, *names]))
        else:
            name, threads = self._unused("rows"), function.threads
            self.names[name] = function.runner(over, lambda program: self._inner(plan(program, not threads), name))
            into = [place for i, place in enumerate(names) if i not in over]
            lines.append(f"{name}({', '.join([*inputs, *into])})")
        for var, place in zip(instruction.outputs, names):
            if place != self._name(var):
                lines.append(f"{self._name(var)} = {place}  # {kind(var)}")
        return lines

    def _kernel(self, instruction: Instruction, over: dict[int, int], arrays: list[str]) -> str:
        """The call of a compiled kernel; of arrays that may lie in any order, one that does not mind follows."""
        plan = self.plan
        strides: list[tuple[int, ...] | None] = []
        unknown = []
        for i, var in enumerate(instruction.inputs):
            steps = self._strides(var)
            if steps is None:
                unknown.append(i)
                steps = _supposed(var).strides
            if any(step % var.dtype.itemsize for step in steps):
                strides.append(None)
                unknown.append(i)
            else:
                strides.append(tuple([step // var.dtype.itemsize for step in steps]))
        unknown += [len(strides) + i for i, var in enumerate(instruction.outputs) if var in plan.targets]
        kernel = instruction.function.compiled(strides, over, unknown)
        self._compiled[instruction] = kernel
        name = self._kernels.get(kernel.key)
        if name is None:
            name = self._kernels[kernel.key] = self._unused("kernel")
            self._taken.add(f"{name}_any")
            self.names |= {name: kernel.call, f"{name}_any": kernel.arranged}
            self.listings.append(instruction.function.listing(name))
        call = f"{name}({', '.join(arrays)})"
        if not unknown:
            return call
        return f"{call} or {name}_any({', '.join(arrays)})"

    def _product(self, instruction: Instruction, arrays: list[str]) -> str:
        """The call of a compiled product, or "" if NumPy has to do it."""
        found = [self._strides(var) for var in instruction.inputs]
        unknown = [i for i, steps in enumerate(found) if steps is None]
        strides = [_supposed(var).strides if steps is None else steps for var, steps in zip(instruction.inputs, found)]
        var = instruction.output
        if self.plan.strides.get(var, contiguous := np.empty(var.shape, var.dtype).strides) != contiguous:
            return ""
        product = instruction.function.compiled(instruction, strides, unknown)
        if product is None:
            return ""
        name = self._kernels.get(product.key)
        if name is None:
            name = self._kernels[product.key] = self._unused("product")
            self.names[name] = product.call
        call = f"{name}({', '.join(arrays)})"
        return f"{call} or {self.constant(np.matmul, 'matmul')}({', '.join(arrays)})" if unknown else call

    def _strides(self, var: Var) -> tuple[int, ...] | None:
        """How an array lies, in bytes; None if only the call shows it."""
        array = self.plan.constants.get(var)
        if array is None:
            return self.plan.strides.get(var)
        return array.strides if any(array.strides) or not array.ndim else np.empty(array.shape, array.dtype).strides

    def _inner(self, plan: Plan, name: str) -> Callable:
        inner = Emitter(plan, name)
        self.inner.append(inner)
        return inner.function()

    # The whole

    def _arrays(self) -> list[str]:
        """The names of what an arena holds."""
        views = [self._called[var] for var in self.plan.views]
        return [*self._buffers.values(), *views]

    def _new_arena(self) -> Callable[[], tuple]:
        plan = self.plan
        buffers = list(self._buffers)
        views = [
            (instruction.output, instruction.inputs[0], instruction.function)
            for instruction in plan.program
            if any(var in plan.views for var in instruction.outputs)
        ]

        often, seldom = self._often, self._seldom
        runs = list(self._tables.values())
        names = self._arrays()

        def new_arena() -> tuple:
            memory = aligned(plan.nbytes)
            made = {buffer: buffer.array(memory) for buffer in buffers}
            arrays = {var: made[buffer] for var, buffer in plan.buffers.items() if buffer in made}
            for var, base, function in views:
                arrays[var] = shown(function, var, arrays[base])
            named = dict(zip(names, (*made.values(), *[arrays[var] for var, _, _ in views]), strict=True))
            tables = [run.sequence.table(memory) for run in runs]
            rest = tuple([named[name] for name in seldom])
            return (*[named[name] for name in often], *tables, *([rest] if runs else []))

        return new_arena

    def _source(self, timed: bool) -> str:
        program = self.plan.program
        lines = [f"def {self.name}({', '.join([*self._inputs, *(['times'] if timed else [])])}):"]
        lines += [f"    # {name}: {kind(var)}" for name, var in zip(self._inputs, program.inputs)]
        arrays = [*self._often, *self._tables, *(["seldom"] if self._tables else [])]
        if arrays:
            lines += _HEAD.format("".join(f"{name}, " for name in arrays)).strip("\n").split("\n")
        if timed and self._tables:
            lines += self._unpacked("    ")
        if timed:
            lines.append("    times.append(perf_counter())")
        lines += [f"    # {name} = {self.names[name]}" for name in self._scalars.values()]
        line = ""

        def write(step: Step, indent: str) -> None:
            nonlocal line
            for text in step.texts:
                if step.line != line and step.line:
                    lines.append(f"{indent}# {step.line}")
                line = step.line
                lines.append(f"{indent}{text}")
                if timed:
                    lines.append(f"{indent}times.append(perf_counter())")

        for part in self.steps if timed else self._parts:
            if isinstance(part, Step):
                write(part, "    ")
                continue
            around = self._around(part)
            start = len(part.fresh) + 1
            lines += [f"    {text}" for text in around[:start]]
            lines += self._unpacked("        ")
            for step in part.steps:
                write(step, "        ")
            lines += [f"    {text}" for text in around[start:]]
        if arrays:
            lines.append("    arenas.append(arena)")
        returned = ", ".join(self.returned)
        lines.append(f"    return ({returned}{',' if len(self.returned) == 1 else ''})")
        return "\n".join(lines) + "\n"

    def _unpacked(self, indent: str) -> list[str]:
        """The statement that names the arrays of an arena that a call seldom needs."""
        return [f"{indent}{''.join(f'{name}, ' for name in self._seldom)}= seldom"] if self._seldom else []

    def function(self, timed: bool = False) -> Callable:
        """The function; if `timed`, it takes a list more, and appends the time before and after each statement."""
        exec(compile(self._source(timed), "<a program of needle>", "exec"), self.names)
        return self.names.pop(self.name)


def _supposed(var: Var) -> np.ndarray:
    """Unused memory that lies as an array does, if what it is a view of lies in C order."""
    views = []
    while var.source is not None and var.source.function.view:
        views.append(var)
        var = var.source.inputs[0]
    array = np.empty(var.shape, var.dtype)
    for view in reversed(views):
        array = np.asarray(shown(view.source.function, view, array))  # type: ignore[union-attr]
    return array


def own(array, *inputs) -> np.ndarray:
    """The result of a call, copied unless its memory is its own."""
    array = np.asarray(array)
    if array.base is None and all(array is not each for each in inputs):
        return array
    return array.copy(order="K")


def aligned(nbytes: int) -> np.ndarray:
    """A vector of unused bytes that begins at a multiple of ALIGNMENT."""
    memory = np.empty(nbytes + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + nbytes]
