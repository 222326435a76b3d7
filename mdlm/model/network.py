"""What trained networks have in common: an anchor that the logits may be residuals over, and a memory of slow modes."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor, nn

from mdlm.model.base import LanguageModel, State
from mdlm.model.config import Anchor, NeuralConfig
from mdlm.model.slow_memory import N_MODES


def output_layer(width: int, n_states: int, anchor: Anchor) -> nn.Linear:
    """The layer that gives the logits; zero at first where they are residuals over an anchor."""
    layer = nn.Linear(width, n_states)
    if anchor != "none":
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    return layer


class Network(LanguageModel):
    """A model trained by gradients; its state is the network's own and the means of the memory of slow modes."""

    def __init__(self, config: NeuralConfig, n_states: int) -> None:
        super().__init__(n_states, N_MODES if config.anchor == "slow_modes" else 0)

    def initial_state(self, n_chains: int) -> State:
        """See `LanguageModel.initial_state`."""
        return (*self.initial_network_state(n_chains), self.slow_memory.initial_state(n_chains))

    def forward(self, tokens_BT: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """See `LanguageModel.forward`."""
        *own, means = state or self.initial_state(len(tokens_BT))
        logits_BTV, own_after = self.network(tokens_BT, tuple(own))
        logits_BTV, means = self.remembered(logits_BTV, tokens_BT, means)
        return self.allowed(logits_BTV, tokens_BT), (*own_after, means)

    def remembered(self, logits_BTV: Tensor, tokens_BT: Tensor, means_1BM: Tensor) -> tuple[Tensor, Tensor]:
        """The logits with what the memory of slow modes adds, and the means to carry on."""
        if not self.slow_memory.n_means:
            return logits_BTV, means_1BM
        means_BTM, means_1BM = self.slow_memory(tokens_BT, means_1BM)
        return logits_BTV + self.slow_memory.logits(means_BTM), means_1BM

    @abstractmethod
    def initial_network_state(self, n_chains: int) -> State:
        """The network's own part of `initial_state`."""

    @abstractmethod
    def network(self, tokens_BT: Tensor, state: State) -> tuple[Tensor, State]:
        """What `forward` does, but for `allowed` and the memory of slow modes."""
