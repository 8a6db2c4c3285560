"""Derivatives given by hand, and derivatives held back: custom_gradient, custom_jvp, stop_gradient."""

import functools
from collections.abc import Callable

import numpy as np

from ..adjoint import Pullback, follow, recording, retire
from ..graph import Node, Tensor, new_handle
from ..ops.tuples import make_tuple
from .batch import vmap
from .functions import FunctionOp, call_as_op, here, mapped
from .trees import Tree, tensor_of


def stop_gradient(tree):
    """The same values as constants: no derivative of any kind flows through them.  Takes Tensors and trees of them.

    >>> import needle as ndl
    >>> ndl.grad(lambda x: x * ndl.stop_gradient(x))(3.0)
    np.float64(3.0)
    """
    tree = Tree(tree)
    return tree.build([value.detach() if isinstance(value, Tensor) else value for value in tree.leaves])


class CustomGradient(FunctionOp):
    """A function whose `rule` gives, beside the results, the function that pulls adjoints of them back"""

    __slots__ = ("rule",)

    def __init__(self, rule: Callable, closed: tuple[Node, ...] = ()):
        super().__init__(lambda tensors: rule(tensors)[0], closed)
        self.rule = rule

    def gradient(self, out_grad, node):
        with recording():
            stand_ins = [follow(argument.node) for argument in self.arguments(node.inputs)]
            results, pull_back = self.rule([new_handle(stand_in) for stand_in in stand_ins])
        by_hand = pull_back(list(out_grad))
        retire(stand_ins)
        return (*by_hand, *self.pull(results, stand_ins, out_grad)[len(stand_ins) :])

    def batched(self, axes):
        rule = self.rule

        def batched_rule(tensors):
            def pull_back(cotangents):
                pulled = vmap(lambda gs, xs: tuple(rule(list(xs))[1](list(gs))), in_axes=(0, tuple(axes)), out_axes=0)(
                    tuple(cotangents), tuple(tensors)
                )
                # what was shared by all examples gets the sum of their adjoints
                return [g if axis == 0 else g.sum(axis=0) for g, axis in zip(pulled, axes, strict=True)]

            return mapped(lambda ts: rule(ts)[0], axes)(tensors), pull_back

        return CustomGradient(batched_rule, self.closed)


def custom_gradient(fun: Callable) -> Callable:
    """Decorator: a function that returns its result and its derivative by hand.

    `fun(*args)` returns a pair (out, vjp_fun), as `jax.custom_gradient` has it: `vjp_fun(cotangent)`, with a cotangent
    of out's structure, returns the adjoint of each argument (a tuple of them for several).  Built from needle's ops it
    can be differentiated again.

    >>> import needle as ndl
    >>> @ndl.custom_gradient
    ... def clipped(x):
    ...     return x, lambda g: g.clip(-1, 1)  # the identity, whose gradient is held within [-1, 1]
    >>> ndl.grad(lambda x: 5 * clipped(x))(2.0)
    np.float64(1.0)
    """

    @functools.wraps(fun)
    def wrapped(*args):
        tree = Tree(args)
        counts = [len(Tree(arg).leaves) for arg in args]

        pair = here(lambda *inner: _pair(fun, inner))

        def value(*inner):
            return pair(*inner)[0]

        def make(flat, closed):
            def rule(tensors):
                inner = tree.inside(tensors, [])
                out, vjp_fun = pair(*inner)
                out = Tree(out)

                def pull_back(cotangents):
                    adjoints = vjp_fun(out.build(cotangents))
                    if len(args) == 1 and not (isinstance(adjoints, tuple) and len(adjoints) == 1):
                        adjoints = (adjoints,)
                    return _leaves_of(adjoints, counts, tensors)

                return [tensor_of(leaf, "what the function returns") for leaf in out.leaves], pull_back

            return CustomGradient(rule, closed)

        return call_as_op(make, value, args)

    return wrapped


def _pair(fun: Callable, args):
    result = fun(*args)
    if not (isinstance(result, tuple) and len(result) == 2 and callable(result[1])):
        raise TypeError(
            "a custom_gradient function must return a pair (output, vjp_fun), "
            f"got {type(result).__name__}{' of ' + str(len(result)) if isinstance(result, tuple) else ''}"
        )
    out, vjp_fun = result
    return out, here(vjp_fun)


