"""One training step as a user of each library writes it, for a model, an optimizer and one batch."""


def needle_step(model, optimizer, batch):
    """`optimizer` is an instance that holds the model's parameters; `batch` is (X, y) as NumPy arrays."""
    import needle as ndl

    X, y = (ndl.Tensor(array, requires_grad=False) for array in batch)
    loss_fn = ndl.nn.SoftmaxLoss()

    def step():
        optimizer.reset_grad()
        loss = loss_fn(model(X), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def torch_step(model, optimizer, batch):
    """The same step in PyTorch."""
    import torch

    X, y = (torch.from_numpy(array) for array in batch)

    def step():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(X), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def torch_compile_step(model, optimizer, batch):
    """The same step with `torch.compile` for the loss, whose gradient is then compiled too, and for the update."""
    import torch

    X, y = (torch.from_numpy(array) for array in batch)
    loss_of = torch.compile(lambda X, y: torch.nn.functional.cross_entropy(model(X), y))
    update = torch.compile(optimizer.step)

    def step():
        optimizer.zero_grad()
        loss = loss_of(X, y)
        loss.backward()
        update()
        return loss

    return step


def jax_step(loss, update, weights, batch):
    """The same step as jax.jit wants it: `loss(weights, X, y)` and `update(weights, state, gradient)` are pure."""
    import jax

    weights = [jax.numpy.asarray(weight) for weight in weights]
    X, y = (jax.numpy.asarray(array) for array in batch)
    state = [jax.numpy.zeros(())] + [jax.numpy.zeros_like(weight) for weight in weights * 2]

    @jax.jit
    def compiled(weights, state):
        value, gradient = jax.value_and_grad(loss)(weights, X, y)
        return value, *update(weights, state, gradient)

    def step():
        nonlocal weights, state
        value, weights, state = jax.block_until_ready(compiled(weights, state))
        return value

    return step


def jax_cross_entropy(logits, y):
    import jax

    return -jax.numpy.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1).mean()


def jax_sgd(learning_rate):
    """Plain gradient descent; the state is handed through."""

    def update(weights, state, gradient):
        return [w - learning_rate * g for w, g in zip(weights, gradient, strict=True)], state

    return update


def jax_adam(learning_rate, beta1=0.9, beta2=0.999, eps=1e-8):
    """Adam; the state is the step count, then all first moments, then all second ones."""

    def update(weights, state, gradient):
        t = state[0] + 1
        first, second = state[1 : 1 + len(weights)], state[1 + len(weights) :]
        first = [beta1 * m + (1 - beta1) * g for m, g in zip(first, gradient, strict=True)]
        second = [beta2 * v + (1 - beta2) * g * g for v, g in zip(second, gradient, strict=True)]
        scale1, scale2 = 1 - beta1**t, 1 - beta2**t
        weights = [
            w - learning_rate * (m / scale1) / ((v / scale2) ** 0.5 + eps)
            for w, m, v in zip(weights, first, second, strict=True)
        ]
        return weights, [t, *first, *second]

    return update
