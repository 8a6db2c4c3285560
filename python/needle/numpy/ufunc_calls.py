"""What `Tensor.__array_ufunc__` does: the rule for a ufunc, and around it `out=`, `where=`, `dtype=` and the methods
`reduce`, `accumulate`, `outer` and `reduceat`.
"""

import functools

import numpy as np

from .. import ops
from ..graph import Tensor
from .dispatch import TABLE, as_tensor, late_rule, name_of, store, without_rule

REDUCE: dict = {}  # a ufunc -> the function that is its `reduce`, with the arguments of `numpy.sum`
ACCUMULATE: dict = {}  # a ufunc -> the function that is its `accumulate`, of (a, axis)


def array_ufunc(self: Tensor, ufunc: np.ufunc, method: str, *inputs, **kwargs):
    """What `Tensor.__array_ufunc__` does."""
    rule = TABLE.get(ufunc)
    if rule is not None and method == "__call__" and not kwargs:
        return rule(*inputs)
    if rule is None:
        rule = late_rule(ufunc)
    if rule is None:
        return without_rule(ufunc if method == "__call__" else getattr(ufunc, method), inputs, kwargs)
    return _METHODS[method](ufunc, rule, *inputs, **kwargs)


def _call(ufunc, rule, *inputs, out=None, where=True, casting="same_kind", dtype=None, signature=None, **others):
    for name in ("order", "subok"):
        others.pop(name, None)
    accumulator = None
    if out is not None and ufunc.nout == 1:
        (target,) = out
        if isinstance(target, np.ndarray) and target is inputs[0]:  # `target += tensor`
            accumulator, out = target, None
    if dtype is not None or signature is not None:
        inputs = _in_loop(ufunc, inputs, dtype, signature, casting)
    result = rule(*inputs, **others)
    if where is not True:
        result = _selected(result, where, accumulator if accumulator is not None else out)
    if accumulator is not None:
        return _accumulated(result, accumulator, casting)
    if out is None:
        return result
    if ufunc.nout > 1:
        return tuple([r if o is None else store(r, o) for r, o in zip(result, out, strict=True)])
    return store(result, out)


def _in_loop(ufunc, inputs, dtype, signature, casting) -> list[Tensor]:
    """The operands in the dtypes in which NumPy would compute, or NumPy's own error."""
    if signature is None:
        signature = (None,) * ufunc.nin + (dtype,) * ufunc.nout
    elif isinstance(signature, str):
        signature = tuple([np.dtype(c) for c in signature.replace("->", "")])
    elif not isinstance(signature, tuple):
        signature = (None,) * ufunc.nin + (signature,) * ufunc.nout
    signature = tuple([None if d is None else np.dtype(d) for d in signature])
    came = [type(x) if type(x) in (int, float, complex) else as_tensor(x).dtype for x in inputs]
    loop = ufunc.resolve_dtypes((*came, *(None,) * ufunc.nout), signature=signature, casting=casting)
    return [x if x.dtype == d else x.astype(d) for x, d in zip(map(as_tensor, inputs), loop)]


def _selected(result, where, out):
    """The result where `where` holds; elsewhere what was in `out`, or 0 (where NumPy leaves what was in memory)."""
    if isinstance(result, tuple):
        outs = out if isinstance(out, tuple) else (None,) * len(result)
        return tuple([_selected(r, where, o) for r, o in zip(result, outs)])
    (out,) = out if isinstance(out, tuple) else (out,)
    return ops.where(as_tensor(where), result, 0 if out is None else as_tensor(out))


def _accumulated(result: Tensor, accumulator: np.ndarray, casting) -> Tensor:
    """`accumulator += tensor`: the name will stand for the Tensor that is returned, and the old array gets the values
    (inside `vmap` there are none: another for each example)."""
    if result.shape != accumulator.shape:
        raise ValueError(
            f"non-broadcastable output operand: an array of shape {accumulator.shape} cannot hold {result.shape}"
        )
    if not np.can_cast(result.dtype, accumulator.dtype, casting):
        raise TypeError(
            f"an array of {accumulator.dtype} cannot take a Tensor of {result.dtype} in place; convert it first"
        )
    if isinstance(result.node.data, np.ndarray):
        np.copyto(accumulator, result.node.data, casting=casting)
    return result if result.dtype == accumulator.dtype else result.astype(accumulator.dtype)


# --------------------------------------------------------------------------------------------------------------------
# Methods


