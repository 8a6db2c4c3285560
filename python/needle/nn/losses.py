"""Losses: what training makes small.  All are stable at large inputs."""

from ..graph import Tensor
from ..ops.activations import softplus
from ..ops.arithmetic import divide_scalar, multiply
from ..ops.choices import clip, where
from ..ops.functions import abs, exp, log, square
from ..ops.reductions import logsoftmax, mean, summation
from .arguments import require_tensor
from .fused_loss import cross_entropy
from .module import Module, signature
from .whole_numbers import whole_numbers


class SoftmaxLoss(Module):
    """The mean over the batch of  logsumexp(z) - z[y]  for integer labels y, or  -Σ p·logsoftmax(z)  for probabilities.

    Shapes: logits z (..., K); labels (...) of any dtype that holds whole numbers in [0, K), or probabilities (..., K).
    The result is 0-d, of the dtype of the logits.
    Raises ValueError for other shapes, a label that is not whole or out of range, and an empty batch.
    """

    def forward(self, logits: Tensor, y: Tensor) -> Tensor:
        require_tensor(self, logits, "logits")
        require_tensor(self, y, "labels")
        shape = logits.shape
        if len(shape) > 0 and y.shape == shape[:-1]:
            if y.size == 0:
                raise ValueError("SoftmaxLoss() is a mean over a batch, and this batch is empty")
            return cross_entropy(logits, whole_numbers(y, shape[-1], "label", "SoftmaxLoss"))
        if y.shape == shape and len(shape) > 1:
            return -mean(summation(multiply(y, logsoftmax(logits)), -1))
        raise ValueError(
            f"SoftmaxLoss() takes logits (..., K) with labels (...) or probabilities (..., K), "
            f"got shapes {shape} and {y.shape}"
        )


class Loss(Module):
    """A loss of each element, reduced to its mean, its sum, or not at all (`reduction` "mean", "sum" or "none")."""

    def __init__(self, reduction: str = "mean", *, device=None, dtype="float32"):
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f'reduction must be "mean", "sum" or "none", got {reduction!r}')
        self.reduction = reduction

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        require_tensor(self, x, "prediction")
        require_tensor(self, y, "target")
        if x.shape != y.shape:
            raise ValueError(f"{signature(self)} compares Tensors of one shape, got {x.shape} and {y.shape}")
        loss = self.each(x, y)
        if self.reduction == "none":
            return loss
        return mean(loss) if self.reduction == "mean" else summation(loss)

    def each(self, x: Tensor, y: Tensor) -> Tensor:
        """The loss of each element."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        return "" if self.reduction == "mean" else f"reduction={self.reduction!r}"


class MSELoss(Loss):
    """(x - y)², its mean by default.  x and y have one shape; ValueError otherwise."""

    def each(self, x: Tensor, y: Tensor) -> Tensor:
        return square(x - y)


class L1Loss(Loss):
    """|x - y|, its mean by default.  x and y have one shape; ValueError otherwise."""

    def each(self, x: Tensor, y: Tensor) -> Tensor:
        return abs(x - y)


class HuberLoss(Loss):
    """½·d² where d = |x - y| <= delta, else delta·(d - ½·delta); its mean by default.

    (Huber 1964, 10.1214/aoms/1177703732.)  x and y have one shape; ValueError otherwise.
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0, *, device=None, dtype="float32"):
        super().__init__(reduction)
        if not delta > 0:
            raise ValueError(f"delta of a HuberLoss must be positive, got {delta}")
        self.delta = delta

    def each(self, x: Tensor, y: Tensor) -> Tensor:
        distance = abs(x - y)
        near = clip(distance, None, self.delta)
        return multiply(near, distance - near * 0.5)

    def extra_repr(self) -> str:
        return ", ".join(filter(None, [super().extra_repr(), f"delta={self.delta}"]))


class BCEWithLogitsLoss(Loss):
    """Binary cross-entropy  -y·ln σ(x) - (1 - y)·ln(1 - σ(x)) = max(x, 0) - x·y + ln(1 + e^-|x|), its mean by default.

    x are logits of any shape, y probabilities or labels 0 and 1 of the same; ValueError for another shape.
    """

    def each(self, x: Tensor, y: Tensor) -> Tensor:
        return softplus(x) - multiply(x, y)


class KLDivLoss(Loss):
    """y·(ln y - x): the Kullback-Leibler divergence of probabilities y from log-probabilities x, its mean by default.

    With `log_target` y holds log-probabilities as well.  `reduction="batchmean"` divides the sum by the length of the
    first axis, which is the divergence by its definition (Kullback & Leibler 1951, 10.1214/aoms/1177729694).  0·ln 0
    is 0.  x and y have one shape; ValueError otherwise.
    """

    def __init__(self, reduction: str = "mean", log_target: bool = False, *, device=None, dtype="float32"):
        super().__init__("sum" if reduction == "batchmean" else reduction)
        self.batch_mean = reduction == "batchmean"
        self.log_target = log_target

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        loss = super().forward(x, y)
        return divide_scalar(loss, x.shape[0]) if self.batch_mean else loss

    def each(self, x: Tensor, y: Tensor) -> Tensor:
        if self.log_target:
            return multiply(exp(y), y - x)
        present = y > 0  # ln 0 must not be looked at: its derivative would be nan even where y = 0 hides the value
        return multiply(y, log(where(present, y, 1)) - x)

    def extra_repr(self) -> str:
        reduction = "reduction='batchmean'" if self.batch_mean else super().extra_repr()
        return ", ".join(filter(None, [reduction, "log_target=True" if self.log_target else ""]))
