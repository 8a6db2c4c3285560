"""Recurrent nets: cells that make one step, and layers that walk a sequence (T, B, features) from its first step on."""

import math

from .. import init
from ..graph import Tensor
from ..ops.activations import relu
from ..ops.arithmetic import add, multiply
from ..ops.functions import sigmoid, tanh
from ..ops.movement import concatenate, reshape, stack
from .arguments import require_features, require_sequence, require_sizes, require_state
from .fused_lstm import lstm
from .linear import affine
from .module import Module, Parameter, signature


class Cell(Module):
    """What the cells share: W_ih (in, gates·h), W_hh (h, gates·h), and biases, all U(±√(1/h)), drawn in this order."""

    gates: int

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device=None, dtype="float32"):
        require_sizes(self, input_size=input_size, hidden_size=hidden_size)
        bound, width = math.sqrt(1 / hidden_size), self.gates * hidden_size
        options = {"low": -bound, "high": bound, "device": device, "dtype": dtype}
        self.input_size, self.hidden_size = input_size, hidden_size
        self.W_ih = Parameter(init.rand(input_size, width, **options))
        self.W_hh = Parameter(init.rand(hidden_size, width, **options))
        self.bias_ih = Parameter(init.rand(width, **options)) if bias else None
        self.bias_hh = Parameter(init.rand(width, **options)) if bias else None

    def start(self, batch: int) -> Tensor:
        """The state before the first step: zeros (batch, hidden_size)."""
        return init.zeros(batch, self.hidden_size, device=self.W_hh.device, dtype=self.W_hh.dtype)

    def states(self, x: Tensor, *given) -> list[Tensor]:
        """The states that were given, checked, zeros for those that are None."""
        require_features(self, x, self.input_size)
        if x.ndim != 2:
            raise ValueError(f"{signature(self)} takes one step of shape (B, {self.input_size}), got shape {x.shape}")
        shape = (x.shape[0], self.hidden_size)
        for state, name in zip(given, "hc"):
            if state is not None:
                require_state(self, state, shape, name)
        return [self.start(shape[0]) if state is None else state for state in given]

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias_ih is not None else ", bias=False")


class RNNCell(Cell):
    """h' = tanh(x·W_ih + b_ih + h·W_hh + b_hh), or relu in place of tanh (Elman 1990, 10.1207/s15516709cog1402_1).

    Called (x, h=None) with x (B, input_size), h (B, hidden_size) or None (zeros); returns h' (B, hidden_size).
    """

    gates = 1

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity="tanh", device=None, dtype="float32"
    ):
        if nonlinearity not in _NONLINEARITIES:
            raise ValueError(f'nonlinearity must be "tanh" or "relu", got {nonlinearity!r}')
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, x: Tensor, h: Tensor | None = None) -> Tensor:
        (h,) = self.states(x, h)
        return self.step(affine(x, self.W_ih, self.bias_ih), h)

    def step(self, from_input: Tensor, h: Tensor) -> Tensor:
        """One step, of which x·W_ih + b_ih is known."""
        return _NONLINEARITIES[self.nonlinearity](add(from_input, affine(h, self.W_hh, self.bias_hh)))


_NONLINEARITIES = {"tanh": tanh, "relu": relu}


