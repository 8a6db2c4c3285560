"""A table of a net: its Modules, the shapes of what they return, and how many parameters they hold."""

import numpy as np

from .. import init
from ..graph import Tensor, TensorTuple, no_grad
from .module import Module


def summary(model: Module, *inputs) -> str:
    """A table with one line a Module, in the order of the calls, and the total number of parameters.

    Args:
        model: any Module.  It is called once, in evaluation mode, without recording; afterwards it is as before.
        inputs: a shape (zeros of the model's dtype are put in, which are valid indices, too) or a Tensor for each
            argument of `model.forward`.

    >>> from needle.nn import Linear, ReLU, Sequential
    >>> print(summary(Sequential(Linear(784, 100), ReLU(), Linear(100, 10)), (32, 784)))
    Module                output      parameters
    --------------------------------------------
    Sequential            (32, 10)        79,510
      modules.0: Linear   (32, 100)       78,500
      modules.1: ReLU     (32, 100)            0
      modules.2: Linear   (32, 10)         1,010
    --------------------------------------------
    79,510 parameters, 79,510 of them trained, 0.30 MiB
    """
    parameters = model.parameters()
    dtype = next((p.dtype for p in parameters if p.dtype.kind == "f"), np.dtype("float32"))
    arguments = [x if isinstance(x, Tensor) else init.zeros(*x, dtype=dtype) for x in inputs]
    outputs = _outputs(model, arguments)

    rows = [("Module", "output", "parameters")]
    for path, module in model.named_modules():
        depth, kind = path.count("."), type(module).__name__
        label = f"{'  ' * (1 + depth // 2)}{path}: {kind}" if path else kind
        count = sum(p.size for p in module.parameters())
        rows.append((label, outputs.get(id(module), "not called"), f"{count:,}"))
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = [f"{a:<{widths[0]}}   {b:<{widths[1]}}   {c:>{widths[2]}}" for a, b, c in rows]
    rule = "-" * len(lines[0])
    total = sum(p.size for p in parameters)
    trained = sum(p.size for p in parameters if p.requires_grad)
    size = sum(p.size * p.dtype.itemsize for p in parameters) / 2**20
    last = f"{total:,} parameters, {trained:,} of them trained, {size:.2f} MiB"
    return "\n".join([lines[0], rule, *lines[1:], rule, last])


def _outputs(model: Module, arguments: list[Tensor]) -> dict[int, str]:
    """What each Module (by id) returned in one call, as text."""
    outputs: dict[int, str] = {}
    modules = [module for _, module in model.named_modules()]
    modes = [module.training for module in modules]
    own = [vars(module).get("forward") for module in modules]

    def watched(module):
        forward = module.forward

        def call(*args, **kwargs):
            result = forward(*args, **kwargs)
            outputs[id(module)] = _shapes(result)
            return result

        return call

    try:
        model.eval()
        for module in modules:
            vars(module)["forward"] = watched(module)
        with no_grad():
            model(*arguments)
    finally:
        for module, mode, forward in zip(modules, modes, own):
            module.training = mode
            if forward is None:
                vars(module).pop("forward", None)
            else:
                vars(module)["forward"] = forward
    return outputs


def _shapes(result) -> str:
    if isinstance(result, (tuple, list, TensorTuple)):
        return ", ".join(map(_shapes, result))
    return str(result.shape) if isinstance(result, Tensor) else type(result).__name__
