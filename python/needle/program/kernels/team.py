"""Threads that share the work of one kernel, and take a few microseconds to hand it over.

A worker is a thread of Python's that has gone into compiled code, without the interpreter's lock, and stays there: it
looks for work for a while after the last job, then sleeps in the kernel of the operating system (Linux's futex).  A job
is a function of an argument and the number of a part; who does a part is left open, so a worker that comes late holds
nobody up.  There is one job at a time: who finds the team at work does all parts of his own job himself.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import platform
import sys
import threading

import numpy as np

from .. import pool
from .library import library

# Nanoseconds for which a worker looks for work before it sleeps.  Meanwhile it does not give its core away: where
# another thread wants that, too (OpenBLAS's wait for 100 ms after their last job), it would not have it back for long.
PATIENCE = 300_000
SYSTEM_CALL = {"x86_64": 202, "aarch64": 98}  # Linux's number of futex
PAUSE = {"x86_64": "@llvm.x86.sse2.pause()", "aarch64": "@llvm.aarch64.hint(i32 1)"}
# Where in the team's memory, in words of 64 bits, things lie, each in a cache line of its own:
# the ticket holds the number of the job (32 bits), the first and the last of its parts that nobody has begun (16 each)
TICKET, JOB, PENDING, BUSY, SLEEPING, WORKERS, STARTER, END, WORDS = 0, 8, 16, 24, 32, 40, 41, 42, 48

_CODE = """
declare i64 @syscall(i64, ...)
declare i32 @sched_yield()
declare i32 @clock_gettime(i32, ptr)
declare void {declared_pause}

define internal i64 @now() nounwind {{
  %time = alloca [2 x i64]
  call i32 @clock_gettime(i32 1, ptr %time)
  %seconds = load i64, ptr %time
  %at = getelementptr i64, ptr %time, i64 1
  %rest = load i64, ptr %at
  %whole = mul i64 %seconds, 1000000000
  %sum = add i64 %whole, %rest
  ret i64 %sum
}}

define internal void @serial(ptr %function, ptr %argument, i64 %parts) nounwind {{
entry:
  br label %head
head:
  %i = phi i64 [ 0, %entry ], [ %next, %body ]
  %more = icmp slt i64 %i, %parts
  br i1 %more, label %body, label %end
body:
  call void %function(ptr %argument, i64 %i)
  %next = add i64 %i, 1
  br label %head
end:
  ret void
}}

define internal void @wake(ptr %ticket, ptr %sleeping, i64 %most) nounwind {{
entry:
  %asleep = load atomic i64, ptr %sleeping seq_cst, align 8
  %any = icmp sgt i64 %asleep, 0
  br i1 %any, label %call, label %end
call:
  %word = getelementptr i32, ptr %ticket, i64 1
  %woken = call i64 (i64, ...) @syscall(i64 {futex}, ptr %word, i64 129, i64 %most, ptr null, ptr null, i64 0)
  br label %end
end:
  ret void
}}

; Do all parts of a job, with the workers' help if they are free
define internal void @run(ptr %team, ptr %function, ptr %argument, i64 %parts) nounwind {{
entry:
  %job = getelementptr i64, ptr %team, i64 {JOB}
  %given = getelementptr i64, ptr %job, i64 1
  %pending = getelementptr i64, ptr %team, i64 {PENDING}
  %busy = getelementptr i64, ptr %team, i64 {BUSY}
  %sleeping = getelementptr i64, ptr %team, i64 {SLEEPING}
  %workers = getelementptr i64, ptr %team, i64 {WORKERS}
  %count = load atomic i64, ptr %workers acquire, align 8
  %some = icmp sgt i64 %count, 0
  br i1 %some, label %ask, label %alone
ask:
  %was = cmpxchg ptr %busy, i64 0, i64 1 acquire monotonic, align 8
  %mine = extractvalue {{ i64, i1 }} %was, 1
  br i1 %mine, label %post, label %alone
alone:
  call void @serial(ptr %function, ptr %argument, i64 %parts)
  ret void
post:
  store ptr %function, ptr %job
  store ptr %argument, ptr %given
  store atomic i64 %parts, ptr %pending release, align 8
  %old = load atomic i64, ptr %team monotonic, align 8
  %number = lshr i64 %old, 32
  %next = add i64 %number, 1
  %high = shl i64 %next, 32
  %new = or i64 %high, %parts
  store atomic i64 %new, ptr %team seq_cst, align 8
  %others = sub i64 %parts, 1
  call void @wake(ptr %team, ptr %sleeping, i64 %others)
  br label %take
take:
  %now = load atomic i64, ptr %team acquire, align 8
  %shifted = lshr i64 %now, 16
  %first = and i64 %shifted, 65535
  %last = and i64 %now, 65535
  %left = icmp ult i64 %first, %last
  br i1 %left, label %claim, label %wait
claim:
  %later = add i64 %now, 65536
  %claimed = cmpxchg ptr %team, i64 %now, i64 %later acq_rel monotonic, align 8
  %got = extractvalue {{ i64, i1 }} %claimed, 1
  br i1 %got, label %do, label %take
do:
  call void %function(ptr %argument, i64 %first)
  %undone = atomicrmw sub ptr %pending, i64 1 acq_rel, align 8
  br label %take
wait:
  %tries = phi i64 [ 0, %take ], [ %again, %pause ], [ %again, %yield ]
  %rest = load atomic i64, ptr %pending acquire, align 8
  %done = icmp eq i64 %rest, 0
  br i1 %done, label %end, label %still
still:
  %again = add i64 %tries, 1
  %long = icmp ugt i64 %again, 2000
  br i1 %long, label %yield, label %pause
pause:
  call void {pause}
  br label %wait
yield:  ; the worker may have lost his core, and this may be it
  call i32 @sched_yield()
  br label %wait
end:
  store atomic i64 0, ptr %busy release, align 8
  ret void
}}

