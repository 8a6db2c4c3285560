"""Properties that hold for all shapes, indices, subscripts and expressions: hypothesis looks for a counterexample.

Values are compared with NumPy; gradients of what is linear with its exact transpose (⟨w, A·x⟩ = ⟨Aᵀ·w, x⟩), of random
expressions with complex-step derivatives, Im f(x + ih)/h, which lose no digits to subtraction (Squire & Trapp 1998).
"""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from needle import Tensor, ops

SOME = settings(max_examples=60)
EXACT = {"rtol": 1e-11, "atol": 1e-11}

shapes = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
whole_shapes = npst.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4)


def normal(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def adjoint_of_linear(function, array, tensor):
    """Whether ⟨w, f(x)⟩ = ⟨gradient, x⟩ for the linear f, with random w."""
    out = function(tensor)
    weights = normal(out.shape, 1)
    out.backward(Tensor(weights))
    assert tensor.grad.shape == array.shape
    np.testing.assert_allclose((tensor.grad.numpy() * array).sum(), (weights * out.numpy()).sum(), **EXACT)


# --------------------------------------------------------------------------------------------------------------------
# Broadcasting


@st.composite
def broadcastable(draw):
    return draw(npst.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=0, max_side=3)).input_shapes


@SOME
@given(broadcastable(), st.sampled_from(["add", "subtract", "multiply", "maximum", "minimum"]))
def test_elementwise_ops_broadcast_as_numpy(pair, name):
    a, b = normal(pair[0], 2), normal(pair[1], 3)
    x, y = Tensor(a), Tensor(b)
    out = getattr(ops, name)(x, y)
    expected = getattr(np, name)(a, b)
    assert out.shape == expected.shape
    np.testing.assert_array_equal(out.numpy(), expected)
    out.sum().backward()
    assert (x.grad.shape, y.grad.shape) == (a.shape, b.shape)
    # Every output element hands out 1 in all, to a and to b, or ±1, or the other's value: the totals are known.
    total_a, total_b = x.grad.numpy().sum(), y.grad.numpy().sum()
    if name in ("maximum", "minimum"):
        np.testing.assert_allclose(total_a + total_b, expected.size)
    elif name == "multiply":
        full_a, full_b = np.broadcast_arrays(a, b)
        np.testing.assert_allclose([total_a, total_b], [full_b.sum(), full_a.sum()], **EXACT)
    else:
        np.testing.assert_allclose(
            [total_a, total_b], [expected.size, expected.size * (-1 if name == "subtract" else 1)]
        )


@SOME
@given(st.data())
def test_broadcast_to_and_sum_to_are_each_others_transpose(data):
    small, big = data.draw(npst.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=3)).input_shapes
    big = np.broadcast_shapes(small, big)
    a = normal(small)
    out = ops.broadcast_to(Tensor(a), big)
    np.testing.assert_array_equal(out.numpy(), np.broadcast_to(a, big))
    adjoint_of_linear(lambda x: ops.broadcast_to(x, big), a, Tensor(a))
    b = normal(big)
    adjoint_of_linear(lambda x: ops.sum_to(x, small), b, Tensor(b))


@SOME
@given(broadcastable(), st.sampled_from(["float16", "float32", "float64", "int32", "bool"]))
def test_two_tensors_promote_as_numpy(pair, dtype):
    a, b = normal(pair[0]).astype(dtype), normal(pair[1]).astype("float32")
    assert (Tensor(a) * Tensor(b)).dtype == (a * b).dtype


# --------------------------------------------------------------------------------------------------------------------
# Reductions


@st.composite
def reduced(draw, shapes=shapes):
    """A shape and an axis argument for it: None, an int, or a tuple, with negative numbers."""
    shape = draw(shapes)
    ndim = len(shape)
    kinds = [st.none(), st.just(())]
    if ndim:
        axis = st.integers(-ndim, ndim - 1)
        kinds += [axis, st.lists(axis, unique_by=lambda k: k % ndim, max_size=ndim).map(tuple)]
    return shape, draw(st.one_of(kinds))


