"""Every way to differentiate, on the same functions: what it finds, how far off that is, and what it costs.

Numerical (forward and central differences, numdifftools' extrapolation), symbolic (SymPy), and automatic: forward mode,
backprop on the forward graph, reverse mode that extends the graph, gradients of gradients, Taylor mode.  Errors are
relative to the largest component of a reference that mpmath computes with 50 digits; seconds are the best of several
runs; memory is the most that Python and NumPy held at once beyond what they held before (tracemalloc).

`python apps/compare_methods.py` prints the tables and draws two pictures (extras `numeric`, `plot` and `symbolic`).
"""

import argparse
import importlib.util
import math
import os
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

# One thread for BLAS, unless told otherwise, and before NumPy starts it: these arrays are too small to be shared out.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import needle as ndl
from needle import numeric, symbolic
from needle.autograd import find_topo_sort
from pictures import BLUE, FAINT, GREEN, GREY, INK, ORANGE, OUT, PURPLE, RED, load_pyplot, save

# --------------------------------------------------------------------------------------------------------------------
# The functions.  `m` is where log, sin and tanh come from: NumPy's do for arrays and Tensors, mpmath has its own.


def lecture(x, m=np):
    """ln x₁ + x₁·x₂ − sin x₂"""
    return m.log(x[0]) + x[0] * x[1] - m.sin(x[1])


def rosenbrock(x, m=np):
    """Σᵢ 100·(xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)²"""
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def net_loss(w, m=np):
    """The mean square error of a 2-3-1 net with tanh that is to compute the exclusive or of two signs."""
    x, y = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]]), np.array([-1, 1, 1, -1])
    hidden = m.tanh(x @ w[:6].reshape((2, 3)) + w[6:9])
    return ((hidden @ w[9:12] + w[12] - y) ** 2).mean()


@dataclass(frozen=True)
class Problem:
    name: str
    f: Callable
    x: np.ndarray


def problems() -> list[Problem]:
    start = np.where(np.arange(10) % 2 == 0, -1.2, 1.0)  # where people start Rosenbrock's function
    weights = np.random.default_rng(0).normal(size=13)
    return [
        Problem("f(x₁, x₂) = ln x₁ + x₁·x₂ − sin x₂ at (2, 5)", lecture, np.array([2.0, 5.0])),
        Problem("Rosenbrock's function of 10 variables", rosenbrock, start),
        Problem("loss of a 2-3-1 net, 13 weights", net_loss, weights),
    ]


class Counted:
    """A function that counts how often it is run."""

    def __init__(self, f: Callable):
        self.f, self.runs = f, 0

    def __call__(self, x):
        self.runs += 1
        return self.f(x)


# --------------------------------------------------------------------------------------------------------------------
# The methods.  Each takes f and x and returns an array; beside it, how many walks back over a graph n inputs take.


def forward_mode(f, x):
    return np.array([ndl.jvp(f, (x,), (unit,))[1] for unit in np.eye(len(x))])


def backprop(f, x):
    x = ndl.Tensor(x)
    ndl.backprop(f(x))
    return x.grad.numpy()


def reverse_mode(f, x):
    x = ndl.Tensor(x)
    f(x).backward()
    return x.grad.numpy()


def gradient_of_gradient(f, x):
    x = ndl.Tensor(x)
    f(x).backward()
    gradient, rows = x.grad, []
    for i in range(len(x)):
        gradient[i].backward()
        rows.append(x.grad.numpy())
    return np.stack(rows)


def forward_over_reverse(f, x):
    return np.stack([ndl.hvp(f, (x,), (unit,))[1] for unit in np.eye(len(x))])


def taylor_mode(f, x):
    """Second derivatives along eᵢ and eᵢ + eⱼ give the mixed ones: vᵀHv for v = eᵢ + eⱼ is Hᵢᵢ + 2·Hᵢⱼ + Hⱼⱼ."""
    units, zero = np.eye(len(x)), np.zeros_like(x)

    def along(v):
        return ndl.jet(f, (x,), ([v, zero],))[1][1]

    diagonal = [along(unit) for unit in units]
    hessian = np.diag(diagonal)
    for i in range(len(x)):
        for j in range(i):
            hessian[i, j] = hessian[j, i] = (along(units[i] + units[j]) - diagonal[i] - diagonal[j]) / 2
    return hessian


