"""Compiled part of a sampling step of a recurrent network: draw the token, then update the gates, layer by layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from mdlm.trajectory import FloatArray, IntArray

ONE, TWO = np.float32(1), np.float32(2)
LN_SMALLEST = np.float32(-86)  # e to this is near the smallest normal number; what is less likely still gets zero


@intrinsic
def _as_float(typing_context: Any, bits: Any) -> Any:  # noqa: ANN401
    """The float32 of these 32 bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


@njit(inline="always")
def _exp(x: Any) -> Any:  # noqa: ANN401
    """e^x to 2e-7, without branches so that it is computed for several numbers at once; clamped to [-87, 88].

    2 to the whole part of x / ln 2 goes into the exponent bits; a polynomial does the rest.
    """
    x = max(min(x, np.float32(88)), np.float32(-87))
    t = x * np.float32(1.4426950408889634)
    whole = np.floor(t + np.float32(0.5))
    r = t - whole
    p = np.float32(1.535336188319500e-4)
    p = p * r + np.float32(1.339887440266574e-3)
    p = p * r + np.float32(9.618437357674640e-3)
    p = p * r + np.float32(5.550332471162809e-2)
    p = p * r + np.float32(2.402264791363012e-1)
    p = p * r + np.float32(6.931472028550421e-1)
    p = p * r + ONE
    return p * _as_float((np.int32(whole) + np.int32(127)) << np.int32(23))


@njit(inline="always")
def _sigmoid(x: Any) -> Any:  # noqa: ANN401
    return ONE / (ONE + _exp(-x))


@njit(inline="always")
def _tanh(x: Any) -> Any:  # noqa: ANN401
    return TWO / (ONE + _exp(-TWO * x)) - ONE


FLAGS = {"fastmath": {"contract", "nnan", "nsz"}, "error_model": "numpy", "nogil": True, "cache": True}
"""Division without a test for zero, which would rule out vector instructions; infinities keep their meaning."""


@njit(**FLAGS)
def _sigmoids(x: FloatArray, more: FloatArray, bias: FloatArray) -> None:
    for k in range(x.size):
        x[k] = _sigmoid(x[k] + more[k] + bias[k])


@njit(**FLAGS)
def _tanhs(x: FloatArray, more: FloatArray, bias: FloatArray) -> None:
    for k in range(x.size):
        x[k] = _tanh(x[k] + more[k] + bias[k])


@njit(**FLAGS)
def _remember(cell: FloatArray, write: FloatArray, keep: FloatArray, content: FloatArray) -> None:
    for k in range(cell.size):
        cell[k] = keep[k] * cell[k] + write[k] * content[k]


@njit(**FLAGS)
def _show(hidden: FloatArray, gate: FloatArray, cell: FloatArray) -> None:
    for k in range(hidden.size):
        hidden[k] = gate[k] * _tanh(cell[k])


@njit(**FLAGS)
def _candidates(x: FloatArray, reset: FloatArray, own_bias: FloatArray, more: FloatArray, bias: FloatArray) -> None:
    for k in range(x.size):
        x[k] = _tanh(reset[k] * (x[k] + own_bias[k]) + more[k] + bias[k])


@njit(**FLAGS)
def _blend(hidden: FloatArray, keep: FloatArray, content: FloatArray) -> None:
    for k in range(hidden.size):
        hidden[k] = content[k] + keep[k] * (hidden[k] - content[k])


@njit(**FLAGS)
def update_lstm(
    products_BN: FloatArray,
    inputs_RN: FloatArray,
    first: int,
    rows_B: IntArray,
    input_bias_G: FloatArray,
    recurrent_bias_G: FloatArray,
    hidden_BH: FloatArray,
    cell_BH: FloatArray,
) -> None:
    """One frame of one layer's equations for each chain, in place. All arrays in C order.

    Short loops over few whole arrays, as the compiler makes vector instructions of those: five times faster than one
    loop over the units.

    Args:
        products_BN: Of ``hidden_BH @ joint_HN``. The first G columns, the recurrent part of the gates' inputs in
            torch's order, are overwritten by the gates.
        inputs_RN: The other part of their inputs: a table with a row for each token, or the products of the layer
            below.
        first: Where its G columns begin.
        rows_B: The row of each chain: its token, or its own number.
        input_bias_G: Added to both.
        recurrent_bias_G: The same.
        hidden_BH: The first columns, as many as ``cell_BH`` has, are overwritten.
        cell_BH: Overwritten.
    """
    n_units = cell_BH.shape[1]
    f, g, o, end = n_units, 2 * n_units, 3 * n_units, 4 * n_units
    bias_G = input_bias_G + recurrent_bias_G
    for chain in range(len(rows_B)):
        gates, read = products_BN[chain], inputs_RN[rows_B[chain]][first : first + end]
        _sigmoids(gates[:g], read[:g], bias_G[:g])
        _tanhs(gates[g:o], read[g:o], bias_G[g:o])
        _sigmoids(gates[o:end], read[o:end], bias_G[o:end])
        _remember(cell_BH[chain], gates[:f], gates[f:g], gates[g:o])
        _show(hidden_BH[chain][:n_units], gates[o:end], cell_BH[chain])


