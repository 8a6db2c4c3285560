"""first-call: what one waits for a compiled training step, in a fresh process, before it has made its first step."""

import json
import statistics
import sys
import time

from benchmarks.fresh.process import Figure, in_fresh_process
from benchmarks.tasks import resnet
from benchmarks.tasks.compiled import jitted

NAME = "first-call"
SUMMARY = "first call of resnet's step: trace and compile, in a fresh process, imports aside"
SECONDS = 0.15

CONTENDERS = {"needle.jit": jitted(resnet.needle, "auto", wait=False), "jax.jit": resnet.jax}


def measure(contenders, rounds):
    """Seconds of the first call, medians, in turns; needle's kernels follow in the background."""
    runs = {name: [] for name in contenders}
    for _ in range(min(rounds, 5)):
        for name in contenders:
            runs[name].append(in_fresh_process(__name__, name))
    for name in contenders:
        limit = SECONDS if name == "needle.jit" else None
        yield Figure(NAME, name, "first call of resnet", statistics.median(runs[name]), "s", limit)


def main(contender):
    step = CONTENDERS[contender](resnet.inputs())
    start = time.perf_counter()
    step()
    print(json.dumps(time.perf_counter() - start))


if __name__ == "__main__":
    main(*sys.argv[1:])
