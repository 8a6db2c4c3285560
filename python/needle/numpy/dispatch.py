"""How a function of NumPy that is called on a Tensor finds ours: one table, from the callable to the rule.

A rule is a function with NumPy's signature, written in Tensors.  `@implements(np.cumsum)` puts it into the table, where
`Tensor.__array_function__` and `Tensor.__array_ufunc__` look, and makes of it the function that `needle.numpy` shows.
"""

import functools
import importlib.util
import inspect
from collections.abc import Callable, Iterable

import numpy as np

from ..graph import Tensor, constant, is_followed, leaf, plain_array
from ..ops.arithmetic import NUMBERS, operand
from ..ops.movement import stack

TABLE: dict[Callable, Callable] = {}  # a function or ufunc of NumPy (or SciPy) -> what it does with Tensors
_faces: dict[Callable, Callable] = {}  # a function of NumPy -> the one that `needle.numpy` shows


def implements(*functions: Callable | str, otherwise: Callable | None = None):
    """A decorator: the rule below it is what `functions` do when a Tensor is among their arguments.

    Args:
        functions: NumPy's, or their names ("linalg.norm"), which an older NumPy may lack; the first is called when
            there is no Tensor.  Aliases that are the same object need not be named.
        otherwise: what `needle.numpy` shows calls without a Tensor, if not the first of the functions.

    The rule has NumPy's signature.  If it names `out`, that is seen to here: the rule itself always gets None.
    """
    found = [function for function in map(_function, functions) if function is not None]

    def register(rule: Callable) -> Callable:
        complete = _with_out(rule)
        TABLE.update(dict.fromkeys(found, complete))
        if not found or isinstance(found[0], np.ufunc):
            return complete
        shown = _face(complete, otherwise or found[0])
        _faces.update(dict.fromkeys(found, shown))
        return shown

    return register


def _function(name: Callable | str) -> Callable | None:
    if not isinstance(name, str):
        return name
    return functools.reduce(lambda owner, part: getattr(owner, part, None), name.split("."), np)


def face(function):
    """What `needle.numpy` shows for something of NumPy's: ours, or the thing itself."""
    try:
        return _faces.get(function, function)
    except TypeError:  # not hashable: no function
        return function


def _face(rule: Callable, plain: Callable) -> Callable:
    """A function that follows `rule` where there is a Tensor, and is NumPy's where there is none."""

    @functools.wraps(rule)
    def shown(*args, **kwargs):
        if holds_tensor(args) or (kwargs and holds_tensor(kwargs.values())):
            return rule(*args, **kwargs)
        return plain(*args, **kwargs)

    return shown


def _with_out(rule: Callable) -> Callable:
    """`rule`, whose result goes into `out` where one is given."""
    parameters = inspect.signature(rule).parameters
    if "out" not in parameters:
        return rule
    by_keyword_only = parameters["out"].kind is inspect.Parameter.KEYWORD_ONLY
    place = None if by_keyword_only else list(parameters).index("out")

    @functools.wraps(rule)
    def complete(*args, **kwargs):
        if place is not None and len(args) > place:
            args, out = (*args[:place], None, *args[place + 1 :]), args[place]
        elif "out" in kwargs:
            out = kwargs.pop("out")
        else:
            out = None
        result = rule(*args, **kwargs)
        return result if out is None else store(result, out)

    return complete


def store(result: Tensor, out):
    """`result`, put into what was given as `out=`."""
    if isinstance(out, tuple) and len(out) == 1:
        (out,) = out
    if isinstance(out, Tensor):
        if out.shape != result.shape:
            raise ValueError(f"out= must have the result's shape {result.shape}, got {out.shape}")
        out[...] = result
        return out
    raise TypeError(
        "out= an array of NumPy would keep the numbers of a Tensor and lose its derivative; "
        "leave it away and use what is returned, or give a Tensor"
    )


# --------------------------------------------------------------------------------------------------------------------
# Arguments


def holds_tensor(values: Iterable) -> bool:
    """Whether there is a Tensor among the values, or in lists and tuples among them."""
    for value in values:
        if isinstance(value, Tensor) or (isinstance(value, (list, tuple)) and holds_tensor(value)):
            return True
    return False


