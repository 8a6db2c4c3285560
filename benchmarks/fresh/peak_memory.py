"""peak-memory: the most that training ResNet9 holds, beyond what importing the library took."""

import importlib
import json
import statistics
import sys

from benchmarks.fresh.process import Figure, in_fresh_process, peak, resident
from benchmarks.tasks import resnet9

NAME = "peak-memory"
SUMMARY = "ResNet9, batch 32 of 3×32×32, Adam steps: peak resident set minus the import's"
TIMES_TORCH = 1.5
STEPS = 5

CONTENDERS = resnet9.TASK.contenders


def measure(contenders, rounds):
    """Megabytes of each contender, and needle's as a multiple of PyTorch's."""
    runs = {name: [] for name in contenders}
    for _ in range(min(rounds, 3)):
        for name in contenders:
            runs[name].append(in_fresh_process(__name__, name))
    megabytes = {name: statistics.median(runs[name]) for name in contenders}
    for name in contenders:
        yield Figure(NAME, name, "peak, minus the import's", megabytes[name], "MB")
    if {"needle", "torch"} <= megabytes.keys():
        yield Figure(NAME, "needle", "beside torch", megabytes["needle"] / megabytes["torch"], "×", TIMES_TORCH)


def main(contender):
    importlib.import_module(contender.split(".")[0])
    imported = resident()
    step = CONTENDERS[contender](resnet9.inputs())
    for _ in range(STEPS):
        step()
    print(json.dumps(peak() - imported))


if __name__ == "__main__":
    main(*sys.argv[1:])
