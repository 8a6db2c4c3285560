"""What stands between Python and the loops of a kernel: it takes the addresses from the arrays, looks whether they lie
as was supposed, and lets a team of threads do the parts of a kernel that is divided.

A kernel that one thread does is bound to its sizes.  A divided one is bound to a table: a row for the team (see
MEMORY and what follows), a row of sizes for each part, and one for the call that combines what the parts have reduced.
"""

from __future__ import annotations

from .code import Module
from .library import ALIGNED, DATA, FLAGS, LINE, SIZES, STRAIGHT, STRIDES
from .team import STARTER, WORKERS

# The row for the team: its memory, the function that runs a job, how many parts there are, the bytes of a row, those of
# the memory that the parts work in, and two functions, or 0, to be called before the job and after it, with what
MEMORY, RUN, PARTS, ROW, ROOM, BEFORE, AFTER, GIVEN, HEADER = range(9)


def entry(
    module: Module,
    count: int,
    unknown: dict[int, list[tuple[int, int]]],
    divided: bool = False,
    room: bool = False,
) -> str:
    """The function that Python calls, of `count` arrays: PyObject *NAME(PyObject *sizes, PyObject **arrays, n).

    `unknown` tells which of them are to be looked at, and for those that should not lie in C order the strides that
    are to be compared, with which of the sizes.  If the kernel is `divided`, a team does it; if its parts need `room`,
    one more argument of the loops is memory to work in.
    """
    for line in (
        "@_Py_TrueStruct = external global i8",
        "@_Py_FalseStruct = external global i8",
        "declare void @Py_IncRef(ptr)",
        "declare ptr @PyEval_SaveThread()",
        "declare void @PyEval_RestoreThread(ptr)",
    ):
        module.declare(line)
    lines = ["define ptr @NAME(ptr %self, ptr %arrays, i64 %n) nounwind {", "entry:"]
    lines.append(f"  %s = getelementptr i8, ptr %self, i64 {DATA}")
    if divided:
        lines += ["  %table = load ptr, ptr %s", *_from_table("row", ROW)]
        lines.append("  %sizes = getelementptr i8, ptr %table, i64 %row")
    else:
        lines.append("  %sizes = load ptr, ptr %s")
    as_supposed = "true"
    for i in range(count):
        lines += [
            f"  %o{i} = getelementptr ptr, ptr %arrays, i64 {i}",
            f"  %a{i} = load ptr, ptr %o{i}",
            f"  %d{i} = getelementptr i8, ptr %a{i}, i64 {DATA}",
            f"  %p{i} = load ptr, ptr %d{i}",
        ]
        if i in unknown:
            wanted = ALIGNED if unknown[i] else ALIGNED | STRAIGHT
            lines += [
                f"  %g{i} = getelementptr i8, ptr %a{i}, i64 {DATA + FLAGS}",
                f"  %f{i} = load i32, ptr %g{i}",
                f"  %m{i} = and i32 %f{i}, {wanted}",
                f"  %t{i} = icmp eq i32 %m{i}, {wanted}",
                f"  %c{i} = and i1 {as_supposed}, %t{i}",
            ]
            as_supposed = f"%c{i}"
            if unknown[i]:
                lines += [
                    f"  %h{i} = getelementptr i8, ptr %a{i}, i64 {DATA + STRIDES}",
                    f"  %q{i} = load ptr, ptr %h{i}",
                ]
            for axis, size in unknown[i]:
                end = f"{i}.{axis}"
                lines += [
                    f"  %r{end} = getelementptr i64, ptr %q{i}, i64 {axis}",
                    f"  %x{end} = load i64, ptr %r{end}",
                    f"  %y{end} = getelementptr i64, ptr %sizes, i64 {size}",
                    f"  %z{end} = load i64, ptr %y{end}",
                    f"  %t{end} = icmp eq i64 %x{end}, %z{end}",
                    f"  %c{end} = and i1 {as_supposed}, %t{end}",
                ]
                as_supposed = f"%c{end}"
    pointers = [f"ptr %p{i}" for i in range(count)]
    given = ", ".join(["ptr %table", *pointers] if divided else [*pointers, "ptr %sizes"])
    loops = "@team" if divided else "@loops"
    if divided:
        _write_team(module, count, room)
    lines += [
        f"  br i1 {as_supposed}, label %go, label %end",
        "go:",
        *(_STARTED if divided else []),
        f"  %f = getelementptr i64, ptr %sizes, i64 {SIZES - 1}",
        "  %free = load i64, ptr %f",
        "  %long = icmp ne i64 %free, 0",
        "  br i1 %long, label %without, label %with",
        "without:",  # the lock of Python's that only one thread has
        "  %state = call ptr @PyEval_SaveThread()",
        f"  call void {loops}({given})",
        "  call void @PyEval_RestoreThread(ptr %state)",
        "  br label %end",
        "with:",
        f"  call void {loops}({given})",
        "  br label %end",
        "end:",
        "  %done = phi ptr [ @_Py_FalseStruct, %entry ], [ @_Py_TrueStruct, %without ], [ @_Py_TrueStruct, %with ]",
        "  call void @Py_IncRef(ptr %done)",
        "  ret ptr %done",
        "}",
        *([] if divided or room else _of_record(count)),
    ]
    return "\n".join(lines)


