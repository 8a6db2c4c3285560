"""peak-memory: the most that training a net holds, beyond what importing the library took."""

import importlib
import importlib.util
import json
import statistics
import sys

from benchmarks.fresh.process import Figure, in_fresh_process, peak, resident
from benchmarks.tasks import cnn, resnet, resnet9

NAME = "peak-memory"
SUMMARY = "training steps of resnet9, resnet and cnn: peak resident set minus the import's"
STEPS = 5
TASKS = {module.TASK.name: module.TASK for module in (resnet9, resnet, cnn)}
TIMES_TORCH = {("resnet9", "needle"): 1.5, ("resnet", "needle.jit"): 1.0, ("cnn", "needle.jit"): 1.0}
CONTENDERS = ("needle", "needle.jit", "needle.jit (numpy)", "torch")


def measure(contenders, rounds):
    """Megabytes of each contender, and needle's as multiples of PyTorch's."""
    for name, task in TASKS.items():
        runs = {contender: [] for contender in contenders if contender in task.contenders}
        for contender in runs:
            if contender == "needle.jit":
                in_fresh_process(__name__, name, contender)  # its kernels are on the disk afterwards
        for _ in range(min(rounds, 3)):
            for contender in runs:
                runs[contender].append(in_fresh_process(__name__, name, contender))
        megabytes = {contender: statistics.median(found) for contender, found in runs.items()}
        for contender in runs:
            yield Figure(NAME, contender, f"{name}: peak, minus the import's", megabytes[contender], "MB")
        for contender in runs:
            if contender.startswith("needle") and "torch" in megabytes:
                times = megabytes[contender] / megabytes["torch"]
                yield Figure(NAME, contender, f"{name}: beside torch", times, "×", TIMES_TORCH.get((name, contender)))


def main(task, contender):
    importlib.import_module(contender.split(".")[0])
    if contender == "needle.jit" and importlib.util.find_spec("numba"):
        importlib.import_module("numba")  # the compiler is part of the library, as PyTorch's kernels are of PyTorch
    imported = resident()
    step = TASKS[task].contenders[contender](TASKS[task].inputs())
    for _ in range(STEPS):
        step()
    print(json.dumps(peak() - imported))


if __name__ == "__main__":
    main(*sys.argv[1:])
