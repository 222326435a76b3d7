"""What trained networks have in common: an anchor that the logits may be residuals over, and a memory of slow modes."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from mdlm.model.base import LanguageModel, State, full_precision
from mdlm.model.config import Anchor, NeuralConfig
from mdlm.model.likelihood import LinearOutput
from mdlm.model.slow_memory import N_MODES


def output_layer(width: int, n_states: int, anchor: Anchor) -> nn.Linear:
    """The layer that gives the logits; zero at first where they are residuals over an anchor."""
    layer = nn.Linear(width, n_states)
    if anchor != "none":
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    return layer


class Network(LanguageModel):
    """A model trained by gradients; its state is the network's own and the means of the memory of slow modes.

    Attributes:
        embedding: Of the states.
        head: The output layer.
    """

    embedding: nn.Embedding
    head: nn.Linear

    def __init__(self, config: NeuralConfig, n_states: int) -> None:
        super().__init__(n_states, N_MODES if config.anchor == "slow_modes" else 0)

    def initial_state(self, n_chains: int) -> State:
        """See `LanguageModel.initial_state`."""
        return (*self.initial_network_state(n_chains), self.slow_memory.initial_state(n_chains))

    @property
    def n_state_parameters(self) -> int:
        """See `LanguageModel.n_state_parameters`."""
        return sum(part.numel() for layer in (self.embedding, self.head) for part in layer.parameters())

    def forward(self, tokens_BT: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """See `LanguageModel.forward`."""
        *own, means_1BM = state or self.initial_state(len(tokens_BT))
        x_BTH, own_after = self.network(tokens_BT, tuple(own))
        logits_BTV, means_1BM = self.output(x_BTH, tokens_BT, means_1BM)
        return logits_BTV, (*own_after, means_1BM)

    def output(self, x_BTH: Tensor, tokens_BT: Tensor, means_1BM: Tensor) -> tuple[Tensor, Tensor]:
        """From what `network` made to the logits: output layer, memory of slow modes, `allowed`; and the means."""
        logits_BTV = full_precision(self.head, x_BTH)
        if self.slow_memory.n_means:
            means_BTM, means_1BM = self.slow_memory(tokens_BT, means_1BM)
            logits_BTV = logits_BTV + self.slow_memory.logits(means_BTM)
        return self.allowed(logits_BTV, tokens_BT), means_1BM

    def nll(self, tokens_BT: Tensor, targets_BT: Tensor, state: State) -> tuple[Tensor, State]:
        """See `LanguageModel.nll`."""
        found, state = self.linear_output(tokens_BT, targets_BT, state)
        return found.nll(), state

    def linear_output(self, tokens_BT: Tensor, targets_BT: Tensor, state: State) -> tuple[LinearOutput, State]:
        """What `forward` finds, but the logits not yet computed, and all frames in one row; arguments as of `nll`.

        The means of the memory of slow modes are inputs of the output layer more.
        """
        *own, means_1BM = state
        x_BTH, own_after = self.network(tokens_BT, tuple(own))
        weight_VH = self.head.weight
        with torch.autocast(tokens_BT.device.type, enabled=False):  # see `full_precision`
            x_BTH = x_BTH.float()
            if self.slow_memory.n_means:
                means_BTM, means_1BM = self.slow_memory(tokens_BT, means_1BM)
                x_BTH = torch.cat([x_BTH, means_BTM], dim=-1)
                weight_VH = torch.cat([weight_VH, self.slow_memory.lift_MV.T], dim=1)
        flat = tokens_BT.flatten(), targets_BT.flatten()
        found = LinearOutput(x_BTH.flatten(0, 1), weight_VH, self.head.bias, self.added_VV, *flat)
        return found, (*own_after, means_1BM)

    @abstractmethod
    def initial_network_state(self, n_chains: int) -> State:
        """The network's own part of `initial_state`."""

    @abstractmethod
    def network(self, tokens_BT: Tensor, state: State) -> tuple[Tensor, State]:
        """What the output layer reads after each token, (B, T, H), and the network's own state to carry on."""