GRADIENTS = {
    "forward difference": (numeric.forward_difference, lambda n: 0),
    "central difference": (numeric.central_difference, lambda n: 0),
    "numdifftools": (numeric.gradient, lambda n: 0),
    "forward mode": (forward_mode, lambda n: 0),
    "forward mode, one batch": (lambda f, x: ndl.jacfwd(f)(x), lambda n: 0),
    "backprop": (backprop, lambda n: 1),
    "reverse mode": (reverse_mode, lambda n: 1),
}
HESSIANS = {
    "central difference of gradient": (lambda f, x: numeric.central_difference(ndl.grad(f), x), lambda n: 2 * n),
    "numdifftools": (numeric.hessian, lambda n: 0),
    "gradient of gradient": (gradient_of_gradient, lambda n: n + 1),
    "forward over reverse": (forward_over_reverse, lambda n: n),
    "ndl.hessian": (lambda f, x: ndl.hessian(f)(x), lambda n: 2),
    "Taylor mode": (taylor_mode, lambda n: 0),
}


def symbolic_derivative(f: Callable, n: int, order: int):
    """SymPy's expressions for the gradient or the Hessian of f, and its symbols."""
    import sympy

    symbols = symbolic.symbols_of((n,))[0]
    found = symbolic.derivative(f, symbols)
    if order == 2:
        found = np.array([[sympy.diff(entry, symbol) for symbol in symbols] for entry in found], object)
    return found, symbols


def compiled(expressions: np.ndarray, symbols) -> Callable:
    """The expressions as a NumPy function of x (n,)."""
    import sympy

    function = sympy.lambdify([list(symbols)], expressions.ravel().tolist(), "numpy")
    return lambda x: np.array(function(x), float).reshape(expressions.shape)


def operations(expressions) -> int:
    """How many operations these expressions, written out, take."""
    import sympy

    return int(sum(sympy.count_ops(entry) for entry in np.ravel(expressions)))


def reference(f: Callable, x: np.ndarray, order: int) -> np.ndarray:
    """Gradient or Hessian of f at x, an object array of mpmath numbers with 50 right digits."""
    import mpmath

    m = SimpleNamespace(**{name: np.frompyfunc(getattr(mpmath, name), 1, 1) for name in ("log", "sin", "tanh")})
    mpmath.mp.dps = 50
    n = len(x)

    def partial(orders):
        exact = tuple(mpmath.mpf(float(number)) for number in x)
        return mpmath.diff(lambda *at: f(np.array(at, object), m), exact, tuple(orders))

    if order == 1:
        return np.array([partial(unit) for unit in np.eye(n, dtype=int).tolist()], object)
    result = np.empty((n, n), object)
    for i, j in np.ndindex(n, n):
        if i >= j:
            result[i, j] = result[j, i] = partial((np.eye(n, dtype=int)[i] + np.eye(n, dtype=int)[j]).tolist())
    return result


def error_of(found: np.ndarray, exact: np.ndarray) -> float:
    """The largest difference, relative to the largest component."""
    return float(abs(found - exact).max() / abs(exact).max())


# --------------------------------------------------------------------------------------------------------------------
# The cost


def seconds(step: Callable, budget: float = 0.05) -> float:
    """The best time of a call, out of as many as fit the budget; of three if that does not take long."""
    times: list[float] = []
    while sum(times) < (budget if len(times) >= 3 else 0.2):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return min(times)


def peak_memory(step: Callable) -> float:
    """The most kilobytes that are held at once during a call, beyond what was held before."""
    tracemalloc.start()
    step()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1000


# --------------------------------------------------------------------------------------------------------------------
# Tables


HEADS = "                                  example value      error   runs of f   walks back      seconds     memory"


