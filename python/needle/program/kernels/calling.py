"""What stands between Python and the loops of a kernel: it takes the addresses from the arrays, and looks whether they
lie as was supposed."""

from __future__ import annotations

from .code import Module
from .library import ALIGNED, DATA, FLAGS, SIZES, STRAIGHT, STRIDES


def entry(module: Module, count: int, unknown: dict[int, list[tuple[int, int]]]) -> str:
    """The function that Python calls, of `count` arrays: PyObject *NAME(PyObject *sizes, PyObject **arrays, n).

    `unknown` tells which of them are to be looked at, and for those that should not lie in C order the strides that
    are to be compared, with which of the sizes.
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
    lines += [f"  %s = getelementptr i8, ptr %self, i64 {DATA}", "  %sizes = load ptr, ptr %s"]
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
    given = ", ".join([*[f"ptr %p{i}" for i in range(count)], "ptr %sizes"])
    lines += [
        f"  br i1 {as_supposed}, label %go, label %end",
        "go:",
        f"  %f = getelementptr i64, ptr %sizes, i64 {SIZES - 1}",
        "  %free = load i64, ptr %f",
        "  %long = icmp ne i64 %free, 0",
        "  br i1 %long, label %without, label %with",
        "without:",  # the lock of Python's that only one thread has
        "  %state = call ptr @PyEval_SaveThread()",
        f"  call void @loops({given})",
        "  call void @PyEval_RestoreThread(ptr %state)",
        "  br label %end",
        "with:",
        f"  call void @loops({given})",
        "  br label %end",
        "end:",
        "  %done = phi ptr [ @_Py_FalseStruct, %entry ], [ @_Py_TrueStruct, %without ], [ @_Py_TrueStruct, %with ]",
        "  call void @Py_IncRef(ptr %done)",
        "  ret ptr %done",
        "}",
    ]
    return "\n".join(lines)