def _leaves_of(adjoints, counts: list[int], inputs: list[Tensor]) -> list[Tensor | None]:
    """What a vjp_fun returned as one adjoint a leaf, checked against the inputs."""
    if not isinstance(adjoints, (tuple, list)) or len(adjoints) != len(counts):
        raise TypeError(
            f"vjp_fun must return one adjoint for each of the {len(counts)} arguments, "
            f"got {len(adjoints) if isinstance(adjoints, (tuple, list)) else type(adjoints).__name__}"
        )
    leaves: list[Tensor | None] = []
    for adjoint, count in zip(adjoints, counts, strict=True):
        leaves += [None] * count if adjoint is None else [tensor_of(v, "an adjoint") for v in Tree(adjoint).leaves]
    for leaf, x in zip(leaves, inputs, strict=True):
        if leaf is not None and leaf.shape != x.shape:
            raise ValueError(f"vjp_fun gave an adjoint of shape {leaf.shape} for an argument of shape {x.shape}")
    return leaves


class CustomTangent(FunctionOp):
    """A function whose `rule(primals, tangents)` gives its results and their tangents"""

    __slots__ = ("rule",)

    def __init__(self, fun, rule: Callable, closed: tuple[Node, ...] = ()):
        super().__init__(fun, closed)
        self.rule = rule

    def tangent(self, node, *tangents):
        primals, tangents = self.arguments(node.inputs), self.arguments(tangents)
        tangents = [_zeros(p) if t is None else t for p, t in zip(primals, tangents, strict=True)]
        return make_tuple(*self.rule(primals, tangents)[1])

    def gradient(self, out_grad, node):
        # The tangent is linear in the tangents that come in; its transpose is the gradient.
        primals = self.arguments(node.inputs)
        with recording():
            directions = [follow(_zeros(p).node) for p in primals]
            _, tangents = self.rule(primals, [new_handle(direction) for direction in directions])
        retire(directions)
        adjoints = Pullback([t.node for t in tangents], directions)(list(out_grad))
        if not self.closed:
            return tuple(adjoints)
        stand_ins, results = self.run_again(node)  # the rule says nothing of what is closed over: that is done as ever
        return (*adjoints, *self.pull(results, stand_ins, out_grad)[len(primals) :])

    def batched(self, axes):
        rule = self.rule

        def batched_rule(primals, tangents):
            both = vmap(lambda ps, ts: tuple(map(tuple, rule(list(ps), list(ts)))), in_axes=(tuple(axes), tuple(axes)))(
                tuple(primals), tuple(tangents)
            )
            return list(both[0]), list(both[1])

        return CustomTangent(mapped(self.fun, axes), batched_rule, self.closed)


def _zeros(like: Tensor) -> Tensor:
    return new_handle(Node(None, (), np.zeros(like.shape, like.dtype), False))


class custom_jvp:
    """Decorator: a function whose derivative is given by a forward rule, as `jax.custom_jvp` has it.

    `@f.defjvp` takes `rule(primals, tangents)` -> (out, tangent_out), linear in the tangents.  Reverse mode follows by
    transposing it; built from needle's ops it can be differentiated again.

    >>> import needle as ndl
    >>> @ndl.custom_jvp
    ... def cube(x):
    ...     return x**3
    >>> @cube.defjvp
    ... def cube_jvp(primals, tangents):
    ...     (x,), (t,) = primals, tangents
    ...     return cube(x), 3 * x**2 * t
    >>> ndl.grad(cube)(2.0), ndl.jvp(cube, (2.0,), (1.0,))[1]
    (np.float64(12.0), np.float64(12.0))
    """

    def __init__(self, fun: Callable):
        functools.update_wrapper(self, fun)  # first: it takes over all attributes, those of another custom_jvp too
        self.fun = fun
        self.rule: Callable | None = None

    def defjvp(self, rule: Callable) -> Callable:
        """Set the forward rule; returns it, so that this is a decorator."""
        self.rule = rule
        return rule

    def __call__(self, *args):
        if self.rule is None:
            raise TypeError(f"{self.fun.__name__} is a custom_jvp function without a rule; give it one with @defjvp")
        tree, forward = Tree(args), here(self.rule)

        def make(flat, closed):
            def rule(primals, tangents):
                pair = forward(tree.inside(primals, []), tree.inside(tangents, []))
                if not (isinstance(pair, (tuple, list)) and len(pair) == 2):
                    raise TypeError(f"a jvp rule must return a pair (output, tangent), got {type(pair).__name__}")
                outs, derivatives = map(Tree, pair)
                if not outs.matches(derivatives):
                    raise TypeError(
                        f"a jvp rule must return a tangent of the output's structure {outs}, got {derivatives}"
                    )
                both = [[tensor_of(v, "a jvp rule's result") for v in part.leaves] for part in (outs, derivatives)]
                for out, tangent in zip(*both, strict=True):
                    if out.shape != tangent.shape:
                        raise ValueError(
                            f"a jvp rule gave a tangent of shape {tangent.shape} for an output of shape {out.shape}"
                        )
                return both

            return CustomTangent(flat, rule, closed)

        return call_as_op(make, self.fun, args)