def _from_table(name: str, i: int, type: str = "i64") -> list[str]:
    """A word of the table's first row."""
    return [f"  %at.{name} = getelementptr i64, ptr %table, i64 {i}", f"  %{name} = load {type}, ptr %at.{name}"]


_STARTED = [  # while Python's lock is ours: if there are no workers yet, let them come
    *_from_table("memory", MEMORY, "ptr"),
    f"  %at.workers = getelementptr i64, ptr %memory, i64 {WORKERS}",
    "  %workers = load atomic i64, ptr %at.workers monotonic, align 8",
    f"  %at.starter = getelementptr i64, ptr %memory, i64 {STARTER}",
    "  %starter = load ptr, ptr %at.starter",
    "  %none = icmp eq i64 %workers, 0",
    "  %can = icmp ne ptr %starter, null",
    "  %begin = and i1 %none, %can",
    "  br i1 %begin, label %start, label %started",
    "start:",
    "  %came = call ptr @PyObject_CallNoArgs(ptr %starter)",
    "  %failed = icmp eq ptr %came, null",
    "  br i1 %failed, label %forget, label %let",
    "forget:",
    "  call void @PyErr_Clear()",
    "  br label %started",
    "let:",
    "  call void @Py_DecRef(ptr %came)",
    "  br label %started",
    "started:",
]


def _write_team(module: Module, count: int, room: bool) -> None:
    """The function of a table and addresses that lets a team do a kernel's parts, and the one that does a part."""
    for line in (
        "declare ptr @PyObject_CallNoArgs(ptr)",
        "declare void @PyErr_Clear()",
        "declare void @Py_DecRef(ptr)",
    ):
        module.declare(line)
    parameters = ", ".join(["ptr %table", *[f"ptr %p{i}" for i in range(count)]])
    lines = [f"define internal void @team({parameters}) noinline nounwind {{", "entry:"]
    lines.append(f"  %argument = alloca [{count + 2} x ptr]")
    kept = ["%table", *[f"%p{i}" for i in range(count)]]
    if room:
        module.declare("declare noalias ptr @PyMem_RawMalloc(i64)")
        module.declare("declare void @PyMem_RawFree(ptr)")
        lines += [
            *_from_table("nbytes", ROOM),
            "  %allocated = call ptr @PyMem_RawMalloc(i64 %nbytes)",
            "  %begin = ptrtoint ptr %allocated to i64",
            "  %back = sub i64 0, %begin",
            f"  %skipped = and i64 %back, {LINE - 1}",
            "  %room = getelementptr i8, ptr %allocated, i64 %skipped",
        ]
        kept.append("%room")
    for i, name in enumerate(kept):
        lines += [f"  %k{i} = getelementptr ptr, ptr %argument, i64 {i}", f"  store ptr {name}, ptr %k{i}"]
    lines += [
        *_from_table("memory", MEMORY, "ptr"),
        *_from_table("run", RUN, "ptr"),
        *_from_table("parts", PARTS),
        *_from_table("before", BEFORE, "ptr"),
        *_from_table("after", AFTER, "ptr"),
        *_from_table("given", GIVEN, "ptr"),
        "  %around = icmp ne ptr %before, null",
        "  br i1 %around, label %first, label %do",
        "first:",
        "  call void %before(ptr %given)",
        "  br label %do",
        "do:",
        "  call void %run(ptr %memory, ptr @part, ptr %argument, i64 %parts)",
        "  br i1 %around, label %last, label %done",
        "last:",
        "  call void %after(ptr %given)",
        "  br label %done",
        "done:",
    ]
    if room:
        lines += ["  call void @part(ptr %argument, i64 %parts)", "  call void @PyMem_RawFree(ptr %allocated)"]
    module.functions["@team"] = "\n".join([*lines, "  ret void", "}"])
    lines = [
        "define internal void @part(ptr %argument, i64 %i) noinline nounwind {",
        "  %table = load ptr, ptr %argument",
    ]
    lines += [
        *_from_table("row", ROW),
        "  %behind = add i64 %i, 1",
        "  %offset = mul i64 %row, %behind",
        "  %sizes = getelementptr i8, ptr %table, i64 %offset",
    ]
    for i in range(count + room):
        lines += [f"  %k{i} = getelementptr ptr, ptr %argument, i64 {i + 1}", f"  %p{i} = load ptr, ptr %k{i}"]
    given = ", ".join([*[f"ptr %p{i}" for i in range(count + room)], "ptr %sizes"])
    module.functions["@part"] = "\n".join([*lines, f"  call void @loops({given})", "  ret void", "}"])


def _of_record(count: int) -> list[str]:
    """The function that a sequence calls: void NAME_record(record), of the addresses of `count` arrays and sizes."""
    lines = ["define void @NAME_record(ptr %record) nounwind {"]
    for i in range(count + 1):
        lines += [f"  %o{i} = getelementptr ptr, ptr %record, i64 {i}", f"  %p{i} = load ptr, ptr %o{i}"]
    given = ", ".join([f"ptr %p{i}" for i in range(count + 1)])
    return [*lines, f"  call void @loops({given})", "  ret void", "}"]
