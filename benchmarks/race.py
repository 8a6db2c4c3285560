"""One race: the same computation in several libraries, checked to be the same, then timed in turns."""

import gc
import importlib.util
import signal
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

# Who may be missing from a race, and how many seconds its first steps may take: compilers that fail, or take minutes
PATIENCE = {"torch.compile": 60}


@dataclass(frozen=True)
class Reach:
    """A figure to reach: the time of `contender` is at most `at_most` times that of `peer`."""

    contender: str
    peer: str
    at_most: float


@dataclass(frozen=True)
class Task:
    """A computation, and how each library writes it.

    `inputs()` makes the NumPy arrays that everyone starts from, the same at every call. `contenders` maps a name such
    as "torch" or "needle.jit" to a function of those arrays that returns a `step`, a function without arguments; what
    comes before the first dot is the package that must be importable.

    `step()` does the timed work once and returns what it computed: an array of the library's own, or a tuple of them.
    A task that trains returns the loss; with `checked_steps` > 1 the losses of later steps show that gradient and
    update agree too. `tolerance` is for float32 results, relative to the largest number of each array.
    """

    name: str
    summary: str
    inputs: Callable[[], dict]
    contenders: dict[str, Callable[[dict], Callable[[], object]]]
    reaches: tuple[Reach, ...]
    checked_steps: int = 1
    tolerance: float = 1e-4
    unlike: tuple[str, ...] = ()


class Disagreement(Exception):
    """Two contenders of a task do not compute the same thing."""


class OutOfTime(BaseException):
    """A contender has not come to its first result in time.  No Exception: compilers catch these and try once more."""


def run(task, peers=None, rounds=15, skip=()):
    """Check and time `task`: the seconds that each contender takes for a step, one figure a round."""
    gc.collect()
    inputs = task.inputs()
    steps, results = {}, {}
    for name, build in task.contenders.items():
        if not takes_part(name, peers, skip):
            continue
        try:
            with time_limit(PATIENCE.get(name)):
                steps[name] = build(inputs)
                results[name] = [as_arrays(steps[name]()) for _ in range(task.checked_steps)]
        except (Exception, OutOfTime) as error:
            if name not in PATIENCE:
                raise
            steps.pop(name, None)
            reason = str(error).strip().partition("\n")[0]
            print(f"{task.name}: {name} is missing ({type(error).__name__}: {reason:.160})", file=sys.stderr)
    check_agreement(task, results)
    return round_robin(steps, rounds)


@contextmanager
def time_limit(seconds):
    """A block that raises OutOfTime after so many seconds; None for a block that takes its time."""
    if seconds is None or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(number, frame):
        raise OutOfTime(f"no result within {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def takes_part(contender, peers=None, skip=()):
    """Whether a contender is wanted, and its package there."""
    wanted = peers is None or package(contender) in ("needle", *peers)
    return wanted and contender not in skip and importable(package(contender))


def package(contender):
    return contender.split(".")[0]


def importable(name):
    return importlib.util.find_spec(name) is not None


def check_agreement(task, results):
    """Raise Disagreement unless the first steps of all contenders, as arrays, give the same numbers."""
    results = {name: found for name, found in results.items() if name not in task.unlike}
    reference = "torch" if "torch" in results else next(iter(results))
    for name, found in results.items():
        error = relative_error(found, results[reference])
        if not error <= task.tolerance:  # a nan disagrees
            raise Disagreement(
                f"{task.name}: {name} and {reference} differ by {error:.1e} of the largest number, "
                f"where at most {task.tolerance:.0e} is rounding"
            )


def relative_error(found, expected):
    """The largest difference of the first step's arrays, and of how far later steps have moved from the first."""
    error = 0.0
    for step, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            if a.shape != b.shape:
                return float("inf")
            # A loss of 2.3 that falls by 0.01 must agree in the 0.01, or a wrong gradient would pass.
            moved_a, moved_b = (a - found[0][i], b - expected[0][i]) if step else (a, b)
            error = max(error, np.abs(moved_a - moved_b).max() / np.abs(moved_b).max())
    return float(error)


def as_arrays(result):
    """The result of a step as a list of float64 NumPy arrays, whichever library it came from."""
    parts = result if isinstance(result, (tuple, list)) else (result,)
    plain = (part.detach().numpy() if hasattr(part, "detach") else part for part in parts)
    return [np.array(part, dtype=np.float64) for part in plain]


def round_robin(steps, rounds, turn_seconds=0.1, pause_seconds=0.03):
    """Time the steps in turns A B C A B C …, so that whatever else the machine does falls on all alike.

    Returns for each name a list with the median seconds of a step, one entry a round.
    """
    # The collector walks everything alive, and here the modules of every library are: nobody's program has them all.
    gc.collect()
    gc.freeze()
    calls = {name: calls_in(turn_seconds, step) for name, step in steps.items()}
    times = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            # The last contender's idle BLAS or OpenMP threads spin for some milliseconds before they sleep.
            time.sleep(pause_seconds)
            step()
            times[name].append(statistics.median(seconds(step) for _ in range(calls[name])))
    gc.unfreeze()
    return times


def calls_in(turn_seconds, step):
    """How many calls fill a turn, after a warm-up (compilers, caches, clock frequency) of about as long."""
    start = time.perf_counter()
    warm_up = 0
    while warm_up < 3 or time.perf_counter() - start < turn_seconds:
        step()
        warm_up += 1
    return max(3, round(turn_seconds / min(seconds(step) for _ in range(3))))


def seconds(step):
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def ratio(times, contender, peer):
    """Median over the rounds of the contender's time divided by the peer's in the same round."""
    return statistics.median(a / b for a, b in zip(times[contender], times[peer], strict=True))