@SOME
@given(reduced(), st.booleans(), st.sampled_from(["sum", "mean"]))
def test_sums_and_means_are_numpys(shape_axis, keepdims, name):
    shape, axis = shape_axis
    a = normal(shape)
    if name == "mean" and not a.size:
        return  # there is no mean of nothing
    expected = getattr(np, name)(a, axis=axis, keepdims=keepdims)
    out = getattr(ops, name)(Tensor(a), axis, keepdims)
    np.testing.assert_allclose(out.numpy(), expected, **EXACT)
    assert out.shape == expected.shape
    if a.size:
        adjoint_of_linear(lambda x: getattr(ops, name)(x, axis, keepdims), a, Tensor(a))


@SOME
@given(reduced(whole_shapes), st.booleans(), st.sampled_from(["max", "min"]))
def test_extrema_are_numpys_and_share_their_gradient_among_the_tied(shape_axis, keepdims, name):
    shape, axis = shape_axis
    a = np.random.default_rng(0).integers(0, 3, shape).astype(float)
    x = Tensor(a)
    out = getattr(ops, name)(x, axis, keepdims)
    np.testing.assert_array_equal(out.numpy(), getattr(np, name)(a, axis=axis, keepdims=keepdims))
    out.sum().backward()
    tied = a == getattr(np, name)(a, axis=axis, keepdims=True)
    np.testing.assert_allclose(x.grad.numpy(), tied / tied.sum(axis=axis, keepdims=True))


@SOME
@given(reduced(whole_shapes))
def test_the_gradient_of_logsumexp_is_a_softmax(shape_axis):
    shape, axis = shape_axis
    x = Tensor(normal(shape) * 30)
    out = ops.logsumexp(x, axis)
    out.sum().backward()
    exps = np.exp(x.numpy() - x.numpy().max())
    np.testing.assert_allclose(out.numpy(), np.log(exps.sum(axis)) + x.numpy().max(), rtol=1e-10)
    np.testing.assert_allclose(x.grad.numpy(), exps / exps.sum(axis=axis, keepdims=True), atol=1e-12)


@SOME
@given(reduced(whole_shapes), st.booleans())
def test_variance_is_numpys(shape_axis, keepdims):
    shape, axis = shape_axis
    a = normal(shape)
    x = Tensor(a)
    out = ops.var(x, axis, keepdims=keepdims)
    np.testing.assert_allclose(out.numpy(), np.var(a, axis, keepdims=keepdims), **EXACT)
    out.sum().backward()
    kept = np.mean(a, axis, keepdims=True)
    np.testing.assert_allclose(x.grad.numpy(), 2 * (a - kept) * kept.size / a.size, **EXACT)


# --------------------------------------------------------------------------------------------------------------------
# Indexing


@st.composite
def indexed(draw):
    """A shape and an index into it: slices, ints, None, `...`; an integer array; a boolean mask; or a mix."""
    shape = draw(whole_shapes)
    kind = draw(st.sampled_from(["basic", "integers", "mask", "row mask", "mixed", "integer pair"]))
    if kind == "basic":
        return shape, draw(npst.basic_indices(shape, allow_newaxis=True, max_dims=6))
    if kind == "integers":
        return shape, draw(npst.integer_array_indices(shape, result_shape=npst.array_shapes(max_dims=2, max_side=3)))
    if kind == "mask":
        return shape, draw(npst.arrays(bool, shape))
    if kind == "row mask":
        return shape, draw(npst.arrays(bool, shape[:1]))
    rows = draw(st.lists(st.integers(-shape[0], shape[0] - 1), min_size=1, max_size=4))
    if kind == "integer pair" and len(shape) > 1:
        columns = draw(st.lists(st.integers(0, shape[1] - 1), min_size=len(rows), max_size=len(rows)))
        return shape, (rows, columns)
    rest = draw(npst.basic_indices(shape[1:], allow_newaxis=False, allow_ellipsis=False)) if len(shape) > 1 else ()
    return shape, (rows, *(rest if isinstance(rest, tuple) else (rest,)))


