"""functional_call: a Module as a function of its parameters."""

from ..graph import Moves, move, put_back
from .trees import node_of


def functional_call(module, params: dict, *args, **kwargs):
    """`module(*args, **kwargs)` with other values in place of some of its parameters, for this call only.

    Args:
        module: an `nn.Module`.
        params: values by the names that `named_parameters` gives; parameters that it does not name keep their own.

    Raises:
        KeyError: a name that the module has no parameter of.
        ValueError: a value of another shape than its parameter.

    >>> import needle as ndl
    >>> linear = ndl.nn.Linear(2, 1, bias=False)
    >>> x = ndl.ones(1, 2)
    >>> loss = lambda params: functional_call(linear, params, x).sum()
    >>> ndl.grad(loss)({"weight": ndl.ones(2, 1)})["weight"].numpy().tolist()
    [[1.0], [1.0]]
    """
    named = dict(module.named_parameters())
    unknown = [name for name in params if name not in named]
    if unknown:
        raise KeyError(f"{type(module).__name__} has no parameter {unknown[0]!r}; it has {', '.join(named) or 'none'}")
    before: Moves = []
    try:
        for name, value in params.items():
            parameter, node = named[name], node_of(value, f"parameter {name!r}")
            if node.data.shape != parameter.shape:
                raise ValueError(
                    f"parameter {name!r} has shape {parameter.shape}, got a value of shape {node.data.shape}"
                )
            move(parameter, node, before)
        return module(*args, **kwargs)
    finally:
        put_back(before)