def compare(problem: Problem, order: int) -> None:
    """Print one table: each method's gradient (order 1) or Hessian (order 2) of one function."""
    f, x = problem.f, problem.x
    exact = reference(f, x, order)
    print(HEADS)
    print(f"  {'mpmath, 50 digits':<30} {float(exact.flat[0]):14.9f}")
    for name, (method, walks) in (GRADIENTS if order == 1 else HESSIANS).items():
        counted = Counted(f)
        found = np.asarray(method(counted, x), float)
        row(name, found, exact, f"{counted.runs:11}", f"{walks(len(x)):12}", lambda method=method: method(f, x))
    start = time.perf_counter()
    expressions, symbols = symbolic_derivative(f, len(x), order)
    deriving = time.perf_counter() - start
    function = compiled(expressions, symbols)
    row("symbolic, once derived", function(x), exact, " " * 11, " " * 12, lambda: function(x))
    lengths = operations(symbolic.expression(f, (len(x),))), operations(expressions)
    what = "gradient" if order == 1 else "Hessian"
    print(f"  SymPy derived it in {deriving:.2f} s: {lengths[0]:,} operations in f, {lengths[1]:,} in its {what}.\n")


def row(name: str, found: np.ndarray, exact: np.ndarray, runs: str, walks: str, step: Callable) -> None:
    error = error_of(found, exact)
    print(
        f"  {name:<30} {found.flat[0]:14.9f}   {error:8.1e} {runs} {walks}   {seconds(step):8.2e} s"
        f" {peak_memory(step):7.0f} kB"
    )


def check_by_direction(problem: Problem, seed: int) -> None:
    """Gradient checking: along a random direction of length 1, δ·∇f by reverse mode beside a central difference."""
    f, x = problem.f, problem.x
    direction = np.random.default_rng(seed).normal(size=x.shape)
    direction /= np.linalg.norm(direction)
    ours, theirs = float(ndl.grad(f)(x) @ direction), float(numeric.directional(f, x, direction))
    print("Gradient check along a random direction δ of length 1, two runs of f instead of 2n:")
    print(f"  δ·∇f by reverse mode {ours:.12f}, by a central difference {theirs:.12f}")
    ndl.check_gradients(f, (x,), order=2, seed=seed)
    print("  check_gradients finds nothing wrong, in forward and reverse mode, to order 2.")

    @ndl.custom_gradient
    def slightly_wrong(x):
        return f(x), lambda adjoint: adjoint * ndl.grad(f)(x) * 1.001

    try:
        ndl.check_gradients(slightly_wrong, (x,), order=1, modes=("rev",), seed=seed)
        print("  A gradient that is 0.1 % too large goes unnoticed.\n")
    except AssertionError as found:
        print(f"  Of a gradient that is 0.1 % too large it says:\n    {str(found).splitlines()[0]}\n")


def compare_high_orders(order: int) -> None:
    """Print the table of one derivative of high order, of tanh at eleven points."""
    import mpmath

    mpmath.mp.dps = 50
    x = np.linspace(-2.0, 2.0, 11)
    exact = np.array([mpmath.taylor(mpmath.tanh, float(at), order)[-1] * math.factorial(order) for at in x], object)
    print(f"The derivative of tanh of order {order}, at {len(x)} points")
    print(HEADS)
    for name, method in high_orders(order).items():
        if name == "numdifftools" and order > 10:
            continue
        counted = Counted(np.tanh)
        found = np.asarray(method(counted)(x), float)
        runs, walks = f"{counted.runs:11}", f"{order if name == 'gradient of gradient' else 0:12}"
        if name.startswith("symbolic"):
            runs, walks = " " * 11, " " * 12
        row(name, found, exact, runs, walks, lambda step=method(np.tanh): step(x))
    print()


def high_orders(order: int) -> dict[str, Callable]:
    """Ways to the derivative of `order` of an elementwise function: name -> (f -> (array -> array))."""
    import sympy

    def nested(f):
        def derivative(x):
            x = ndl.Tensor(x)
            y = f(x)
            for _ in range(order):
                y.backward()
                y = x.grad
            return y.numpy()

        return derivative

    def by_rules(f):
        x = sympy.Symbol("x")
        return sympy.lambdify(x, sympy.diff(symbolic.expression(f, x), x, order), "numpy")

    return {
        "numdifftools": lambda f: lambda x: numeric.derivative(f, x, order),
        "gradient of gradient": nested,
        "Taylor mode": lambda f: ndl.nth_derivative(f, order),
        "symbolic, once derived": by_rules,
    }


# --------------------------------------------------------------------------------------------------------------------
# Pictures


