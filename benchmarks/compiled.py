"""Ten tasks, compiled: the geometric means of their ratios, over which no single task decides."""

import statistics

from benchmarks.fresh.process import Figure
from benchmarks.race import ratio

NAME = "ten tasks"
TASKS = ("chain", "mlp", "resnet", "cnn", "lstm", "pinn", "hvp", "nth", "hessian", "gelu")
# (contender, peer, the most that the mean of its ratios should be)
MEANS = (
    ("needle", "torch", None),
    ("needle.jit", "torch", None),
    ("needle.jit (numpy)", "torch", 0.35),
    ("torch.compile", "torch", None),
    ("jax.jit", "torch", None),
    ("needle.jit", "jax.jit", 0.95),
)


def figures(results):
    """The means over those of the ten tasks that both have run; a limit counts only over all ten of them."""
    for contender, peer, at_most in MEANS:
        ratios = [
            ratio(times, contender, peer)
            for task, times in results
            if task.name in TASKS and contender in times and peer in times
        ]
        if ratios:
            limit = at_most if len(ratios) == len(TASKS) else None
            quantity = f"{len(ratios)} tasks, beside {peer}"
            yield Figure("geometric mean", contender, quantity, statistics.geometric_mean(ratios), "×", limit)