; What a worker does, from the job after `begin` on
define internal void @work(ptr %team, i64 %begin) nounwind {{
entry:
  %job = getelementptr i64, ptr %team, i64 {JOB}
  %given = getelementptr i64, ptr %job, i64 1
  %pending = getelementptr i64, ptr %team, i64 {PENDING}
  %sleeping = getelementptr i64, ptr %team, i64 {SLEEPING}
  %end = getelementptr i64, ptr %team, i64 {END}
  %word = getelementptr i32, ptr %team, i64 1
  br label %idle
idle:
  %seen = phi i64 [ %begin, %entry ], [ %number, %take ]
  %start = call i64 @now()
  br label %look
look:
  %there = load atomic i64, ptr %team acquire, align 8
  %number.1 = lshr i64 %there, 32
  %same.1 = icmp eq i64 %number.1, %seen
  br i1 %same.1, label %breathe, label %begun
breathe:
{pauses}
  %time = call i64 @now()
  %waited = sub i64 %time, %start
  %tired = icmp sgt i64 %waited, {PATIENCE}
  br i1 %tired, label %rest, label %look
rest:
  %before = atomicrmw add ptr %sleeping, i64 1 seq_cst, align 8
  br label %sleep
sleep:
  %now = load atomic i64, ptr %team seq_cst, align 8
  %number.2 = lshr i64 %now, 32
  %same.2 = icmp eq i64 %number.2, %seen
  br i1 %same.2, label %call, label %rise
call:
  %slept = call i64 (i64, ...) @syscall(i64 {futex}, ptr %word, i64 128, i64 %seen, ptr null, ptr null, i64 0)
  br label %sleep
rise:
  %after = atomicrmw sub ptr %sleeping, i64 1 seq_cst, align 8
  br label %begun
begun:
  %number = phi i64 [ %number.1, %look ], [ %number.2, %rise ]
  %ended = load atomic i64, ptr %end acquire, align 8
  %over = icmp ne i64 %ended, 0
  br i1 %over, label %leave, label %take
take:
  %ticket = load atomic i64, ptr %team acquire, align 8
  %of = lshr i64 %ticket, 32
  %current = icmp eq i64 %of, %number
  %shifted = lshr i64 %ticket, 16
  %first = and i64 %shifted, 65535
  %last = and i64 %ticket, 65535
  %left = icmp ult i64 %first, %last
  %open = and i1 %current, %left
  br i1 %open, label %claim, label %idle
claim:
  %less = sub i64 %ticket, 1
  %claimed = cmpxchg ptr %team, i64 %ticket, i64 %less acq_rel monotonic, align 8
  %got = extractvalue {{ i64, i1 }} %claimed, 1
  br i1 %got, label %do, label %take
do:
  %part = and i64 %less, 65535
  %function = load ptr, ptr %job
  %argument = load ptr, ptr %given
  call void %function(ptr %argument, i64 %part)
  %undone = atomicrmw sub ptr %pending, i64 1 acq_rel, align 8
  br label %take
leave:
  ret void
}}

