"""The steps of a training run as compiled functions, wherever they can be; else as they are."""

from collections.abc import Callable
from typing import Any

from ..graph import Tensor, TensorTuple, tracing
from ..init import ones_like
from ..optim import Optimizer
from ..program import jit, watched
from ..transforms.trees import Tree

TRIES = 24  # traces, of at least half as many calls, after which compiling is given up

_SHOWN = (Tensor, TensorTuple, int, float, complex, str, type(None))


class Attempt:
    """`fun`, compiled where it can be.

    At the first call `fun` itself is run and watched: what does more than a program would do is not compiled.  Where
    compiling fails, `fun` is called as it is from then on.

    Args:
        backend: of jit; None for `fun` as it is.
        is_known: whether there is no need to watch.
        undo: whether what is watched can be undone, so that the first call, too, is one of the program.

    Attributes:
        calls: how many calls were compiled.
        why_not: why compiling was given up; "" as long as it was not.
    """

    def __init__(self, fun: Callable[..., Any], backend: str | None, is_known: bool = False, undo: bool = True):
        self.fun, self.is_known, self.undo, self.calls, self.why_not = fun, is_known, undo, 0, ""
        self._compiled = None if backend is None else jit(fun, backend=backend, wait=True)

    def __call__(self, *args: Any) -> Any:
        if self._compiled is None:
            return self.fun(*args)
        if not self.is_known:
            self.is_known = True
            result, why = watched(self.fun, args, self.undo)
            if why:
                self._give_up(why)
            if why or not self.undo:
                return result
        try:
            result = self._compiled(*args)
        except Exception as error:
            result = self.fun(*args)  # the trace has put everything back; a mistake of the caller's shows here again
            self._give_up(f"{type(error).__name__}: {error}")
            return result
        self.calls += 1
        if self._compiled.traces >= TRIES and 2 * self._compiled.traces > self.calls:
            self._give_up(
                f"it was traced {self._compiled.traces} times in {self.calls} calls, since something that it depends "
                "on (a shape, or a number that it closes over) is another one each time"
            )
        return result

    @property
    def name(self) -> str:
        return self.fun.__name__.replace("_", " ")

    def _give_up(self, why: str) -> None:
        self._compiled, self.why_not = None, " ".join(why.split())


def gradient_of(model: Callable[..., Any], loss: Callable[[Any, Tensor], Tensor]) -> Callable[..., Any]:
    """The function from a batch to the prediction and the loss, that leaves gradients in `.grad`: with a `share`, that
    part of them, added to what is there."""

    def training_step(inputs: tuple[Tensor, ...], target: Tensor, share: float | None) -> tuple[Any, Tensor]:
        prediction = model(*inputs)
        value = loss(prediction, target)
        require_one_number(value)
        if share is None:
            value.backward(create_graph=False)
        else:
            value.backward(ones_like(value, requires_grad=False) * share, accumulate=True, create_graph=False)
        return _whole(prediction), value

    return training_step


def update_of(optimizer: Optimizer, clip: float | None) -> Callable[[], None]:
    """The function that moves the parameters along their gradients, and forgets these."""

    def optimizer_step() -> None:
        if clip is not None:
            optimizer.clip_grad_norm(clip)
        optimizer.step()
        optimizer.reset_grad()

    return optimizer_step


def forward_of(model: Callable[..., Any], loss: Callable[[Any, Tensor], Tensor] | None) -> Callable[..., Any]:
    """The function from a batch to the prediction and the loss, if there is one."""

    def validation(inputs: tuple[Tensor, ...], target: Tensor) -> tuple[Any, Tensor | None]:
        prediction = model(*inputs)
        return _whole(prediction), None if loss is None else loss(prediction, target)

    return validation


def require_one_number(loss: Any) -> None:
    if not isinstance(loss, Tensor) or loss.size != 1:
        came = f"shape {loss.shape}" if isinstance(loss, Tensor) else f"a {type(loss).__name__}"
        raise TypeError(f"the loss must be a Tensor of one number, the mean over the batch; got {came}")


def _whole(prediction: Any) -> Any:
    """What a model returned, if a compiled function can return it: all of its Tensors are in view."""
    if tracing() is not None:
        for leaf in Tree(prediction).leaves:
            if not isinstance(leaf, _SHOWN):
                raise TypeError(f"the model returns an object ({type(leaf).__name__}) into which jit does not look")
    return prediction
