"""What all optimizers share: groups of parameters, one step over all of them, state that can be saved, clipping.

A step works on raw arrays with `out=`, so it never becomes part of a graph.  A parameter is not written into: it moves
to a new array, and a graph recorded before the step keeps the values that it was computed from.
"""

import functools
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from ..device import to_numpy
from ..graph import Node, Tensor, Trace, tracing
from .clipping import clip_grad_norm, clip_grad_value
from .joined import Joined

BLOCK = 131072  # numbers worked on at a time: a block of every array that a step touches fits in a core's cache
SHORT = 4096  # numbers: up to here calling NumPy costs a parameter more than being joined to others does
FEW, MANY = 3, 12  # that are worth joining: with slots, whose updates call NumPy often, and without


class Optimizer:
    """Moves parameters against their gradients.  A subclass defines `slots`, `coefficients`, `update`, or its `step`.

    Args:
        params: Tensors, or parameter groups: dicts with the Tensors under `"params"` and options of their own beside,
            for example `[{"params": body}, {"params": head, "lr": 0.1}]`.
        options: what a group that says nothing else uses (`lr`, `weight_decay`, …).

    Attributes:
        params: all Tensors, in order.
        groups: the groups: dicts with `"params"` and every option.  Options may be changed between steps.

    Raises:
        TypeError: what was given are not real or complex floating-point Tensors.
        ValueError: there are none, one is in two groups, or an option is unknown or out of its range.
    """

    # low <= option < high
    ranges: ClassVar[dict[str, tuple[float, float]]] = {"lr": (0, np.inf), "weight_decay": (0, np.inf)}

    def __init__(self, params: Iterable[Tensor] | Iterable[dict], **options: Any) -> None:
        self.groups: list[dict[str, Any]] = []
        self.params: list[Tensor] = []
        self._options = options
        self._indices: list[list[int]] = []  # of each group's Tensors in params
        self._state: list[dict[str, Any]] = []  # of each Tensor: its number of steps, and its arrays once it has any
        self._joined: dict[tuple[int, ...], Joined] = {}  # short parameters by their indices
        self._scratch: dict[Any, np.ndarray] = {}
        self._check_options(options)
        for group in _as_groups(params, type(self).__name__):
            self.add_group(group)

    def add_group(self, group: Mapping[str, Any]) -> None:
        """One more group: a dict with Tensors under `"params"`, and options where they differ from the optimizer's."""
        kind = type(self).__name__
        unknown = group.keys() - self._options.keys() - {"params"}
        if unknown:
            raise ValueError(
                f"{kind} has no option {', '.join(sorted(unknown))}; a group may set {', '.join(self._options)}"
            )
        options = {**self._options, **{name: value for name, value in group.items() if name != "params"}}
        self._check_options(options)
        params = group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        known = {id(param) for param in self.params}
        added: dict[int, Tensor] = {}  # a parameter shared by two modules comes twice, and is one parameter
        for i, param in enumerate(params):
            if not isinstance(param, Tensor):
                raise TypeError(f"{kind} takes Tensors, but parameter {i} is of type {type(param).__name__}")
            if param.dtype.kind not in "fc":
                raise TypeError(f"{kind} moves floating-point Tensors, but parameter {i} is {param.dtype}")
            if id(param) in known:
                raise ValueError(f"parameter {i} of shape {param.shape} is already in another group of this {kind}")
            added[id(param)] = param
        if not added:
            raise ValueError(f"{kind} was given no parameters; pass model.parameters()")
        start = len(self.params)
        self.params += added.values()
        self._indices.append(list(range(start, len(self.params))))
        self._state += [{"step": 0} for _ in added]
        self.groups.append({"params": list(added.values()), **options})

    def _check_options(self, options: Mapping[str, Any]) -> None:
        for name in options.keys() & self.ranges.keys():
            value, (low, high) = options[name], self.ranges[name]
            if not isinstance(value, int | float | np.number):
                raise TypeError(f"{type(self).__name__} needs a number for {name}; got {value!r}")
            if not low <= value < high:
                below = f" and {name} < {high}" if high < np.inf else ""
                raise ValueError(f"{type(self).__name__} needs {name} >= {low}{below}; got {value}")

    # ----------------------------------------------------------------------------------------------------------------
    # One step

    def slots(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        """The names of the arrays that each parameter's state has: of its shape and dtype, zeros at first."""
        return ()

    def coefficients(self, options: Mapping[str, Any], step: int) -> tuple[float | None, ...]:
        """The numbers in `update`, for a parameter's step 1, 2, …  None for a term that is left out."""
        raise NotImplementedError(f"{type(self).__name__} must define coefficients and update, or step")

    def update(self, p, g, new, scratch, coefficients, *slots) -> None:
        """Write the value that follows `p` into `new`, and change `slots` in place; `p` and `g` are only read.

        All are arrays of one shape and dtype; `scratch` is there to be overwritten.  `coefficients` are 0-d arrays of
        that dtype, which NumPy takes faster than Python numbers.  The update must be elementwise: long parameters come
        in blocks, and short ones joined.
        """
        raise NotImplementedError(f"{type(self).__name__} must define coefficients and update, or step")

    def step(self) -> None:
        """Move every parameter that has a `.grad`; those without stay where they are."""
        trace = tracing()
        if trace is not None:
            self._step_in(trace)
            return
        for group, indices in zip(self.groups, self._indices):
            names = self.slots(group)
            coefficients: dict[Any, tuple] = {}
            short: dict[Any, list[tuple]] = {}  # what is joined: short parameters of one dtype that are equally far
            for index, param in zip(indices, group["params"]):
                grad = param.grad
                if grad is None:
                    continue
                p = param.node.data
                g: Any = grad.node.data if isinstance(grad, Tensor) else None
                if type(g) is not type(p) or g.shape != p.shape or g.dtype != p.dtype:
                    g = self._fitted(index, grad, p)
                key = step, dtype = self._state[index]["step"] + 1, p.dtype
                if key not in coefficients:
                    coefficients[key] = _as_arrays(self.coefficients(group, step), _as_real(p))
                if p.size <= SHORT and dtype.kind == "f" and isinstance(p, np.ndarray):
                    short.setdefault(key, []).append((index, param, p, g))
                else:
                    new = self._moved(index, _as_real(p), _as_real(g), coefficients[key], names)
                    self._move(index, param, new.view(dtype)[..., 0] if dtype.kind == "c" else new)
            for key, members in short.items():
                if len(members) >= (FEW if names else MANY):
                    self._move_together(members, coefficients[key], names)
                    continue
                for index, param, p, g in members:
                    self._move(index, param, self._moved(index, p, g, coefficients[key], names))

    def _step_in(self, trace: Trace) -> None:
        """`step` under jit: each parameter by itself, with coefficients and slots that each call brings."""
        for group, indices in zip(self.groups, self._indices):
            trace.check(functools.partial(self.slots, group))
            names, coefficients = self.slots(group), {}
            for index, param in zip(indices, group["params"]):
                grad, state = param.grad, self._state[index]
                if grad is None:
                    continue
                p = param.node.data
                g = grad.node.data
                if g.shape != p.shape or g.dtype != p.dtype:
                    g = self._fitted(index, grad, p)
                p, g, like = _as_real(p), _as_real(g), _as_real(p)
                key = state["step"], like.dtype
                if key not in coefficients:

                    def make(group=group, state=state, like=np.empty(0, like.dtype)):
                        return _as_arrays(self.coefficients(group, state["step"] + 1), like)

                    coefficients[key] = trace.numbers(make)
                zeros = functools.partial(np.zeros, like.shape, like.dtype)
                slots = [trace.state(state, name, zeros) for name in names]
                new = np.empty_like(p, order="C")
                self.update(p, g, new, np.empty_like(new), coefficients[key], *slots)
                dtype = param.node.data.dtype
                new = new.view(dtype)[..., 0] if dtype.kind == "c" else new
                param._move(Node(None, (), new, param.node.requires_grad))
        moved = [state for state, param in zip(self._state, self.params) if param.grad is not None]
        trace.check(functools.partial(_lags, moved))
        for state in moved:
            trace.change(state, functools.partial(_count, state))

    def trace_roots(self) -> list:
        """What a compiled program that steps depends on, beside what it asks for itself."""
        roots: list[Any] = [group["params"] for group in self.groups]
        return roots if type(self).step is Optimizer.step else [*roots, vars(self)]

    def _moved(self, index: int, p, g, coefficients, names):
        new = np.empty_like(p, order="C")
        self._update_in_blocks(p, g, new, coefficients, [self._slot(index, name, p) for name in names])
        return new

    def _move_together(self, members: list[tuple], coefficients, names) -> None:
        indices, params, values, grads = zip(*members)
        joined = self._joined.get(indices)
        if joined is None or joined.names != names or joined.shapes != [p.shape for p in values]:
            joined = self._join(indices, names, values)
        gradient = joined.gradient(grads)
        new = np.empty_like(gradient)
        self._update_in_blocks(joined.values(values), gradient, new, coefficients, joined.slots)
        for index, param, part in zip(indices, params, joined.split(new)):
            self._move(index, param, part)

    def _move(self, index: int, param: Tensor, new) -> None:
        param._move(Node(None, (), new, param.node.requires_grad))
        self._state[index]["step"] += 1

    def _join(self, indices: tuple[int, ...], names: tuple[str, ...], values) -> Joined:
        """Join these parameters: from now on their slots are parts of long arrays."""
        columns = [[self._slot(index, name, p) for index, p in zip(indices, values)] for name in names]
        self._joined = {key: joined for key, joined in self._joined.items() if set(key).isdisjoint(indices)}
        joined = self._joined[indices] = Joined(values, names, columns)
        for name, slot in zip(names, joined.slots):
            for index, part in zip(indices, joined.parts(slot)):
                self._state[index][name] = part
        return joined

    def _update_in_blocks(self, p, g, new, coefficients, slots) -> None:
        if p.size <= BLOCK or not isinstance(p, np.ndarray):
            self.update(p, g, new, self._scratch_like(new), coefficients, *slots)
            return
        p, g, new, *slots = (array.reshape(-1) for array in (p, g, new, *slots))
        scratch = self._scratch_like(new[:BLOCK])
        for start in range(0, p.size, BLOCK):
            part = slice(start, start + BLOCK)
            here = new[part]
            self.update(p[part], g[part], here, scratch[: here.size], coefficients, *[slot[part] for slot in slots])

    def _scratch_like(self, array):
        """An array to overwrite.  Those of one dtype share their memory: no two are in use at once."""
        if not isinstance(array, np.ndarray):
            return np.empty_like(array)
        key = array.dtype, array.shape
        scratch = self._scratch.get(key)
        if scratch is None:
            memory = self._scratch.setdefault(array.dtype, np.empty(BLOCK, array.dtype))
            scratch = self._scratch[key] = memory[: array.size].reshape(array.shape)
        return scratch

    def _slot(self, index: int, name: str, p):
        state = self._state[index]
        slot = state.get(name)
        if slot is None:
            slot = state[name] = np.zeros_like(p, order="C")
        elif slot.shape != p.shape or slot.dtype != p.dtype:
            raise ValueError(
                f"parameter {index} is now {p.dtype}{list(p.shape)}, but this {type(self).__name__} has followed it as "
                f"{slot.dtype}{list(slot.shape)}; make a new optimizer after changing a parameter's shape or dtype"
            )
        return slot

    def _fitted(self, index: int, grad, p):
        """The array of `grad` in the dtype of its parameter, or an error if it cannot be its gradient."""
        if not isinstance(grad, Tensor) or type(grad.node.data) is not type(p):
            raise TypeError(f"the .grad of parameter {index} must be a Tensor on its device, got {type(grad).__name__}")
        g = grad.node.data
        if g.shape != p.shape:
            raise ValueError(f"parameter {index} has shape {p.shape}, but its .grad has shape {g.shape}")
        if g.dtype.kind == "c" and p.dtype.kind != "c":
            raise TypeError(
                f"parameter {index} is {p.dtype}, but its .grad is {g.dtype}: the imaginary part would be lost"
            )
        return g.astype(p.dtype)

    def reset_grad(self) -> None:
        """Set `.grad` of every parameter to None."""
        for param in self.params:
            param.grad = None

    zero_grad = reset_grad

    # ----------------------------------------------------------------------------------------------------------------
    # Clipping

    def clip_grad_norm(self, max_norm: float = 0.25) -> float:
        """`needle.optim.clip_grad_norm` of this optimizer's parameters: scale all gradients so that ‖g‖₂ ≤ max_norm."""
        return clip_grad_norm(self.params, max_norm)

    def clip_grad_value(self, max_value: float) -> None:
        """`needle.optim.clip_grad_value` of this optimizer's parameters: clip each number to ±max_value."""
        clip_grad_value(self.params, max_value)

    # ----------------------------------------------------------------------------------------------------------------
    # The learning rate, and state to save

    @property
    def lr(self) -> float:
        """The learning rate: of the first group when read, of all groups when assigned."""
        return self.groups[0]["lr"]

    @lr.setter
    def lr(self, value: float) -> None:
        self._check_options({"lr": value})
        for group in self.groups:
            group["lr"] = value

    def state_dict(self) -> dict[str, np.ndarray]:
        """All that the next steps depend on, as copies in a flat dict of arrays:

        - `"groups.K.params"`: the indices of group K's parameters; `"groups.K.OPTION"`: its options,
        - `"state.I.step"`: how many steps parameter I has made; `"state.I.SLOT"`: its momentum, second moment, ….
        """
        state = {}
        for k, (group, indices) in enumerate(zip(self.groups, self._indices)):
            state[f"groups.{k}.params"] = np.array(indices)
            for name in self._options:
                state[f"groups.{k}.{name}"] = np.array(group[name])
        for i, entries in enumerate(self._state):
            for name, value in entries.items():
                state[f"state.{i}.{name}"] = np.array(to_numpy(value))
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict()` was taken.  On an error nothing is changed.

        Raises:
            ValueError: the state is of another optimizer, of other groups, or of parameters of other shapes.
        """
        kind = type(self).__name__
        arrays = {
            key: to_numpy(value.node.data) if isinstance(value, Tensor) else np.asarray(value)
            for key, value in state.items()
        }
        rest = set(arrays)

        def fetch(key: str, what: str) -> np.ndarray:
            if key not in arrays:
                raise ValueError(f"the state has no {key!r}, so it is not of {what}")
            rest.discard(key)
            return arrays[key]

        options = []
        for k, indices in enumerate(self._indices):
            saved = fetch(f"groups.{k}.params", f"an optimizer with {len(self.groups)} groups").tolist()
            if saved != indices:
                raise ValueError(
                    f"group {k} of the state has {len(saved)} parameters, this {kind}'s has {len(indices)}"
                )
            keys = {name: f"groups.{k}.{name}" for name in self._options}
            options.append({name: fetch(key, f"this {kind}").item() for name, key in keys.items()})
            self._check_options(options[-1])
        entries = []
        for k, indices in enumerate(self._indices):
            names = self.slots(options[k])
            for i in indices:
                entry: dict[str, Any] = {
                    "step": int(fetch(f"state.{i}.step", f"this {kind}'s {len(self.params)} parameters"))
                }
                like = _as_real(self.params[i].node.data)
                for name in names if entry["step"] else ():
                    slot = fetch(f"state.{i}.{name}", f"this {kind}")
                    if slot.shape != like.shape or slot.dtype != like.dtype:
                        raise ValueError(
                            f"{name} of parameter {i} is {slot.dtype}{list(slot.shape)} in the state, "
                            f"but the parameter is {like.dtype}{list(like.shape)}"
                        )
                    entry[name] = (
                        np.array(slot, order="C") if isinstance(like, np.ndarray) else np.array(slot, like=like)
                    )
                entries.append(entry)
        if rest:
            raise ValueError(f"the state has {min(rest)!r}, which this {kind} has not: it is of another optimizer")
        for group, chosen in zip(self.groups, options):
            group.update(chosen)
        for mine, entry in zip(self._state, entries):  # the same dicts: compiled steps hold on to them
            mine.clear()
            mine.update(entry)
        self._joined = {}

    def __getstate__(self) -> dict[str, Any]:
        # A copy joins its parameters anew: views, copied one by one, would no longer be parts of one array.
        return {**vars(self), "_joined": {}, "_scratch": {}}

    def __repr__(self) -> str:
        lines = [
            f"  {len(group['params'])} parameters: " + ", ".join(f"{name}={group[name]}" for name in self._options)
            for group in self.groups
        ]
        return "\n".join([f"{type(self).__name__}(", *lines, ")"])


def _count(state: dict[str, Any]) -> None:
    state["step"] += 1


def _as_groups(params, kind: str) -> list[Mapping[str, Any]]:
    if isinstance(params, Tensor | Mapping) or not isinstance(params, Iterable):
        came = "one" if isinstance(params, Tensor | Mapping) else f"a {type(params).__name__}"
        raise TypeError(
            f"{kind} takes a list of Tensors or of parameter groups, got {came}; write [params], or model.parameters()"
        )
    params = list(params)
    if not any(isinstance(item, Mapping) for item in params):
        return [{"params": params}]
    for i, group in enumerate(params):
        if not isinstance(group, Mapping) or "params" not in group:
            raise TypeError(
                f'{kind} needs each parameter group to be a dict with Tensors under "params"; item {i} is not'
            )
    return params


def _lags(states: list[dict]) -> list[int]:
    """By how many steps each is behind the first."""
    return [states[0]["step"] - state["step"] for state in states]


def _as_arrays(coefficients, p) -> tuple:
    # A positive number too small for the dtype (Adam's eps in float16) stays positive: 0/0 would be nan.
    least = _least(p.dtype)
    on_cpu = isinstance(p, np.ndarray)  # CuPy takes NumPy's scalars, but not its 0-d arrays
    as_scalar = (lambda c: np.array(c, p.dtype)) if on_cpu else p.dtype.type
    return tuple([None if c is None else as_scalar(max(c, least) if c > 0 else c) for c in coefficients])


@functools.cache
def _least(dtype) -> float:
    return float(np.finfo(dtype).smallest_subnormal)


def _as_real(array):
    """A complex array as the real one of shape (…, 2) in the same memory; a real array as it is."""
    if array.dtype.kind != "c":
        return array
    if not array.flags.c_contiguous:
        array = array.copy(order="C")
    return array[..., None].view(array.real.dtype)
