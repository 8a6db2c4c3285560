"""An LSTM over a whole sequence as one op."""

from ..graph import Tensor
from ..ops.elementwise import add, multiply, sigmoid, tanh
from ..ops.movement import stack
from .linear import affine


def lstm(
    x: Tensor, h: Tensor, c: Tensor, W_ih: Tensor, W_hh: Tensor, bias_ih: Tensor | None, bias_hh: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The states h and c (T, B, H) after each step of x (T, B, in), from h and c (B, H) on."""
    from_input = affine(x, W_ih, bias_ih)
    outputs, cells = [], []
    n = h.shape[1]
    for step in from_input:
        gates = add(step, affine(h, W_hh, bias_hh))
        i, f, g, o = (gates[:, k * n : (k + 1) * n] for k in range(4))
        c = add(multiply(sigmoid(f), c), multiply(sigmoid(i), tanh(g)))
        h = multiply(sigmoid(o), tanh(c))
        outputs.append(h)
        cells.append(c)
    return stack(outputs, 0), stack(cells, 0)