def as_tensor(value) -> Tensor:
    """A Tensor as it is; arrays, numbers and lists as constants; a list or tuple that holds Tensors joined to one."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, (list, tuple)) and holds_tensor(value):
        items = [as_tensor(item) for item in value]
        dtype = np.result_type(*[item.dtype for item in items])
        return stack([item if item.dtype == dtype else item.astype(dtype) for item in items], 0)
    if type(value) is np.ndarray and value.dtype.kind in "biufc":
        return constant(value)
    if not isinstance(value, np.ndarray) and hasattr(value, "__array_function__"):  # of another device, or of a trace
        return leaf(value)
    array = plain_array(np.asarray(value))
    if array.dtype.kind not in "biufc":
        raise TypeError(f"expected a Tensor, an array or numbers, got {type(value).__name__} of dtype {array.dtype}")
    return leaf(array)


def tensor_or_number(value):
    """A Tensor or number as it is, what else there is as a Tensor."""
    return value if isinstance(value, Tensor) or isinstance(value, NUMBERS) else as_tensor(value)


def as_tensors(values: Iterable) -> list[Tensor]:
    """The operands of an elementwise function as Tensors; Python and NumPy numbers take the dtype of the first Tensor
    within its kind."""
    values = [value if type(value) is Tensor else tensor_or_number(value) for value in values]
    for like in values:
        if isinstance(like, Tensor):
            break
    return [operand(value, like) for value in values]


def plain(value):
    """The value of a Tensor as an array, also within tuples, lists and dicts; all else as it is."""
    if isinstance(value, Tensor):
        return np.asarray(value.node.realize_cached_data())  # inside `vmap`, where there is another for each: an error
    if isinstance(value, (list, tuple)) and holds_tensor(value):
        return type(value)(map(plain, value))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


# --------------------------------------------------------------------------------------------------------------------
# The protocol


def array_function(self: Tensor, function: Callable, types, args: tuple, kwargs: dict):
    """What `Tensor.__array_function__` does: the rule for `function`, or an answer for the plain value."""
    rule = TABLE.get(function)
    if rule is None:
        rule = late_rule(function)
    if rule is not None:
        return rule(*args, **kwargs)
    return without_rule(function, args, kwargs)


# Modules of rules that are imported when a function of theirs is first called on a Tensor
_LATE = {"numpy.linalg": f"{__package__}.linalg", "numpy.fft": f"{__package__}.fft", "scipy": "needle.scipy"}


def late_rule(function: Callable) -> Callable | None:
    """The rule for a function or ufunc that is not in the table yet."""
    home = getattr(function, "__module__", None) or "scipy"  # ufuncs do not say where they come from; NumPy's are known
    for prefix, module in _LATE.items():
        if home.startswith(prefix) and importlib.util.find_spec(module) is not None:
            importlib.import_module(module)
    return TABLE.get(function)


# Functions that ask for nothing of which there is a derivative: text, files, questions of memory and dtype.
_INDIFFERENT = {
    np.save, np.savez, np.savez_compressed, np.savetxt, np.can_cast, np.min_scalar_type, np.shares_memory,
    np.may_share_memory, np.common_type,
}  # fmt: skip


def without_rule(function: Callable, args: tuple, kwargs: dict):
    """A function of which needle knows no derivative: its plain value, or an error where one would be lost."""
    if function not in _INDIFFERENT and _holds_followed((*args, *kwargs.values())):
        raise TypeError(
            f"needle knows no derivative of {name_of(function)}, so calling it on a Tensor would lose one; "
            "write it with functions that needle has (docs/numpy_coverage.md), give it a rule "
            "(needle.custom_gradient), or call it on a constant, x.detach().numpy()"
        )
    return function(*map(plain, args), **{key: plain(value) for key, value in kwargs.items()})


def _holds_followed(values: Iterable) -> bool:
    return any(
        is_followed(value.node)
        if isinstance(value, Tensor)
        else isinstance(value, (list, tuple)) and _holds_followed(value)
        for value in values
    )


def name_of(function: Callable) -> str:
    """How errors name a function of NumPy or SciPy."""
    module = getattr(function, "__module__", None) or ("numpy" if isinstance(function, np.ufunc) else "")
    return f"{module}.{function.__name__}".lstrip(".")


Tensor.__array_function__ = array_function
