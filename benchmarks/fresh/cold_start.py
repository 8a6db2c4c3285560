"""cold-start: what a script pays, in time and memory, before it has its first gradient."""

import json
import statistics
import sys
import time

from benchmarks.fresh.process import Figure, in_fresh_process, peak

NAME = "cold-start"
SUMMARY = "import + first gradient, in a fresh process, beyond `import numpy`"
EXTRA_SECONDS = 0.03
EXTRA_MEGABYTES = 15


def numpy():
    import numpy  # noqa: F401


def needle():
    import needle as ndl

    x = ndl.Tensor([1.0, 2.0, 3.0])
    (x * x).sum().backward()
    assert x.grad.numpy().tolist() == [2.0, 4.0, 6.0]


def torch():
    import torch

    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    (x * x).sum().backward()
    assert x.grad.tolist() == [2.0, 4.0, 6.0]


def autograd():
    import autograd.numpy as anp
    from autograd import grad

    assert grad(lambda x: anp.sum(x * x))(anp.array([1.0, 2.0, 3.0])).tolist() == [2.0, 4.0, 6.0]


def jax():
    import jax

    assert jax.grad(lambda x: (x * x).sum())(jax.numpy.array([1.0, 2.0, 3.0])).tolist() == [2.0, 4.0, 6.0]


CONTENDERS = {"needle": needle, "torch": torch, "autograd": autograd, "jax": jax}


def measure(contenders, rounds):
    """Figures for each contender, in turns with `import numpy` alone, whose time and memory are taken off."""
    names = ["numpy", *contenders]
    runs = {name: [] for name in names}
    for name in names:
        in_fresh_process(__name__, name)  # bytecode compiled, files in the page cache
    for _ in range(rounds):
        for name in names:
            runs[name].append(in_fresh_process(__name__, name))
    seconds, megabytes = ({name: statistics.median(run[i] for run in runs[name]) for name in names} for i in (0, 1))
    yield Figure(NAME, "numpy", "import alone", seconds["numpy"], "s")
    yield Figure(NAME, "numpy", "import alone", megabytes["numpy"], "MB")
    for name in contenders:
        of_needle = name == "needle"
        extra = seconds[name] - seconds["numpy"]
        yield Figure(NAME, name, "beyond numpy", extra, "s", EXTRA_SECONDS if of_needle else None)
        extra = megabytes[name] - megabytes["numpy"]
        yield Figure(NAME, name, "beyond numpy", extra, "MB", EXTRA_MEGABYTES if of_needle else None)


def main(contender):
    start = time.perf_counter()
    {"numpy": numpy, **CONTENDERS}[contender]()
    print(json.dumps([time.perf_counter() - start, peak()]))


if __name__ == "__main__":
    main(*sys.argv[1:])