_NO_INITIAL = getattr(np, "_NoValue", None)


def _reduce(ufunc, rule, a, axis=0, dtype=None, out=None, keepdims=False, initial=_NO_INITIAL, where=True):
    a = as_tensor(a)
    known = REDUCE.get(ufunc)
    if known is not None:
        more = {} if initial is _NO_INITIAL or initial is None else {"initial": initial}
        more |= {} if where is True else {"where": where}
        more |= {} if dtype is None else {"dtype": dtype}
        result = known(a, axis=axis, keepdims=keepdims, **more)
    else:
        if where is not True:
            raise ValueError(f"{name_of(ufunc)}.reduce of a Tensor takes no where=; choose with needle.where first")
        result = _fold(ufunc, rule, a if dtype is None else a.astype(dtype), axis, keepdims, initial)
    return result if out is None else store(result, out)


def _fold(ufunc, rule, a: Tensor, axis, keepdims: bool, initial) -> Tensor:
    """The reduction one slice after the other, for ufuncs that have no better way."""
    axes = ops.kinds.normalize_axes(axis, a.ndim)
    if len(axes) > 1:
        if ufunc.identity is None and ufunc not in (np.fmax, np.fmin):
            raise ValueError(
                f"reduction operation '{ufunc.__name__}' is not reorderable, so at most one axis may be given"
            )
        kept = [i for i in range(a.ndim) if i not in axes]
        shape = [1 if i in axes else n for i, n in enumerate(a.shape)]
        a = ops.reshape(ops.permute(a, (*axes, *kept)), (-1, *[a.shape[i] for i in kept]))
        result = _fold(ufunc, rule, a, 0, False, initial)
        return ops.reshape(result, shape) if keepdims else result
    slices = list(ops.split(a, axes[0])) if axes else [a]
    start = [] if initial is _NO_INITIAL or initial is None else [initial]
    if not slices and not start:
        if ufunc.identity is None:
            raise ValueError(f"zero-size array to reduction operation {ufunc.__name__} which has no identity")
        return ops.sum(a, axes, keepdims) + ufunc.identity
    result = functools.reduce(rule, start + slices)
    if keepdims and axes:
        result = ops.reshape(result, [1 if i in axes else n for i, n in enumerate(a.shape)])
    return result


def _accumulate(ufunc, rule, a, axis=0, dtype=None, out=None):
    a = as_tensor(a)
    a = a if dtype is None or a.dtype == dtype else a.astype(dtype)
    known = ACCUMULATE.get(ufunc)
    if known is not None:
        result = known(a, axis)
    else:
        slices = list(ops.split(a, axis))
        for i in range(1, len(slices)):
            slices[i] = rule(slices[i - 1], slices[i])
        result = ops.stack(slices, axis) if slices else a
    return result if out is None else store(result, out)


def _outer(ufunc, rule, a, b, **kwargs):
    """The ufunc of every element of a with every element of b."""
    a, b = as_tensor(a), as_tensor(b)
    return _call(ufunc, rule, ops.reshape(a, a.shape + (1,) * b.ndim), b, **kwargs)


def _reduceat(ufunc, rule, a, indices, axis=0, dtype=None, out=None):
    a, indices = as_tensor(a), np.asarray(indices)
    (axis,) = ops.kinds.normalize_axes(axis, a.ndim)
    length, before = a.shape[axis], (slice(None),) * axis
    if indices.size and not 0 <= indices.min() <= indices.max() < length:
        raise IndexError(f"index {indices.max()} out-of-bounds in {ufunc.__name__}.reduceat [0, {length})")
    parts = []
    for start, stop in zip(indices.tolist(), [*indices.tolist()[1:], length]):
        rows = a[(*before, slice(start, max(stop, start + 1)))]
        parts.append(_reduce(ufunc, rule, rows, axis, dtype))
    result = ops.stack(parts, axis)
    return result if out is None else store(result, out)


def _at(ufunc, rule, a, *rest):
    raise TypeError(
        f"{name_of(ufunc)}.at changes its argument in place, which loses derivatives; for indices that do not repeat "
        "write a[indices] += values, and where they repeat add numpy.bincount(indices, values, minlength=len(a))"
    )


_METHODS = {
    "__call__": _call,
    "reduce": _reduce,
    "accumulate": _accumulate,
    "outer": _outer,
    "reduceat": _reduceat,
    "at": _at,
}


Tensor.__array_ufunc__ = array_ufunc
