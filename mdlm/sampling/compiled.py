"""A recurrent network on a CPU: one matrix product per layer and step, the rest compiled."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mdlm.model.base import GatedTables, LanguageModel
from mdlm.sampling.engines import Engine
from mdlm.sampling.products import Product, in_bfloat16, in_float32
from mdlm.sampling.uniforms import Keys, uniforms
from mdlm.trajectory import IntArray

BLOCK = 125
"""Chains advanced together, at most: their products stay in a core's own cache. How chains are divided does not depend
on the machine, so that neither does the rounding of their products."""


class CompiledEngine(Engine):
    """An LSTM or a GRU on a CPU, its chains shared out to threads.

    One product per layer and step gives its next gates' inputs and what the layer above, or the head, reads; the
    token's part of the first layer's inputs comes from a table. The rest is compiled (`mdlm.sampling.gate_kernels`).

    Args:
        model: The network, in evaluation mode.
        tables: Its `LanguageModel.gated_tables`.
        prompts_BT: What each chain continues.
        keys_B: Of the chains' random numbers.
        temperature: Divides the logits.
        n_threads: To share the chains out to.
        bfloat16: Compute all products but those of the logits in bfloat16.
    """

    def __init__(
        self,
        model: LanguageModel,
        tables: GatedTables,
        prompts_BT: Tensor,
        keys_B: Keys,
        temperature: float,
        n_threads: int,
        bfloat16: bool = False,
    ) -> None:
        n_chains = len(prompts_BT)
        _, state = model(prompts_BT, model.initial_state(n_chains))
        net = _Network(tables, model.added_VV.numpy(), np.float32(1 / temperature), bfloat16)
        n_blocks = min(n_chains, max(2, -(-n_chains // BLOCK)))
        parts = [part.tolist() for part in np.array_split(np.arange(n_chains), n_blocks)]
        self.blocks = [_Block(net, keys_B[part], part, max(1, n_threads // n_blocks)) for part in parts]
        self.pool = ThreadPoolExecutor(min(n_threads, n_blocks))
        self.take((prompts_BT[:, -1], *state))

    def advance(self, first: int, chains_BT: IntArray) -> None:
        """See `Engine.advance`."""
        list(self.pool.map(lambda block: block.advance(first, chains_BT), self.blocks))

    def tensors(self) -> tuple[Tensor, ...]:
        """The last token of each chain, shape (B,), then the state as the model has it."""
        parts = [block.tensors() for block in self.blocks]
        return tuple(torch.cat(part, dim=part[0].ndim // 2) for part in zip(*parts, strict=True))

    def take(self, tensors: tuple[Tensor, ...]) -> None:
        """See `Engine.take`."""
        for block in self.blocks:
            block.take(tensors)


class _Network:
    """What all blocks share."""

    def __init__(
        self, tables: GatedTables, added_VV: NDArray[np.float32], inverse_temperature: np.float32, bfloat16: bool
    ) -> None:
        from mdlm.sampling.gate_kernels import update_gru, update_lstm

        self.added_VV, self.inverse_temperature = added_VV, inverse_temperature
        self.input_VG, self.head_bias_V = tables.input_VG.numpy(), tables.head_bias_V.numpy()
        self.n_gates = self.input_VG.shape[1]
        self.has_cells = tables.cell == "lstm"
        self.means = (tables.mean_value_VM.numpy(), tables.mean_keep_M.numpy())
        self.n_units = self.n_gates // (4 if self.has_cells else 3)
        self.widths = [layer.joint_HN.shape for layer in tables.layers]
        self.biases = [(layer.input_bias_G.numpy(), layer.recurrent_bias_G.numpy()) for layer in tables.layers]
        self.update: Callable[..., Any] = update_lstm if tables.cell == "lstm" else update_gru
        self.products: list[Product] = []
        for number, layer in enumerate(tables.layers):
            is_last = number == len(tables.layers) - 1
            n_rough = self.n_gates if is_last else layer.joint_HN.shape[1]
            self.products.append(in_bfloat16(layer.joint_HN, n_rough) if bfloat16 else in_float32(layer.joint_HN))


class _Block:
    """Some of the chains."""

    def __init__(self, net: _Network, keys_B: Keys, chains: list[int], n_threads: int) -> None:
        self.net, self.keys_B, self.chains, self.n_threads = net, keys_B, chains, n_threads
        self.numbers_B = np.arange(len(chains))
        self.tokens_B = np.zeros(len(chains), np.int64)
        self.hidden = [torch.zeros(len(chains), n_read) for n_read, _ in net.widths]  # the last: and the means
        self.cell = [torch.zeros(len(chains), net.n_units) for _ in net.widths]
        self.products = [torch.zeros(len(chains), n_columns) for _, n_columns in net.widths]

    def tensors(self) -> tuple[Tensor, ...]:
        n_units = self.net.n_units
        cells = [torch.stack(self.cell)] if self.net.has_cells else []
        hidden_LBH = torch.stack([hidden[:, :n_units] for hidden in self.hidden])
        return torch.from_numpy(self.tokens_B).clone(), hidden_LBH, *cells, self.hidden[-1][None, :, n_units:].clone()

    def take(self, tensors: tuple[Tensor, ...]) -> None:
        tokens_B, hidden_LBH, *cells, means_1BM = tensors
        self.tokens_B[:] = tokens_B[self.chains].numpy()
        self.hidden[-1][:, self.net.n_units :] = means_1BM[0, self.chains]
        for number, hidden_BH in enumerate(self.hidden):
            hidden_BH[:, : self.net.n_units] = hidden_LBH[number, self.chains]
            if self.net.has_cells:
                self.cell[number].copy_(cells[0][number, self.chains])

    @torch.inference_mode()
    def advance(self, first: int, chains_BT: IntArray) -> None:
        from mdlm.sampling.gate_kernels import draw, update_means

        torch.set_num_threads(self.n_threads)  # of this thread: the blocks are what is shared out
        net, products = self.net, [product.numpy() for product in self.products]
        uniforms_TB = uniforms(self.keys_B, first, chains_BT.shape[1])
        drawn_TB = np.empty(uniforms_TB.shape, chains_BT.dtype)
        for layer in range(len(products)):  # what the last token left behind
            net.products[layer](self.hidden[layer], self.products[layer])
        for uniform_B, drawn_B in zip(uniforms_TB, drawn_TB, strict=True):
            last = (products[-1], net.head_bias_V, net.added_VV, net.inverse_temperature)
            draw(*last, uniform_B, self.tokens_B, drawn_B)
            update_means(self.hidden[-1].numpy(), net.n_units, self.tokens_B, *net.means)
            inputs = (net.input_VG, 0, self.tokens_B)
            for layer, biases in enumerate(net.biases):
                state = (self.hidden[layer].numpy(), self.cell[layer].numpy())
                net.update(products[layer], *inputs, *biases, *state)
                net.products[layer](self.hidden[layer], self.products[layer])
                inputs = (products[layer], net.n_gates, self.numbers_B)
        chains_BT[self.chains] = drawn_TB.T