@njit(**FLAGS)
def update_gru(
    products_BN: FloatArray,
    inputs_RN: FloatArray,
    first: int,
    rows_B: IntArray,
    input_bias_G: FloatArray,
    recurrent_bias_G: FloatArray,
    hidden_BH: FloatArray,
    cell_BH: FloatArray,
) -> None:
    """The same for gated recurrent units, in torch's order r, z, n; see `update_lstm`. Cells are not used."""
    n_units = cell_BH.shape[1]
    z, n, end = n_units, 2 * n_units, 3 * n_units
    bias_G = input_bias_G + recurrent_bias_G
    for chain in range(len(rows_B)):
        gates, read = products_BN[chain], inputs_RN[rows_B[chain]][first : first + end]
        _sigmoids(gates[:n], read[:n], bias_G[:n])
        _candidates(gates[n:end], gates[:z], recurrent_bias_G[n:end], read[n:end], input_bias_G[n:end])
        _blend(hidden_BH[chain][:n_units], gates[z:n], gates[n:end])


@njit(**FLAGS)
def update_means(
    hidden_BH: FloatArray, first: int, tokens_B: IntArray, value_VM: FloatArray, keep_M: FloatArray
) -> None:
    """Put each chain's token into its running means, which are the columns of ``hidden_BH`` from ``first`` on."""
    for chain in range(len(tokens_B)):
        means_M, value_M = hidden_BH[chain][first:], value_VM[tokens_B[chain]]
        for k in range(means_M.size):
            means_M[k] = keep_M[k] * means_M[k] + value_M[k]


@njit(**FLAGS)
def _exponentials(x: FloatArray, largest: np.float32) -> None:
    for state in range(x.size):
        shifted = x[state] - largest
        x[state] = _exp(shifted) if shifted > LN_SMALLEST else np.float32(0)


@njit(**FLAGS)
def draw(
    products_BN: FloatArray,
    bias_V: FloatArray,
    added_VV: FloatArray,
    inverse_temperature: np.float32,
    uniform_B: FloatArray,
    tokens_B: IntArray,
    drawn_B: IntArray,
) -> None:
    """Replace each chain's token by the next one, drawn by inverting its cumulative distribution.

    Exponentials in single precision, relative to the most likely token, sums in double precision: a probability of
    1e-6 is as well resolved as one of 0.5. A token of probability zero is never drawn.

    Args:
        products_BN: The last V columns are the logits without their bias.
        bias_V: Of the logits.
        added_VV: Added to the logits after each token; minus infinity forbids a jump.
        inverse_temperature: Multiplies the logits.
        uniform_B: Uniform in [0, 1).
        tokens_B: The last tokens; overwritten.
        drawn_B: Gets the new tokens too.
    """
    n_states = bias_V.size
    n_gates = products_BN.shape[1] - n_states
    weight_V = np.empty(n_states, np.float32)
    below_V = np.empty(n_states, np.float64)
    for chain in range(len(tokens_B)):
        logits_V, added_V = products_BN[chain, n_gates:], added_VV[tokens_B[chain]]
        largest = np.float32(-np.inf)
        for state in range(n_states):
            weight_V[state] = (logits_V[state] + bias_V[state] + added_V[state]) * inverse_temperature
            largest = max(largest, weight_V[state])
        _exponentials(weight_V, largest)
        total = 0.0
        for state in range(n_states):
            total += weight_V[state]
            below_V[state] = total
        target = uniform_B[chain] * total
        token = 0
        while token < n_states - 1 and below_V[token] <= target:
            token += 1
        while weight_V[token] == 0:  # rounding took the target to the very end
            token -= 1
        tokens_B[chain] = token
        drawn_B[chain] = token
