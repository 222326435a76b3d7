"""A recurrent network step by step in torch, on any device: one product per layer and step, no input product."""

from __future__ import annotations

import torch
from torch import Tensor

from mdlm.model.base import GatedTables, LanguageModel, Stepper


class GatedStepper(Stepper):
    """An LSTM's or a GRU's chains, carrying what the last product said of the next gates.

    Args:
        model: The network, in evaluation mode.
        tables: Its `LanguageModel.gated_tables`.
        prompts_BT: What each chain continues.
        bfloat16: Compute all products but those of the logits in bfloat16.
    """

    fixed = True

    def __init__(self, model: LanguageModel, tables: GatedTables, prompts_BT: Tensor, bfloat16: bool = False) -> None:
        self.model, self.cell = model, tables.cell
        self.n_gates = tables.input_VG.shape[1]
        first, *others = [layer.input_bias_G for layer in tables.layers]
        self.input_VG = tables.input_VG + first
        self.reader_biases = (*others, tables.head_bias_V)
        self.recurrent_biases = [layer.recurrent_bias_G for layer in tables.layers]
        dtype = torch.bfloat16 if bfloat16 else torch.float32
        self.weights = [layer.joint_HN.to(dtype) for layer in tables.layers]
        self.head_HV = tables.layers[-1].joint_HN[:, self.n_gates :] if bfloat16 else None
        if bfloat16:
            self.weights[-1] = self.weights[-1][:, : self.n_gates].contiguous()
        self.mean_value_VM, self.mean_keep_M = tables.mean_value_VM, tables.mean_keep_M
        logits_BTV, (hidden, *cells, means_1BM) = model(prompts_BT, model.initial_state(len(prompts_BT)))
        self.logits_BV = logits_BTV[:, -1]
        self.means_BM = means_1BM[0]
        self.memory = list(cells[0] if cells else hidden)
        self.recurrent = [self._products(layer, hidden_BH)[0] for layer, hidden_BH in enumerate(hidden)]

    def step(self, tokens_B: Tensor) -> None:
        """See `Stepper.step`."""
        read = self.input_VG[tokens_B]
        self.means_BM = torch.addcmul(self.mean_value_VM[tokens_B], self.mean_keep_M, self.means_BM)
        for layer, bias_G in enumerate(self.recurrent_biases):
            hidden_BH = self._gates(layer, self.recurrent[layer] + bias_G, read)
            self.recurrent[layer], read = self._products(layer, hidden_BH)
        self.logits_BV = self.model.allowed(read, tokens_B)

    def _gates(self, layer: int, own_BG: Tensor, read_BG: Tensor) -> Tensor:
        """The hidden values of a layer; its memory, an LSTM's cells or a GRU's hidden values, is renewed."""
        memory = self.memory[layer]
        if self.cell == "lstm":
            i, f, g, o = (own_BG + read_BG).chunk(4, dim=1)
            self.memory[layer] = torch.addcmul(f.sigmoid() * memory, i.sigmoid(), g.tanh())
            return torch.mul(o.sigmoid(), self.memory[layer].tanh())
        own, read = own_BG.chunk(3, dim=1), read_BG.chunk(3, dim=1)
        reset, keep = (own[0] + read[0]).sigmoid(), (own[1] + read[1]).sigmoid()
        memory = self.memory[layer] = torch.lerp((reset * own[2] + read[2]).tanh(), memory, keep)
        return memory

    def _products(self, layer: int, hidden_BH: Tensor) -> tuple[Tensor, Tensor]:
        """Of a layer's hidden values: the recurrent part of its next gates, and what its reader gets."""
        weights = self.weights[layer]
        if layer == len(self.weights) - 1:
            hidden_BH = torch.cat([hidden_BH, self.means_BM], dim=1)
        products = (hidden_BH.to(weights.dtype) @ weights).float()
        own, read = products[:, : self.n_gates], products[:, self.n_gates :]
        if self.head_HV is not None and layer == len(self.weights) - 1:
            read = hidden_BH @ self.head_HV
        return own, read + self.reader_biases[layer]

    def tensors(self) -> tuple[Tensor, ...]:
        """See `Stepper.tensors`."""
        return self.logits_BV, self.means_BM, *self.memory, *self.recurrent

    def take(self, tensors: tuple[Tensor, ...]) -> None:
        """See `Stepper.take`."""
        self.logits_BV, self.means_BM, *rest = tensors
        self.memory, self.recurrent = rest[: len(self.memory)], rest[len(self.memory) :]
