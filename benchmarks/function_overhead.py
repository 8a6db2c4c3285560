"""function-overhead: NumPy's functions on ten numbers, forward and backward, where arithmetic costs nothing."""

import statistics
import time

import numpy as np

from benchmarks.fresh.process import Figure

NAME = "function-overhead"
SUMMARY = "40 functions of NumPy on 10 numbers, forward + backward"
AT_MOST = 0.5

X, W = np.linspace(0.15, 0.85, 10), np.linspace(1.1, 2.3, 10)

# Each is given a module that has NumPy's functions, and x.
FUNCTIONS = {
    "add": lambda np, x: np.add(x, W),
    "subtract": lambda np, x: np.subtract(x, W),
    "multiply": lambda np, x: np.multiply(x, W),
    "divide": lambda np, x: np.divide(x, W),
    "power": lambda np, x: np.power(x, 2.5),
    "maximum": lambda np, x: np.maximum(x, 0.5),
    "logaddexp": lambda np, x: np.logaddexp(x, W),
    "negative": lambda np, x: np.negative(x),
    "abs": lambda np, x: np.abs(x),
    "square": lambda np, x: np.square(x),
    "sqrt": lambda np, x: np.sqrt(x),
    "exp": lambda np, x: np.exp(x),
    "log": lambda np, x: np.log(x),
    "log1p": lambda np, x: np.log1p(x),
    "sin": lambda np, x: np.sin(x),
    "cos": lambda np, x: np.cos(x),
    "tan": lambda np, x: np.tan(x),
    "arcsin": lambda np, x: np.arcsin(x),
    "sinh": lambda np, x: np.sinh(x),
    "tanh": lambda np, x: np.tanh(x),
    "where": lambda np, x: np.where(W > 1.5, x, 0.0),
    "clip": lambda np, x: np.clip(x, 0.2, 0.7),
    "sum": lambda np, x: np.sum(x),
    "mean": lambda np, x: np.mean(x),
    "prod": lambda np, x: np.prod(x),
    "max": lambda np, x: np.max(x),
    "var": lambda np, x: np.var(x),
    "std": lambda np, x: np.std(x),
    "cumsum": lambda np, x: np.cumsum(x),
    "dot": lambda np, x: np.dot(x, W),
    "outer": lambda np, x: np.outer(x, W),
    "matmul": lambda np, x: np.matmul(x, W),
    "reshape": lambda np, x: np.reshape(x, (2, 5)),
    "transpose": lambda np, x: np.transpose(x),
    "concatenate": lambda np, x: np.concatenate([x, W]),
    "stack": lambda np, x: np.stack([x, W]),
    "roll": lambda np, x: np.roll(x, 2),
    "sort": lambda np, x: np.sort(x),
    "diff": lambda np, x: np.diff(x),
    "norm": lambda np, x: np.linalg.norm(x),
}


def needle(function):
    import needle as ndl

    x = ndl.Tensor(X)

    def step():
        function(np, x).backward()
        return x.grad.numpy()

    return step


def needle_grad(function):
    import needle as ndl

    gradient = ndl.grad(lambda x: np.sum(function(np, x)))
    return lambda: gradient(X)


def autograd(function):
    """Its nearest to `backward`: a vjp of an array, given ones."""
    import autograd.numpy as anp
    from autograd import make_vjp

    make = make_vjp(lambda x: function(anp, x))

    def step():
        vjp, out = make(X)
        return vjp(np.ones_like(out))

    return step


def autograd_grad(function):
    import autograd.numpy as anp
    from autograd import grad

    gradient = grad(lambda x: anp.sum(function(anp, x)))
    return lambda: gradient(X)


CONTENDERS = {"needle": (needle, needle_grad), "autograd": (autograd, autograd_grad)}
_WAYS = ("backward", "grad of a sum")


def measure(contenders, rounds):
    """The geometric means over the functions, in microseconds and as ratios to autograd."""
    for way, title in enumerate(_WAYS):
        builders = {name: CONTENDERS[name][way] for name in contenders}
        seconds = {name: [] for name in builders}
        for name, function in FUNCTIONS.items():
            steps = {contender: build(function) for contender, build in builders.items()}
            found = {contender: np.asarray(step()) for contender, step in steps.items()}
            for contender, gradient in found.items():
                if not np.allclose(gradient, found["needle"], rtol=1e-10):
                    raise AssertionError(f"{contender} and needle differ in the gradient of {name}")
            for contender, time_of_step in in_turns(steps, rounds).items():
                seconds[contender].append(time_of_step)
        means = {name: statistics.geometric_mean(times) for name, times in seconds.items()}
        for name, mean in means.items():
            yield Figure(NAME, name, f"{title}, geometric mean", mean * 1e6, "µs")
        if "autograd" in means:
            quantity = f"{title}, ÷ autograd"
            yield Figure(NAME, "needle", quantity, means["needle"] / means["autograd"], "×", AT_MOST)
            worst = max(FUNCTIONS, key=lambda name: _ratio(name, seconds))
            yield Figure(NAME, "needle", f"{title}, ÷ autograd, worst ({worst})", _ratio(worst, seconds), "×")


def _ratio(name, seconds):
    place = list(FUNCTIONS).index(name)
    return seconds["needle"][place] / seconds["autograd"][place]


def in_turns(steps, rounds, calls=100):
    """The seconds of a call of each: the best of `rounds` turns of 100 calls, which no other program interrupts."""
    best = {}
    for step in steps.values():
        step()
    for _ in range(rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            for _ in range(calls):
                step()
            best[name] = min(best.get(name, float("inf")), (time.perf_counter() - start) / calls)
    return best
