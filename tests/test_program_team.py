"""The threads that share the work of kernels: right whoever calls, from wherever, however often, and at the end."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from test_program_kernels import fused

from needle.program import pool
from needle.program.kernels import CompiledKernel, kernel
from needle.program.kernels.team import is_possible, team

pytestmark = pytest.mark.skipif(not is_possible(), reason="there is no team on this system")


@pytest.fixture(autouse=True)
def _divided(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("NEEDLE_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "kernels"))
    monkeypatch.setattr(kernel, "WORTH_TEAM", 1e-12)
    monkeypatch.setattr(pool, "WORKERS", max(pool.WORKERS, 2))


def small(shift=0):
    """A kernel of little work, with sums over parts and within, and what it should give."""
    x = np.arange(600.0).reshape(60, 10) + shift
    (step,) = fused(lambda x: (x * 2, x.sum(0), x.sum(1)), x)
    compiled = CompiledKernel(step.function.body)

    def call():
        results = [np.full(var.shape, np.nan) for var in step.outputs]
        assert compiled.call(x, *results)
        return results

    return call, [x * 2, x.sum(0), x.sum(1)]


def check(call, expected, times):
    for _ in range(times):
        for found, wanted in zip(call(), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_many_small_jobs():
    call, expected = small()
    check(call, expected, 3000)
    assert team()._threads


@pytest.mark.parametrize("workers", [2, 3, 7, 60])
def test_more_parts_than_workers(monkeypatch, workers):
    monkeypatch.setattr(pool, "WORKERS", workers)
    check(*small(), 200)


def test_where_there_is_no_team_threads_of_python_share(monkeypatch):
    monkeypatch.setattr(kernel, "is_possible", lambda: False)
    monkeypatch.setattr(kernel, "WORTH_THREADS", 1e-12)
    monkeypatch.setattr(pool, "WORKERS", 3)
    check(*small(), 200)


def test_a_thread_that_cannot_be_started(monkeypatch):
    """The caller does all parts, and nobody tries again."""
    from needle.program.kernels import team as module

    helpers = module.Team()
    monkeypatch.setattr(module, "_TEAM", [helpers])
    tries = []

    def fail(thread):
        tries.append(thread)
        raise RuntimeError("can't start new thread")

    call, expected = small()
    monkeypatch.setattr(threading.Thread, "start", fail)
    check(call, expected, 5)
    assert len(tries) == 1


def test_several_threads_call_at_once():
    jobs = [small(shift) for shift in range(4)]
    failed = []

    def work(job):
        try:
            check(*job, 500)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def test_a_sleeping_worker_is_woken():
    call, expected = small()
    for _ in range(20):
        check(call, expected, 1)
        threading.Event().wait(0.002)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_a_team_of_its_own():
    call, expected = small()
    check(call, expected, 3)
    busy = threading.Thread(target=check, args=(*small(1), 2000))
    busy.start()  # the parent's team may be at work at the fork
    child = os.fork()
    if not child:
        status = 1
        try:
            check(call, expected, 500)
            status = 0 if len(team()._threads) == pool.WORKERS - 1 else 2
        finally:
            os._exit(status)
    busy.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    check(call, expected, 3)


_PROGRAM = """
import atexit, sys, threading
import numpy as np
import needle as ndl
from needle.program.kernels import kernel
from needle.program.kernels.team import team

kernel.WORTH_TEAM = 1e-12
f = ndl.jit(lambda x: np.tanh(x) * 2, backend="numba", wait=True)
x = np.ones((100, 10))
expected = np.tanh(x) * 2
atexit.register(lambda: np.testing.assert_allclose(f(x), expected))  # after the team has ended, or before
for _ in range(100):
    np.testing.assert_allclose(f(x), expected)
assert team()._threads
atexit.register(lambda: np.testing.assert_allclose(f(x), expected))
if "daemon" in sys.argv:
    def forever():
        while True:
            f(x)
    threading.Thread(target=forever, daemon=True).start()
if "raise" in sys.argv:
    raise SystemExit(7)
print("done")
"""


@pytest.mark.parametrize("how", ["plain", "daemon", "raise"])
def test_the_interpreter_ends(how):
    done = subprocess.run([sys.executable, "-c", _PROGRAM, how], capture_output=True, text=True, timeout=60)
    assert done.returncode == (7 if how == "raise" else 0), done.stderr
    assert done.stderr == ""
