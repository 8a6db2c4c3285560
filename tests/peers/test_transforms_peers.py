"""A sample of transforms against JAX and torch.func, in float64: every mode, batches, jets, loops, rules by hand.

All three compute the same products in another order: 1e-9 relative is ample.
"""

import numpy as np
import pytest

import needle as ndl

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
jax.config.update("jax_enable_x64", True)
jet = pytest.importorskip("jax.experimental.jet").jet
jnp, func = jax.numpy, torch.func
# PyTorch's forward mode compiles its own rules with what PyTorch deprecates, and warns of what it makes itself.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Attempted to insert a get_attr Node:UserWarning"),
]

CLOSE = {"rtol": 1e-9, "atol": 1e-11}
RNG = np.random.default_rng(0)
W, V = RNG.normal(size=(3, 3)), RNG.normal(size=3)
X, U, BATCH = RNG.normal(size=3), RNG.normal(size=3), RNG.normal(size=(4, 3))


def vector_function(library, array):
    """R³ → R³, written for one library."""
    return lambda x: library.tanh(array(W) @ x) * library.sin(x) + x**3


OURS = vector_function(ndl, lambda a: ndl.Tensor(a, requires_grad=False))
JAXS = vector_function(jnp, jnp.asarray)
TORCHS = vector_function(torch, torch.as_tensor)


def summed(f):
    return lambda x: (f(x) * f(x)).sum()


TRANSFORMS = {
    "grad": lambda t, f, x, u: t.grad(summed(f))(x),
    "vjp": lambda t, f, x, u: t.vjp(f, x)[1](u)[0],
    "jvp": lambda t, f, x, u: t.jvp(f, (x,), (u,)),
    "linearize": lambda t, f, x, u: t.linearize(f, x)[1](u),
    "jacfwd": lambda t, f, x, u: t.jacfwd(f)(x),
    "jacrev": lambda t, f, x, u: t.jacrev(f)(x),
    "hessian": lambda t, f, x, u: t.hessian(summed(f))(x),
    "hessian of a vector": lambda t, f, x, u: t.hessian(f)(x),
    "hvp": lambda t, f, x, u: t.jvp(t.grad(summed(f)), (x,), (u,)),
    "reverse over forward": lambda t, f, x, u: t.grad(lambda x: t.jvp(summed(f), (x,), (u,))[1])(x),
    "third order": lambda t, f, x, u: t.jacrev(t.jacfwd(t.grad(summed(f))))(x),
    "argnums": lambda t, f, x, u: t.grad(lambda a, b: (f(a) * b).sum(), argnums=(0, 1))(x, u),
    "has_aux": lambda t, f, x, u: t.grad(lambda x: (summed(f)(x), f(x)), has_aux=True)(x),
    "tree": lambda t, f, x, u: t.grad(lambda p: (f(p["a"]) * p["b"]).sum())({"a": x, "b": u}),
}
BATCHED = {
    "per-example gradients": lambda t, f, xs, u: t.vmap(t.grad(summed(f)))(xs),
    "batched Hessians": lambda t, f, xs, u: t.vmap(t.hessian(summed(f)))(xs),
    "batched tangents": lambda t, f, xs, u: t.vmap(lambda x: t.jvp(f, (x,), (u,))[1])(xs),
    "shared argument": lambda t, f, xs, u: t.vmap(lambda x, u: f(x) * u, (0, None), 1)(xs, u),
    "gradient of a batch": lambda t, f, xs, u: t.grad(lambda u: t.vmap(lambda x: (f(x * u)).sum())(xs).sum())(u),
}


def leaves(result) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree_util.tree_leaves(result)]


def agree(ours, theirs):
    ours, theirs = leaves(ours), leaves(theirs)
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs):
        assert mine.shape == other.shape
        np.testing.assert_allclose(mine, other, **CLOSE)


