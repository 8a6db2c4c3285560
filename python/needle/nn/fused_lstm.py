"""An LSTM over a whole sequence as one op.

Inside, the batch is the last axis: a gate of one step is a block of memory without gaps, and the weights enter the
products as they are (transposed views, for which BLAS has its fastest small products).
"""

import numpy as np

from ..fused import Fused, alike, items_of
from ..graph import Tensor, Unrecorded, tracing
from ..ops.arithmetic import add, multiply
from ..ops.functions import sigmoid, tanh
from ..ops.movement import stack
from . import lstm_program
from .linear import affine


def lstm(
    x: Tensor, h: Tensor, c: Tensor, W_ih: Tensor, W_hh: Tensor, bias_ih: Tensor | None, bias_hh: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The states h and c (T, B, H) after each step of x (T, B, in), from h and c (B, H) on."""
    biases = () if bias_ih is None else (bias_ih, bias_hh)
    outputs, cells = items_of(LSTMSequence()(*alike(x, h, c, W_ih, W_hh, *biases)), 2)
    return outputs, cells


class LSTMSequence(Fused):
    """i, f, g, o = x·W_ih + b_ih + h·W_hh + b_hh;  c = σ(f)·c + σ(i)·tanh(g);  h = σ(o)·tanh(c), for each step of x

    Inputs: x (T, B, in), h and c (B, H), W_ih (in, 4H), W_hh (H, 4H), and maybe b_ih, b_hh (4H,).
    Values: h and c (T, B, H) after each step.  Kept: the gates (T, 4, H, B), in the order o, i, f, g.
    """

    __slots__ = ()

    values = 2

    def formula(self, x, h, c, W_ih, W_hh, bias_ih=None, bias_hh=None):
        outputs, cells = [], []
        n = h.shape[1]
        for from_input in affine(x, W_ih, bias_ih):
            gates = add(from_input, affine(h, W_hh, bias_hh))
            i, f, g, o = (gates[:, k * n : (k + 1) * n] for k in range(4))
            c = add(multiply(sigmoid(f), c), multiply(sigmoid(i), tanh(g)))
            h = multiply(sigmoid(o), tanh(c))
            outputs.append(h)
            cells.append(c)
        return stack(outputs, 0), stack(cells, 0)

    def compute(self, x, h, c, W_ih, W_hh, *biases):
        if tracing() is not None:
            if len(x) > lstm_program.STEPS:
                raise Unrecorded
            return lstm_program.values(x, h, c, W_ih, W_hh, *biases)
        (steps, batch, _), size = x.shape, h.shape[1]
        from_state = halved(W_hh, size).T
        gates = np.matmul(halved(with_row(W_ih, biases), size).T, features_first(x, ones=bool(biases)))
        blocks = gates.reshape(steps, 4, size, batch)
        outputs = np.empty_like(x, order="C", shape=(steps, size, batch))
        cells = np.empty_like(outputs)
        half = np.full_like(x, 0.5, order="C", shape=(3, size, batch))
        h, c = np.ascontiguousarray(h.T), np.ascontiguousarray(c.T)
        product, part = np.empty_like(gates[0]), np.empty_like(h)
        each_step = zip(gates, blocks[:, :3], *blocks.transpose(1, 0, 2, 3), outputs, cells)
        for gate, sigmoids, o, i, f, g, h_next, c_next in each_step:
            from_state.dot(h, product)
            gate += product
            np.tanh(gate, gate)
            sigmoids *= half
            sigmoids += half
            np.multiply(f, c, c_next)
            np.multiply(i, g, part)
            c_next += part
            np.tanh(c_next, part)
            np.multiply(o, part, h_next)
            h, c = h_next, c_next
        return outputs.transpose(0, 2, 1), cells.transpose(0, 2, 1), blocks

    def adjoint(self, out_grads, outputs, inputs, needs):
        if len(outputs) > 3:  # what a program kept
            return lstm_program.adjoint(out_grads, outputs, inputs, needs)
        if tracing() is not None:
            raise Unrecorded
        x, h, c, W_ih, W_hh, *biases = inputs
        (steps, batch, width), size = x.shape, h.shape[1]
        by_output, by_cell = [None if g is None else np.ascontiguousarray(g.transpose(0, 2, 1)) for g in out_grads]
        states, cells, gates = outputs[0].transpose(0, 2, 1), outputs[1].transpose(0, 2, 1), outputs[2]

        # What each step multiplies its adjoints with, for all steps at once: d(h or c)/d(gate) in `slopes`, dh/dc in
        # `passed`.  (Through views of their own: `slopes[:, 0] *= …` would also copy the result onto itself.)
        o, i, f, g = gates.transpose(1, 0, 2, 3)
        slopes = np.empty_like(gates)
        by_o, by_i, by_f, by_g = slopes.transpose(1, 0, 2, 3)
        sigmoids = slopes[:, :3]
        np.subtract(1, gates[:, :3], sigmoids)
        sigmoids *= gates[:, :3]
        passed = np.tanh(cells)
        by_o *= passed
        by_i *= g
        np.multiply(by_f[0], c.T, by_f[0])
        np.multiply(by_f[1:], cells[:-1], by_f[1:])
        np.multiply(g, g, by_g)
        np.subtract(1, by_g, by_g)
        by_g *= i
        passed *= passed
        np.subtract(1, passed, passed)
        passed *= o

        dz = slopes.reshape(steps, 4 * size, batch)
        back = gates_in_order(W_hh, size)
        dh, dc, part = np.zeros_like(cells[0]), np.zeros_like(cells[0]), np.empty_like(cells[0])
        if by_cell is None:
            by_cell = [None] * steps
        if by_output is None:
            by_output = [None] * steps
        each_step = zip(by_output, by_cell, passed, by_o, slopes[:, 1:], dz, f, strict=True)
        for from_output, from_cell, pass_on, slope_o, slope_ifg, all_slopes, keep in reversed(list(each_step)):
            if from_output is not None:
                dh += from_output
            if from_cell is not None:
                dc += from_cell
            np.multiply(dh, pass_on, part)
            dc += part
            slope_o *= dh
            slope_ifg *= dc
            back.dot(all_slopes, dh)
            dc *= keep

        by_x = by_W_ih = by_W_hh = by_bias = None
        if needs[0]:
            by_x = np.matmul(gates_in_order(W_ih, size), dz).transpose(0, 2, 1)
        if any(needs[3:]):
            rows = np.empty_like(x, order="C", shape=(width + 1 + size, steps, batch))
            rows[:width] = x.transpose(2, 0, 1)
            rows[width] = 1
            rows[width + 1 :, 0] = h.T
            rows[width + 1 :, 1:] = states[:-1].transpose(1, 0, 2)
            columns = np.empty_like(x, order="C", shape=(4, size, steps, batch))
            columns[:3], columns[3] = slopes[:, 1:].transpose(1, 2, 0, 3), slopes[:, 0].transpose(1, 0, 2)
            by_all = np.matmul(rows.reshape(len(rows), -1), columns.reshape(4 * size, -1).T)
            by_W_ih, by_bias, by_W_hh = by_all[:width], by_all[width], by_all[width + 1 :]
        return (by_x, dh.T, dc.T, by_W_ih, by_W_hh, *[by_bias for _ in biases])


def gates_in_order(weight, size: int):
    """The columns i, f, g, o of a weight as o, i, f, g: the three sigmoids side by side, and the three that pass
    through the cell."""
    out = np.empty_like(weight, order="C")
    out[:, :size], out[:, size:] = weight[:, 3 * size :], weight[:, : 3 * size]
    return out


def halved(weight, size: int):
    """`gates_in_order`, those of sigmoids halved: σ(a) = (1 + tanh(a/2)) / 2, so that one tanh makes all four gates."""
    weight = gates_in_order(weight, size)
    weight[:, : 3 * size] *= 0.5
    return weight


def with_row(weight, biases):
    """The weight with the sum of the biases as one more row."""
    return np.concatenate([weight, (biases[0] + biases[1])[None]]) if biases else weight


def features_first(x, ones: bool):
    """x (T, B, in) as (T, in, B), with a row of ones for the bias if wanted."""
    steps, batch, width = x.shape
    out = np.empty_like(x, order="C", shape=(steps, width + ones, batch))
    out[:, :width] = x.transpose(0, 2, 1)
    out[:, width:] = 1
    return out