def draw_steps(pyplot, path: Path) -> None:
    """Error against step: rounding on the left, the curve of f on the right, and the best step between them."""
    x, exact = np.array([2.0, 5.0]), 2 - math.cos(5)  # ∂f/∂x₂ = x₁ − cos x₂ of the lecture's function
    value, second, third = abs(lecture(x)), abs(math.sin(5)), math.cos(5)  # f, ∂²f/∂x₂² and ∂³f/∂x₂³ there
    figure, panels = pyplot.subplots(1, 2, figsize=(10.5, 4.2), layout="constrained", sharey=True)
    for axes, dtype in zip(panels, (np.float64, np.float32), strict=True):
        spacing = float(np.finfo(dtype).eps)
        steps = np.logspace(np.log10(spacing * 16), 0, 200)
        for name, method, colour, best, bound in (
            (
                "forward difference", numeric.forward_difference, ORANGE,
                2 * math.sqrt(spacing * value / second), steps * second / 2 + 2 * spacing * value / steps,
            ),
            (
                "central difference", numeric.central_difference, BLUE,
                (3 * spacing * value / third) ** (1 / 3), steps**2 * third / 6 + spacing * value / steps,
            ),
        ):  # fmt: skip
            errors = [abs(float(method(lecture, x.astype(dtype), eps=step)[1]) - exact) / exact for step in steps]
            axes.plot(steps, np.maximum(errors, spacing / 4), color=colour, linewidth=1, label=name)
            axes.plot(steps, bound / exact, color=colour, linewidth=1, linestyle=(0, (4, 2)))
            place = (best, np.interp(best, steps, bound / exact))
            axes.plot(*place, "o", color=colour, markersize=7, markeredgecolor="white", zorder=5)
            axes.annotate(
                f"{best:.0e}", place, (0, 9), textcoords="offset points", color=colour, fontweight="bold", ha="center"
            )
        error = max(abs(float(reverse_mode(lecture, x.astype(dtype))[1]) - exact) / exact, spacing / 4)
        axes.axhline(error, color=INK, linewidth=1)
        axes.annotate("reverse mode", (1, error), (0, 4), textcoords="offset points", ha="right")
        axes.set(xscale="log", yscale="log", xlabel="step ε", title=f"float{8 * np.dtype(dtype).itemsize}")
        axes.grid(color=FAINT)
    panels[0].set_ylabel("relative error of ∂f/∂x₂")
    panels[1].plot([], [], "o--", color=GREY, linewidth=1, label="bound of the error, and its least")
    panels[1].legend(loc="lower left")
    save(figure, path)


def draw_costs(pyplot, inputs: int, order: int, depth: int, path: Path) -> None:
    """Seconds against the number of inputs, seconds against the order, and the length of what is to be computed."""
    figure, rows = pyplot.subplots(2, 3, figsize=(13.5, 5.2), layout="constrained", height_ratios=(1, 0.26))
    left, middle, right = rows[0]
    colours = dict(zip(GRADIENTS, (ORANGE, RED, GREY, BLUE, "#8db4dd", GREEN, INK), strict=True))
    counts = sorted({int(n) for n in np.geomspace(2, inputs, 8)})
    for name, (method, _) in GRADIENTS.items():
        curve = series(lambda n, method=method: lambda: method(rosenbrock, np.linspace(-1, 1, n)), counts)
        wide = 5 if name == "backprop" else 1.8  # reverse mode lies upon it
        left.plot(*curve, "o-", color=colours[name], linewidth=wide, markersize=3.5, label=name)
    derived = {}

    def evaluate(n):
        derived[n] = compiled(*symbolic_derivative(rosenbrock, n, 1))
        return lambda: derived[n](np.linspace(-1, 1, n))

    few = [n for n in counts if n <= 100]
    left.plot(*series(evaluate, few), "o-", color=PURPLE, markersize=3.5, label="symbolic, once derived")
    derive = series(lambda n: lambda: symbolic_derivative(rosenbrock, n, 1), few)
    left.plot(*derive, "o--", color=PURPLE, markersize=3.5, label="symbolic, to derive")
    left.set(title="Gradient of Rosenbrock's function", xlabel="inputs n", ylabel="seconds", xscale="log", yscale="log")

    x = np.linspace(-2, 2, 1000)
    for name, colour in {"gradient of gradient": INK, "Taylor mode": BLUE, "symbolic, once derived": PURPLE}.items():
        curve = series(lambda k, name=name: lambda step=high_orders(k)[name](np.tanh): step(x), range(1, order + 1))
        middle.plot(*curve, "o-", color=colour, markersize=3.5, label=name)
    middle.set(title="Derivative of tanh at 1,000 points", xlabel="order", ylabel="seconds", yscale="log")

    depths, written, shared, nodes = range(1, depth + 1), [], [], []
    for k in depths:
        lengths = swell(k)
        for line, length in zip((written, shared, nodes), lengths, strict=True):
            line.append(length)
    right.plot(depths, written, "o-", color=PURPLE, markersize=3.5, label="SymPy, written out")
    right.plot(depths, shared, "o--", color=PURPLE, markersize=3.5, label="SymPy, repeated parts once")
    right.plot(depths, nodes, "o-", color=INK, markersize=3.5, label="nodes of needle's graph")
    right.set(title="Derivative of k steps x ← 4·x·(1 − x)", xlabel="steps k", ylabel="operations", yscale="log")
    for axes, below in zip(*rows, strict=True):
        axes.grid(color=FAINT)
        below.axis("off")
        lines, labels = axes.get_legend_handles_labels()
        legend = below.legend(lines, labels, fontsize=9, loc="upper left", ncols=1 + (len(lines) > 3), borderpad=0)
        legend.set_in_layout(False)
    save(figure, path)


