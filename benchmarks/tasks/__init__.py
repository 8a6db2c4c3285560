"""The races, one file a task: the same computation in every library, one below the other."""

from benchmarks.tasks import chain, cnn, hessian, lstm, mlp, per_example, resnet, resnet9

TASKS = (chain.TASK, mlp.TASK, resnet.TASK, cnn.TASK, resnet9.TASK, lstm.TASK, hessian.TASK, per_example.TASK)