; Let the job at work end, take no more, and send the workers home
define internal void @close(ptr %team) nounwind {{
entry:
  %busy = getelementptr i64, ptr %team, i64 {BUSY}
  %sleeping = getelementptr i64, ptr %team, i64 {SLEEPING}
  %end = getelementptr i64, ptr %team, i64 {END}
  br label %try
try:
  %was = cmpxchg ptr %busy, i64 0, i64 1 acquire monotonic, align 8
  %mine = extractvalue {{ i64, i1 }} %was, 1
  br i1 %mine, label %go, label %wait
wait:
  call i32 @sched_yield()
  br label %try
go:
  store atomic i64 1, ptr %end release, align 8
  %old = load atomic i64, ptr %team monotonic, align 8
  %number = lshr i64 %old, 32
  %next = add i64 %number, 1
  %new = shl i64 %next, 32
  store atomic i64 %new, ptr %team seq_cst, align 8
  call void @wake(ptr %team, ptr %sleeping, i64 2147483647)
  ret void
}}

; The three, by number: the address of one
define ptr @NAME(i64 %which) nounwind {{
  %second = icmp eq i64 %which, 1
  %third = select i1 %second, ptr @work, ptr @close
  %first = icmp eq i64 %which, 0
  %address = select i1 %first, ptr @run, ptr %third
  ret ptr %address
}}
"""


class Team:
    """The threads, their memory, and the functions that both sides call.

    Attributes:
        memory: the address of what the threads share.
        run: the address of a function (memory, function, argument, parts): function(argument, part) for each part.
    """

    def __init__(self) -> None:
        machine = platform.machine()
        llvm = library().llvm
        libc = ctypes.CDLL(None)
        for name in ("syscall", "sched_yield", "clock_gettime"):
            llvm.add_symbol(name, ctypes.cast(getattr(libc, name), ctypes.c_void_p).value)
        pause = PAUSE[machine]
        text = _CODE.format(
            pause=pause,
            declared_pause=pause.replace("i32 1", "i32"),
            pauses="\n".join([f"  call void {pause}"] * 4),
            futex=SYSTEM_CALL[machine],
            **{name: globals()[name] for name in ("JOB", "PENDING", "BUSY", "SLEEPING", "WORKERS", "END", "PATIENCE")},
        )
        which = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_int64)(library().address(text))
        self.run: int = which(0)
        self._work = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(which(1))
        self._close = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(which(2))
        room = np.zeros(WORDS + 8, np.int64)
        skipped = -room.ctypes.data % 64 // 8
        self._words = room[skipped : skipped + WORDS]
        self.memory: int = self._words.ctypes.data
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._ended = False
        self._start = self.start  # the reference that STARTER has is not counted
        self._words[STARTER] = id(self._start)

    def start(self) -> None:
        """Let the threads come; compiled code calls this when it has work and there are none."""
        with self._lock:
            if self._ended or self._threads:
                return
            self._words[STARTER] = 0  # if a thread cannot be started, nobody tries again
            number = int(self._words[TICKET]) >> 32 & 0xFFFFFFFF
            for _ in range(pool.WORKERS - 1):
                thread = threading.Thread(
                    target=self._work, args=(self.memory, number), name="needle-team", daemon=True
                )
                thread.start()
                self._threads.append(thread)
            self._words[WORKERS] = len(self._threads)

    def end(self) -> None:
        """Compiled code must not run while the interpreter goes away."""
        with self._lock:
            self._ended = True
            self._words[STARTER] = 0
            if self._threads:
                self._close(self.memory)
                for thread in self._threads:
                    thread.join()

    def forget(self) -> None:
        """A process that was forked has none of its parent's threads."""
        self._lock = threading.Lock()
        self._threads = []
        number = int(self._words[TICKET]) >> 32
        self._words[:] = 0
        self._words[TICKET] = number << 32
        self._words[STARTER] = 0 if self._ended else id(self._start)


_TEAM: list[Team] = []
_LOCK = threading.Lock()


def is_possible() -> bool:
    """Whether there can be a team here."""
    return sys.platform == "linux" and platform.machine() in SYSTEM_CALL and sys.byteorder == "little"


def team() -> Team:
    """The one Team, made when first asked for."""
    with _LOCK:
        if not _TEAM:
            _TEAM.append(Team())
            atexit.register(_TEAM[0].end)
        return _TEAM[0]


def _forget() -> None:
    global _LOCK
    _LOCK = threading.Lock()
    for each in _TEAM:
        each.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
