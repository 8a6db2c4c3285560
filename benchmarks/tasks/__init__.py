"""The races, one file a task: the same computation in every library, one below the other."""

from benchmarks.tasks import (
    array_functions,
    chain,
    cnn,
    gelu,
    hessian,
    hvp,
    lstm,
    mlp,
    nth,
    per_example,
    pinn,
    resnet,
    resnet9,
    sparse_hessian,
)  # fmt: skip

TASKS = (
    chain.TASK, mlp.TASK, resnet.TASK, cnn.TASK, resnet9.TASK, lstm.TASK,
    nth.TASK, hessian.TASK, hvp.TASK, pinn.TASK, per_example.TASK, sparse_hessian.TASK,
    gelu.TASK, *array_functions.TASKS,
)  # fmt: skip
