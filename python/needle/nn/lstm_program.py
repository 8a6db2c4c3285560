"""The LSTM of fused_lstm.py as a trace records it: each step's arrays by themselves, so that a program can choose where
they lie and do all that is element by element in one pass.

Gates are in the order i, f, g, o, and the batch is the last axis.  σ(a) = tanh(a/2)/2 + 1/2: with weights scaled
accordingly all four gates are one tanh.
"""

from typing import Any

import numpy as np

STEPS = 128  # the most that are recorded

_FACTOR = (0.5, 0.5, 1, 0.5)  # of each gate: gate = factor·tanh(factor·a) + summand
_SUMMAND = (0.5, 0.5, 0, 0.5)


def values(x, h, c, W_ih, W_hh, *biases) -> tuple:
    """What `LSTMSequence.compute` gives; kept are the gates (T, 4, H, B), and of each step (T, H, B) the cell before it
    and the tanh of the one after."""
    (steps, batch, width), size = x.shape, h.shape[1]
    factor, summand = (np.array(n, x.dtype).reshape(4, 1, 1) for n in (_FACTOR, _SUMMAND))
    of_column = np.repeat(factor, size)
    rows = x.transpose(0, 2, 1)
    if biases:
        W_ih = np.concatenate([W_ih, (biases[0] + biases[1])[None]])
        rows = np.empty_like(x, order="C", shape=(steps, width + 1, batch))
        rows[:, :width], rows[:, width] = x.transpose(0, 2, 1), 1
    from_input = np.matmul((W_ih * of_column).T, rows).reshape(steps, 4, size, batch)
    from_state = (W_hh * of_column).T
    h, c = h.T, c.T
    gates, states, cells, bent = [], [], [c], []
    for t in range(steps):
        gate = np.tanh(from_input[t] + np.matmul(from_state, h).reshape(4, size, batch)) * factor + summand
        i, f, g, o = (gate[k] for k in range(4))
        c = f * c + i * g
        tanh_c = np.tanh(c)
        h = o * tanh_c
        gates.append(gate)
        states.append(h)
        cells.append(c)
        bent.append(tanh_c)
    outputs, after, before = np.stack(states), np.stack(cells[1:]), np.stack(cells[:-1])
    return outputs.transpose(0, 2, 1), after.transpose(0, 2, 1), np.stack(gates), before, np.stack(bent)


def adjoint(out_grads: tuple, outputs: tuple, inputs: tuple, needs: tuple[bool, ...]) -> tuple:
    """What `LSTMSequence.adjoint` gives, from what `values` gave."""
    x, h, _, W_ih, W_hh, *biases = inputs
    (steps, batch, width), size = x.shape, h.shape[1]
    by_output, by_cell = [None if g is None else g.transpose(0, 2, 1) for g in out_grads]
    states, _, gates, before, bent = outputs
    # What each step multiplies its adjoints with, for all steps at once: d(h or c)/d(gate), and dh/dc
    i, f, g, o = (gates[:, k] for k in range(4))
    by_ifg = np.stack([g * i * (1 - i), before * f * (1 - f), i * (1 - np.square(g))], 1)
    by_o, passed = bent * o * (1 - o), o * (1 - np.square(bent))

    dh: Any = None
    dc: Any = None
    columns = np.empty_like(gates, order="C", shape=(4, size, steps, batch))
    by_step = columns.reshape(4 * size, steps, batch)
    for t in reversed(range(steps)):
        dh = _sum(dh, None if by_output is None else by_output[t])
        dc = _sum(_sum(dc, None if by_cell is None else by_cell[t]), None if dh is None else dh * passed[t])
        columns[:3, :, t] = by_ifg[t] * dc
        columns[3, :, t] = 0 if dh is None else by_o[t] * dh
        dh, dc = np.matmul(W_hh, by_step[:, t]), dc * f[t]

    by_z = columns.reshape(4 * size, steps * batch).T
    by_x = by_W_ih = by_W_hh = by_bias = None
    if needs[0]:
        by_x = np.matmul(by_z, W_ih.T).reshape(x.shape)
    if needs[3]:
        by_W_ih = np.matmul(x.reshape(-1, width).T, by_z)
    if needs[4]:
        previous = np.empty_like(x, order="C", shape=(size, steps, batch))
        previous[:, 0], previous[:, 1:] = h.T, states[:-1].transpose(2, 0, 1)
        by_W_hh = np.matmul(previous.reshape(size, -1), by_z)
    if any(needs[5:]):
        by_bias = np.add.reduce(by_z, 0)
    return (by_x, dh.T, dc.T, by_W_ih, by_W_hh, *[by_bias for _ in biases])


def _sum(a, b):
    """a + b, None for zero."""
    return a if b is None else b if a is None else a + b