@settings(max_examples=150)
@given(indexed())
def test_indexing_is_numpys_and_repeated_indices_add_up(shape_index):
    shape, index = shape_index
    a = normal(shape)
    x = Tensor(a)
    out = x[index]
    expected = a[index]
    assert out.shape == np.shape(expected)
    np.testing.assert_array_equal(out.numpy(), expected)
    weights = normal(out.shape, 1)
    out.backward(Tensor(weights))
    scattered = np.zeros(shape)
    np.add.at(scattered, index, weights)
    np.testing.assert_allclose(x.grad.numpy(), scattered, **EXACT)


@SOME
@given(indexed())
def test_the_gradient_of_indexing_is_differentiable_in_its_seed(shape_index):
    """x.grad = Aᵀv is linear in v, so its gradient in v is A·w for a seed w: an index once more."""
    shape, index = shape_index
    x = Tensor(normal(shape))
    out = x[index]
    seed = Tensor(normal(out.shape, 1))
    out.backward(seed)
    weights = normal(shape, 2)
    x.grad.backward(Tensor(weights))
    np.testing.assert_array_equal(seed.grad.numpy(), weights[index])


# --------------------------------------------------------------------------------------------------------------------
# Contractions


@st.composite
def subscripts(draw):
    """Einstein sums of one to three operands over letters of fixed lengths; letters may repeat within an operand."""
    lengths = {letter: draw(st.integers(1, 3)) for letter in "abcd"}
    term = st.lists(st.sampled_from("abcd"), min_size=1, max_size=3).map("".join)
    terms = draw(st.lists(term, min_size=1, max_size=3))
    known = sorted(set("".join(terms)))
    output = "".join(draw(st.lists(st.sampled_from(known), unique=True, max_size=3)))
    return ",".join(terms) + "->" + output, [tuple(lengths[letter] for letter in term) for term in terms]


@settings(max_examples=100)
@given(subscripts())
def test_einsum_is_numpys_and_linear_in_each_operand(subscripts_shapes):
    text, operand_shapes = subscripts_shapes
    arrays = [normal(shape, k) for k, shape in enumerate(operand_shapes)]
    tensors = [Tensor(array) for array in arrays]
    out = ops.einsum(text, *tensors)
    np.testing.assert_allclose(out.numpy(), np.einsum(text, *arrays), **EXACT)
    weights = normal(out.shape, 9)
    out.backward(Tensor(weights))
    for tensor, array in zip(tensors, arrays):
        np.testing.assert_allclose((tensor.grad.numpy() * array).sum(), (weights * out.numpy()).sum(), **EXACT)


@st.composite
def matrix_shapes(draw):
    batch = draw(npst.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, min_side=0, max_side=3)).input_shapes
    n, k, m = (draw(st.integers(0, 3)) for _ in range(3))
    a, b = (*batch[0], n, k), (*batch[1], k, m)
    if draw(st.integers(0, 5)) == 0:
        a = (k,)
    if draw(st.integers(0, 5)) == 0:
        b = (k,)
    return a, b


@SOME
@given(matrix_shapes())
def test_matmul_is_numpys_and_linear_in_each_operand(pair):
    a, b = normal(pair[0], 0), normal(pair[1], 1)
    x, y = Tensor(a), Tensor(b)
    out = x @ y
    expected = a @ b
    assert out.shape == np.shape(expected)
    np.testing.assert_allclose(out.numpy(), expected, **EXACT)
    weights = normal(out.shape, 2)
    out.backward(Tensor(weights))
    for tensor, array in ((x, a), (y, b)):
        assert tensor.grad.shape == array.shape
        np.testing.assert_allclose((tensor.grad.numpy() * array).sum(), (weights * out.numpy()).sum(), **EXACT)


