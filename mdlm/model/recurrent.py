"""What recurrent models have in common."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from mdlm.model.base import GatedLayer, GatedTables
from mdlm.model.slow_memory import SlowMemory


@torch.inference_mode()
def gated_tables(
    cell: Literal["lstm", "gru"], network: nn.RNNBase, embedding: nn.Embedding, head: nn.Linear, memory: SlowMemory
) -> GatedTables:
    """The weights of embedding, stacked layers, head and memory of slow modes, arranged for sampling; copies."""

    def weight(name: str, layer: int) -> torch.Tensor:
        return network.get_parameter(f"{name}_l{layer}")

    layers = []
    for layer in range(network.num_layers):
        is_last = layer == network.num_layers - 1
        reader = head.weight if is_last else weight("weight_ih", layer + 1)
        joint_HN = torch.cat([weight("weight_hh", layer), reader]).T.contiguous()
        if is_last:
            n_gates = len(weight("weight_hh", layer))
            joint_HN = torch.cat([joint_HN, F.pad(memory.lift_MV, (n_gates, 0))])
        biases = (weight(name, layer).clone() for name in ("bias_ih", "bias_hh"))
        layers.append(GatedLayer(joint_HN, *biases))
    input_VG = embedding.weight @ weight("weight_ih", 0).T
    means = memory.values_VM().contiguous(), memory.keep_M.clone()
    return GatedTables(cell, input_VG, tuple(layers), head.bias.clone(), *means)