@pytest.mark.parametrize("name", [*TRANSFORMS, *BATCHED])
def test_transforms_are_those_of_jax_and_torch(name):
    transform = (TRANSFORMS | BATCHED)[name]
    x = X if name in TRANSFORMS else BATCH
    ours = transform(ndl, OURS, x, U)
    agree(ours, transform(jax, JAXS, jnp.asarray(x), jnp.asarray(U)))
    agree(ours, transform(func, TORCHS, torch.tensor(x), torch.tensor(U)))


@pytest.mark.parametrize("order", [1, 3, 5])
def test_jets_follow_jax(order):
    series = [RNG.normal(size=3) for _ in range(order)]
    ours = ndl.jet(lambda x: ndl.tanh(x) * ndl.exp(x), (X,), (series,))
    theirs = jet(lambda x: jnp.tanh(x) * jnp.exp(x), (jnp.asarray(X),), ([jnp.asarray(s) for s in series],))
    agree(ours, theirs)


def test_a_derivative_by_hand_is_that_of_jax():
    def made(library):
        f = library.custom_jvp(lambda x, y: x * x * y)
        f.defjvp(lambda primals, tangents: (f(*primals), 7 * primals[0] * tangents[0] + primals[1] * tangents[1]))
        return f

    for transform in (
        lambda t, f: t.grad(f, argnums=(0, 1))(1.5, 2.5),
        lambda t, f: t.jvp(f, (1.5, 2.5), (1.0, -2.0)),
        lambda t, f: t.grad(t.grad(f))(1.5, 2.5),
        lambda t, f: t.hessian(f, argnums=1)(1.5, 2.5),
    ):
        agree(transform(ndl, made(ndl)), transform(jax, made(jax)))


LOOPS = {
    "scan": lambda t, lax, x: lax.scan(lambda c, x: (t.sin(c * x), c + x), 0.5, x),
    "scan backwards": lambda t, lax, x: lax.scan(lambda c, x: (t.sin(c * x), c + x), 0.5, x, reverse=True),
    "map": lambda t, lax, x: lax.map(lambda x: t.sin(x) * x, x),
    "fori_loop": lambda t, lax, x: lax.fori_loop(0, 4, lambda i, v: t.sin(v) * x + i, x),
    "cond": lambda t, lax, x: lax.cond(x.sum() > 0, lambda x: t.sin(x), lambda x: x**2, x),
}


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
def test_control_flow_is_that_of_jax(loop):
    ours, theirs = lambda x: loop(ndl, ndl, x), lambda x: loop(jnp, jax.lax, x)
    agree(ours(X), theirs(jnp.asarray(X)))
    agree(ndl.jacrev(ours)(X), jax.jacrev(theirs)(jnp.asarray(X)))
    agree(ndl.jvp(ours, (X,), (U,)), jax.jvp(theirs, (jnp.asarray(X),), (jnp.asarray(U),)))
    agree(ndl.vmap(ours)(BATCH), jax.vmap(theirs)(jnp.asarray(BATCH)))


def test_while_loop_is_that_of_jax():
    ours = lambda x: ndl.while_loop(lambda v: v < 10, lambda v: v * 1.5 + 1, x)
    theirs = lambda x: jax.lax.while_loop(lambda v: v < 10, lambda v: v * 1.5 + 1, x)
    agree(ndl.jvp(ours, (0.7,), (1.0,)), jax.jvp(theirs, (0.7,), (1.0,)))
    agree(ndl.vmap(ours)(BATCH[:, 0]), jax.vmap(theirs)(jnp.asarray(BATCH[:, 0])))


def test_checkpoint_is_that_of_jax_to_second_order():
    agree(ndl.hessian(ndl.checkpoint(summed(OURS)))(X), jax.hessian(jax.checkpoint(summed(JAXS)))(jnp.asarray(X)))


def test_complex_gradients_are_torchs():
    z = RNG.normal(size=3) + 1j * RNG.normal(size=3)
    ours = ndl.grad(lambda z: (ndl.abs(z * z + 1) ** 2).sum())(z)
    theirs = torch.tensor(z, requires_grad=True)
    (torch.abs(theirs * theirs + 1) ** 2).sum().backward()
    agree(ours, theirs.grad.numpy())