def series(step_of: Callable, places) -> tuple[list, list]:
    """(places, seconds of step_of(place)()), ended where a step takes more than two seconds."""
    xs, ys = [], []
    for place in places:
        xs.append(place)
        ys.append(seconds(step_of(place), budget=0.02))
        if ys[-1] > 2:
            break
    return xs, ys


def swell(steps: int) -> tuple[int, int, int]:
    """Expression swell: the operations in the derivative of x after `steps` times x ← 4·x·(1 − x), by SymPy's rules,
    written out and with repeated parts computed once, and the ops in the graph of its gradient, x itself included."""
    import sympy

    def iterate(x):
        for _ in range(steps):
            x = 4 * x * (1 - x)
        return x

    derivative = symbolic.derivative(iterate, "x")
    parts, (last,) = sympy.cse(derivative)
    x = ndl.Tensor(0.3)
    iterate(x).backward()
    nodes = sum(node.op is not None for node in find_topo_sort([x.grad]))
    return operations(derivative), operations([part for _, part in parts] + [last]), nodes


# --------------------------------------------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Compare every way to differentiate, in tables and pictures.")
    parser.add_argument("--inputs", type=int, default=1000, help="most inputs in the picture (default: %(default)s)")
    parser.add_argument("--order", type=int, default=8, help="highest derivative (default: %(default)s)")
    parser.add_argument("--depth", type=int, default=9, help="longest iteration, for the swell (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of random directions (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=OUT, help="the folder that the pictures go to")
    options = parser.parse_args(arguments)
    for name, least in (("inputs", 2), ("order", 1), ("depth", 1)):
        if getattr(options, name) < least:
            parser.error(f"--{name} must be {least} or more, got {getattr(options, name)}")

    require_others()
    pyplot = load_pyplot()
    for order, what in ((1, "Gradient"), (2, "Hessian")):
        for problem in problems():
            print(f"{what}: {problem.name}")
            compare(problem, order)
    for problem in problems()[-1:]:
        check_by_direction(problem, options.seed)
    compare_high_orders(options.order)
    draw_steps(pyplot, options.output / "compare_steps.png")
    draw_costs(pyplot, options.inputs, options.order, options.depth, options.output / "compare_costs.png")


def require_others() -> None:
    """Leave, saying what to install, if numdifftools or SymPy (which brings mpmath) is not there."""
    for name in ("mpmath", "numdifftools", "sympy"):
        if importlib.util.find_spec(name) is None:
            raise SystemExit(
                f"This compares needle with others, of which {name} is not installed. Install them with\n"
                "    pip install 'needle-autodiff[numeric,plot,symbolic]'"
            )


if __name__ == "__main__":
    main()