# --------------------------------------------------------------------------------------------------------------------
# Movement


MOVES = ["permute", "transpose", "reshape", "flip", "pad", "slice", "broadcast", "concatenate"]


@st.composite
def moves(draw):
    """A shape, and a few ops that lay its elements out anew, each with its NumPy counterpart."""
    shape = draw(npst.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4))
    steps, now = [], shape
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(
            st.sampled_from(["permute", "transpose", "reshape", "flip", "pad", "slice", "broadcast", "concatenate"])
        )
        ndim = len(now)
        axis = draw(st.integers(0, ndim - 1))
        if kind == "permute":
            order = tuple(draw(st.permutations(range(ndim))))
            step = (lambda x, order=order: ops.permute(x, order)), (lambda x, order=order: np.transpose(x, order))
        elif kind == "transpose":
            other = draw(st.integers(0, ndim - 1))
            pair = axis, other
            step = (lambda x, pair=pair: ops.transpose(x, pair)), (lambda x, pair=pair: np.swapaxes(x, *pair))
        elif kind == "reshape":
            new = (math.prod(now), 1) if draw(st.booleans()) else (*now[:axis], 1, *now[axis:])
            step = (lambda x, new=new: ops.reshape(x, new)), (lambda x, new=new: np.reshape(x, new))
        elif kind == "flip":
            step = (lambda x, axis=axis: ops.flip(x, axis)), (lambda x, axis=axis: np.flip(x, axis))
        elif kind == "pad":
            widths = tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in now)
            step = (lambda x, widths=widths: ops.pad(x, widths)), (lambda x, widths=widths: np.pad(x, widths))
        elif kind == "slice":
            index = (slice(None),) * axis + (slice(None, None, draw(st.sampled_from([-1, 1, 2]))),)
            step = (lambda x, index=index: x[index]), (lambda x, index=index: x[index])
        elif kind == "broadcast":
            new = (2, *now)
            step = (lambda x, new=new: ops.broadcast_to(x, new)), (lambda x, new=new: np.broadcast_to(x, new))
        else:
            step = (
                (lambda x, axis=axis: ops.concatenate([x, x], axis)),
                (lambda x, axis=axis: np.concatenate([x, x], axis)),
            )
        changed = step[1](np.empty(now)).shape
        if len(changed) <= 5 and math.prod(changed) <= 2000:
            steps.append(step)
            now = changed
    return shape, steps


@SOME
@given(moves())
def test_compositions_of_moves_are_numpys_and_so_is_their_transpose(shape_steps):
    shape, steps = shape_steps
    a = normal(shape)

    def moved(x):
        for ours, _ in steps:
            x = ours(x)
        return x

    expected = a
    for _, numpys in steps:
        expected = numpys(expected)
    np.testing.assert_array_equal(moved(Tensor(a)).numpy(), expected)
    if steps:
        adjoint_of_linear(moved, a, Tensor(a))


# --------------------------------------------------------------------------------------------------------------------
# Random expressions


LEAVES = ("x", "y")
UNARY = {
    "sin": (ops.sin, np.sin),
    "tanh": (ops.tanh, np.tanh),
    "exp(sin ·)": (lambda a: ops.exp(ops.sin(a)), lambda a: np.exp(np.sin(a))),
    "square": (ops.square, np.square),
    "-": (lambda a: -a, lambda a: -a),
    "·/2": (lambda a: a / 2, lambda a: a / 2),
    "1/(2+sin ·)": (lambda a: 1 / (2 + ops.sin(a)), lambda a: 1 / (2 + np.sin(a))),
    "sum kept": (lambda a: ops.sum(a, -1, True), lambda a: np.sum(a, -1, keepdims=True)),
    "arctan": (ops.arctan, np.arctan),
    "transposed": (lambda a: ops.permute(a, (1, 0)), lambda a: np.transpose(a)),
    "reversed": (lambda a: a[::-1], lambda a: a[::-1]),
}
BINARY = {
    "+": (ops.add, np.add),
    "-": (ops.subtract, np.subtract),
    "·": (ops.multiply, np.multiply),
    "÷(3+cos)": (lambda a, b: a / (3 + ops.cos(b)), lambda a, b: a / (3 + np.cos(b))),
    "@": (ops.matmul, np.matmul),
}