class LSTMCell(Cell):
    """i, f, g, o = the four parts of x·W_ih + b_ih + h·W_hh + b_hh;  c' = σ(f)·c + σ(i)·tanh(g),  h' = σ(o)·tanh(c').

    (Hochreiter & Schmidhuber 1997, 10.1162/neco.1997.9.8.1735, with the forget gate of Gers et al. 2000.)
    Called (x, (h, c) or None) with x (B, input_size), h and c (B, hidden_size); returns (h', c').
    """

    gates = 4

    def forward(self, x: Tensor, h: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        h0, c0 = self.states(x, *_pair(self, h))
        output, cells = lstm(reshape(x, (1, *x.shape)), h0, c0, self.W_ih, self.W_hh, self.bias_ih, self.bias_hh)
        return output[0], cells[0]


class GRUCell(Cell):
    """r, z = σ of the first parts of x·W_ih + b_ih + h·W_hh + b_hh;  n = tanh(x·W_in + b_in + r·(h·W_hn + b_hn));
    h' = (1 - z)·n + z·h.

    (Cho et al. 2014, arXiv:1406.1078, in the form of PyTorch and cuDNN: gates in the order r, z, n along 3h.)
    Called (x, h=None) with x (B, input_size), h (B, hidden_size) or None (zeros); returns h' (B, hidden_size).
    """

    gates = 3

    def forward(self, x: Tensor, h: Tensor | None = None) -> Tensor:
        (h,) = self.states(x, h)
        return self.step(affine(x, self.W_ih, self.bias_ih), h)

    def step(self, from_input: Tensor, h: Tensor) -> Tensor:
        """One step, of which x·W_ih + b_ih is known."""
        n = self.hidden_size
        from_state = affine(h, self.W_hh, self.bias_hh)
        gates = sigmoid(add(from_input[:, : 2 * n], from_state[:, : 2 * n]))
        reset, update = gates[:, :n], gates[:, n:]
        new = tanh(add(from_input[:, 2 * n :], multiply(reset, from_state[:, 2 * n :])))
        return add(new, multiply(update, h - new))


class _Layers(Module):
    """What the layers share: checks, and walking one cell over all steps with x·W_ih of all steps in one product."""

    def check(self, X: Tensor, *states) -> None:
        require_sequence(self, X, self.input_size)
        shape = (self.num_layers, X.shape[1], self.hidden_size)
        for state, name in zip(states, "hc"):
            if state is not None:
                require_state(self, state, shape, name)

    def walk(self, cells, X: Tensor, h0: Tensor | None) -> tuple[Tensor, Tensor]:
        self.check(X, h0)
        last = []
        for layer, cell in enumerate(cells):
            h = cell.start(X.shape[1]) if h0 is None else h0[layer]
            outputs = []
            for from_input in affine(X, cell.W_ih, cell.bias_ih):
                h = cell.step(from_input, h)
                outputs.append(h)
            X = stack(outputs, 0)
            last.append(h)
        return X, stack(last, 0)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + (f", {self.num_layers}" if self.num_layers != 1 else "")


class RNN(_Layers):
    """`num_layers` RNNCells, each walking over what the one below it gave.

    Called (X, h0=None) with X (T, B, input_size), h0 (num_layers, B, hidden_size) or None (zeros); returns the last
    layer's states (T, B, hidden_size) and every layer's last state (num_layers, B, hidden_size).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        nonlinearity="tanh",
        device=None,
        dtype="float32",
    ):
        require_sizes(self, num_layers=num_layers)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.rnn_cells = [
            RNNCell(size, hidden_size, bias, nonlinearity, device, dtype)
            for size in [input_size] + [hidden_size] * (num_layers - 1)
        ]

    def forward(self, X: Tensor, h0: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.walk(self.rnn_cells, X, h0)


class GRU(_Layers):
    """`num_layers` GRUCells, each walking over what the one below it gave.

    Called (X, h0=None) with X (T, B, input_size), h0 (num_layers, B, hidden_size) or None (zeros); returns the last
    layer's states (T, B, hidden_size) and every layer's last state (num_layers, B, hidden_size).
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, device=None, dtype="float32"
    ):
        require_sizes(self, num_layers=num_layers)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.gru_cells = [
            GRUCell(size, hidden_size, bias, device, dtype) for size in [input_size] + [hidden_size] * (num_layers - 1)
        ]

    def forward(self, X: Tensor, h0: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.walk(self.gru_cells, X, h0)


class LSTM(_Layers):
    """`num_layers` LSTMCells, each walking over what the one below it gave, as one op a layer.

    Called (X, (h0, c0) or None) with X (T, B, input_size), h0 and c0 (num_layers, B, hidden_size), None for zeros;
    returns the last layer's h (T, B, hidden_size), and the tuple of every layer's last h and c, each (num_layers, B,
    hidden_size).
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, device=None, dtype="float32"
    ):
        require_sizes(self, num_layers=num_layers)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.lstm_cells = [
            LSTMCell(size, hidden_size, bias, device, dtype) for size in [input_size] + [hidden_size] * (num_layers - 1)
        ]

    def forward(self, X: Tensor, h: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        h0, c0 = _pair(self, h)
        self.check(X, h0, c0)
        last_h, last_c = [], []
        start = self.lstm_cells[0].start(X.shape[1])
        for layer, cell in enumerate(self.lstm_cells):
            first_h, first_c = [start if state is None else state[layer] for state in (h0, c0)]
            X, cells = lstm(X, first_h, first_c, cell.W_ih, cell.W_hh, cell.bias_ih, cell.bias_hh)
            last_h.append(X[-1:])
            last_c.append(cells[-1:])
        return X, (_joined(last_h), _joined(last_c))


def _joined(states: list[Tensor]) -> Tensor:
    return states[0] if len(states) == 1 else concatenate(states, 0)


def _pair(layer: Module, state) -> tuple:
    if state is None:
        return None, None
    if not isinstance(state, (tuple, list)) or len(state) != 2:
        raise TypeError(f"{signature(layer)} takes its state as a pair (h, c) or None, got {type(state).__name__}")
    return tuple(state)
