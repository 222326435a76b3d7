"""What models of banded attention have in common: a state of past keys and values, and a ring of them to sample."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mdlm.model.attention import Chunk, Frames, Ring, band
from mdlm.model.base import State, Stepper
from mdlm.model.config import NeuralConfig
from mdlm.model.network import Network


class BandedModel(Network):
    """A model made of attentions over the same window; its state is what each of them saw in the last W-1 frames.

    How the network is wired is said once, in `features`; it serves chunks of frames in training and single ones in
    sampling alike.

    Dropout in training, besides what `mdlm.model.attention.Block` drops: a share of a chunk's frames, drawn for each
    row, is hidden from all others. That takes a random number per frame; to drop single attention weights takes one
    for each, and a plain attention, which was two fifths of the time of training on a CPU.

    Source: Li et al., DropKey, CVPR 2023, who hide keys from single queries.
    """

    def __init__(
        self,
        config: NeuralConfig,
        n_states: int,
        n_attentions: int,
        width: int,
        heads: int,
        window: int,
        dropout: float,
    ) -> None:
        super().__init__(config, n_states)
        self.n_attentions, self.heads, self.window, self.dropout = n_attentions, heads, window, dropout
        self.channels = width // heads

    @abstractmethod
    def features(self, tokens_BT: Tensor, frames: Sequence[Frames]) -> Tensor:
        """What the output layer reads after each token, (B, T, D), with what each attention looks back on, in order."""

    def looks_ahead(self) -> tuple[bool, ...]:
        """Which attentions see later frames of the same chunk: none."""
        return (False,) * self.n_attentions

    def initial_network_state(self, n_chains: int) -> State:
        """Keys and values, each (attentions, B, heads, W-1, C), and which of those frames exist, (1, B, W-1)."""
        past = self.window - 1
        one = next(self.parameters())
        zeros = one.new_zeros(self.n_attentions, n_chains, self.heads, past, self.channels)
        return zeros, zeros.clone(), one.new_zeros(1, n_chains, past)

    def network(self, tokens_BT: Tensor, state: State) -> tuple[Tensor, State]:
        """See `Network.network`."""
        keys, values, seen = state
        past, n_frames = self.window - 1, tokens_BT.shape[1]
        seen_BS = torch.cat([seen[0], torch.ones_like(tokens_BT, dtype=seen.dtype)], dim=1)  # S = W-1 + T
        exists_B11S = seen_BS[:, None, None, :] > 0
        shown_B11S = F.dropout(torch.ones_like(exists_B11S, dtype=seen.dtype), self.dropout, self.training) > 0
        own_TS = F.pad(torch.eye(n_frames, dtype=torch.bool, device=tokens_BT.device), (past, 0))
        ahead = self.looks_ahead()
        visible_B1TS = exists_B11S & (shown_B11S | own_TS)
        mask_B1TS = {a: visible_B1TS & band(n_frames, self.window, a, tokens_BT.device) for a in set(ahead)}
        chunks = [Chunk(key, value, mask_B1TS[a]) for key, value, a in zip(keys, values, ahead, strict=True)]
        x_BTD = self.features(tokens_BT, chunks)
        new_keys, new_values = (
            torch.stack([part[:, :, -past:] for part in parts])
            for parts in ([chunk.key for chunk in chunks], [chunk.value for chunk in chunks])
        )
        return x_BTD, (new_keys, new_values, seen_BS[None, :, -past:])

    def stepper(self, prompts_BT: Tensor) -> RingStepper:
        """See `LanguageModel.stepper`."""
        return RingStepper(self, prompts_BT)


class RingStepper(Stepper):
    """Chains whose attentions keep their frames in a `Ring` each, instead of moving all of them at every step."""

    fixed = True  # recorded while the mask is still needed, a step goes on masking, which then does nothing

    def __init__(self, model: BandedModel, prompts_BT: Tensor) -> None:
        self.model = model
        logits_BTV, (keys, values, seen, self.means_1BM) = model(prompts_BT, model.initial_state(len(prompts_BT)))
        self.logits_BV = logits_BTV[:, -1]
        self.rings = [Ring(key, value, seen[0]) for key, value in zip(keys, values, strict=True)]

    def step(self, tokens_B: Tensor) -> None:
        """See `Stepper.step`."""
        tokens_B1 = tokens_B[:, None]
        x_B1D = self.model.features(tokens_B1, self.rings)
        logits_B1V, self.means_1BM = self.model.output(x_B1D, tokens_B1, self.means_1BM)
        self.logits_BV = logits_B1V[:, 0]

    def tensors(self) -> tuple[Tensor, ...]:
        """See `Stepper.tensors`."""
        return self.logits_BV, self.means_1BM, *(tensor for ring in self.rings for tensor in ring.tensors())

    def take(self, tensors: tuple[Tensor, ...]) -> None:
        """See `Stepper.take`."""
        self.logits_BV, self.means_1BM, *rest = tensors
        size = len(rest) // len(self.rings)
        for number, ring in enumerate(self.rings):
            ring.take(tuple(rest[number * size : (number + 1) * size]))