expressions = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(sorted(UNARY)), inner), st.tuples(st.sampled_from(sorted(BINARY)), inner, inner)
    ),
    max_leaves=6,
)


def evaluate(expression, values, side):
    """The expression on `values`, with needle's functions (side 0) or NumPy's (side 1).  All values are 3×3 or 3×1 or
    1×3 matrices; where a product of them does not exist, the sum takes its place."""
    if isinstance(expression, str):
        return values[expression]
    name, *operands = expression
    operands = [evaluate(operand, values, side) for operand in operands]
    if len(operands) == 1:
        return UNARY[name][side](*operands)
    if name == "@" and operands[0].shape[1] != operands[1].shape[0]:
        name = "+"
    return BINARY[name][side](*operands)


@settings(max_examples=100)
@given(expressions, st.integers(0, 1000))
def test_random_expressions_have_complex_step_derivatives(expression, seed):
    arrays = {name: normal((3, 3), (seed, k)) * 0.5 for k, name in enumerate(LEAVES)}
    directions = {name: normal((3, 3), (seed, k, 1)) for k, name in enumerate(LEAVES)}
    tensors = {name: Tensor(array) for name, array in arrays.items()}
    out = evaluate(expression, tensors, 0)
    expected = evaluate(expression, arrays, 1)
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-10, atol=1e-10)
    (ops.tanh(out)).sum().backward()
    step = 1e-30
    shifted = {name: arrays[name] + 1j * step * directions[name] for name in LEAVES}
    slope = np.tanh(evaluate(expression, shifted, 1)).sum().imag / step
    computed = sum((t.grad.numpy() * directions[n]).sum() for n, t in tensors.items() if t.grad is not None)
    np.testing.assert_allclose(computed, slope, rtol=1e-8, atol=1e-9)


@settings(max_examples=40)
@given(expressions, st.integers(0, 1000))
def test_random_expressions_have_symmetric_hessians_that_are_slopes(expression, seed):
    """v·H·w = w·H·v, to rounding, and both are the central difference of the gradient."""
    arrays = {name: normal((3, 3), (seed, k)) * 0.5 for k, name in enumerate(LEAVES)}
    v, w = ({name: normal((3, 3), (seed, k, j)) for k, name in enumerate(LEAVES)} for j in (1, 2))

    def along(direction, values):
        """The tensors, and ⟨gradient, direction⟩ as something to differentiate."""
        tensors = {name: Tensor(array) for name, array in values.items()}
        ops.tanh(evaluate(expression, tensors, 0)).sum().backward()
        terms = [
            (t.grad * Tensor(direction[n], requires_grad=False)).sum() for n, t in tensors.items() if t.grad is not None
        ]
        return tensors, sum(terms[1:], start=terms[0])

    def second(first, then):
        tensors, slope = along(first, arrays)
        for tensor in tensors.values():
            tensor.grad = None
        slope.backward()
        return sum((t.grad.numpy() * then[n]).sum() for n, t in tensors.items() if t.grad is not None)

    step = 1e-5
    above, below = (along(v, {n: arrays[n] + sign * step * w[n] for n in LEAVES})[1].item() for sign in (1, -1))
    vhw, whv = second(v, w), second(w, v)
    scale = 1 + abs(vhw)
    np.testing.assert_allclose(vhw / scale, whv / scale, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(vhw / scale, (above - below) / (2 * step) / scale, rtol=1e-4, atol=1e-5)
