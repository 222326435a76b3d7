"""A small causal Transformer: pre-norm, rotary positions, attention over a fixed window of frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mdlm.model.base import (
    LanguageModel,
    ModelConfig,
    State,
    Stepper,
    check_at_least,
    check_probability,
    full_precision,
)


@dataclass(frozen=True)
class TransformerConfig(ModelConfig):
    """Hyper-parameters of `Transformer`.

    Attributes:
        width: Size of each frame's vector, D.
        heads: Attention heads; ``width / heads`` must be even (rotary positions turn pairs).
        layers: Blocks of attention and feed-forward network.
        window: Frames a layer attends to, its own among them; the receptive field is ``layers`` windows.
        dropout: On attention and both block outputs while training.
    """

    width: int
    heads: int
    layers: int
    window: int
    dropout: float

    def __post_init__(self) -> None:
        check_at_least(1, width=self.width, heads=self.heads, layers=self.layers)
        check_at_least(2, window=self.window)
        check_probability(dropout=self.dropout)
        if self.width % (2 * self.heads):
            raise ValueError(f"width ({self.width}) must be a multiple of 2 * heads ({2 * self.heads})")

    @property
    def reach(self) -> int:
        """The attention window."""
        return self.window

    def build(self, n_states: int) -> Transformer:
        """A Transformer over ``n_states`` states."""
        return Transformer(self, n_states)


class Transformer(LanguageModel):
    """Decoder-only Transformer whose state is the keys and values of the last ``window - 1`` frames.

    Keys are kept unrotated and positions counted within the window, so a chain of any length sees only positions
    met in training, and one long `forward` equals any number of shorter ones.
    """

    def __init__(self, config: TransformerConfig, n_states: int) -> None:
        super().__init__(n_states)
        self.config = config
        self.embedding = nn.Embedding(n_states, config.width)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, n_states)

    def initial_state(self, n_chains: int) -> State:
        """Keys and values, each (L, B, heads, W-1, D/heads), and which of those frames exist, (1, B, W-1)."""
        c = self.config
        shape = (c.layers, n_chains, c.heads, c.window - 1, c.width // c.heads)
        zeros = self.head.weight.new_zeros(shape)
        return zeros, zeros.clone(), self.head.weight.new_zeros(1, n_chains, c.window - 1)

    def forward(self, tokens_BT: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """See `LanguageModel.forward`."""
        keys, values, seen = state or self.initial_state(len(tokens_BT))
        past, n_frames = self.config.window - 1, tokens_BT.shape[1]
        seen_BS = torch.cat([seen[0], torch.ones_like(tokens_BT, dtype=seen.dtype)], dim=1)  # S = W-1 + T
        mask_B1TS = self._band(n_frames, tokens_BT.device) & (seen_BS[:, None, None, :] > 0)
        x_BTD = self.embedding(tokens_BT)
        new_keys, new_values = [], []
        for block, key, value in zip(self.blocks, keys, values, strict=True):
            x_BTD, key, value = block(x_BTD, key, value, mask_B1TS)
            new_keys.append(key[:, :, -past:])
            new_values.append(value[:, :, -past:])
        state = torch.stack(new_keys), torch.stack(new_values), seen_BS[None, :, -past:]
        return self.allowed(full_precision(self.head, self.norm(x_BTD)), tokens_BT), state

    def stepper(self, prompts_BT: Tensor) -> RingStepper:
        """See `LanguageModel.stepper`."""
        return RingStepper(self, prompts_BT)

    def _band(self, n_frames: int, device: torch.device) -> Tensor:
        """Which of the W-1 past and T new frames each new frame may attend to: itself and the W-1 before it."""
        window = self.config.window
        query_T1 = torch.arange(n_frames, device=device)[:, None] + window - 1
        key_1S = torch.arange(window - 1 + n_frames, device=device)[None, :]
        return (key_1S <= query_T1) & (key_1S > query_T1 - window)


class RingStepper(Stepper):
    """A Transformer's chains with their keys and values in a ring of W frames, the oldest overwritten by the newest.

    Keys are turned once, by their place in the chain, when they enter; as scalar products depend on distances only,
    that equals turning all of them by their place in the window at every step. Attention does not ask for their
    order.
    """

    fixed = True  # recorded while the mask is still needed, a step goes on masking, which then does nothing

    def __init__(self, model: Transformer, prompts_BT: Tensor) -> None:
        self.model = model
        logits_BTV, (keys, values, seen) = model(prompts_BT, model.initial_state(len(prompts_BT)))
        self.logits_BV = logits_BTV[:, -1]
        # Of the next token; the ring's frames before it are 0 ... W-2. A tensor, so that a GPU can count it itself.
        self.position = torch.tensor(model.config.window - 1, device=prompts_BT.device)
        one = (0, 0, 0, 1)  # room for it
        self.keys = [F.pad(rotated(key, 0).float(), one) for key in keys]  # per block (B, heads, W, D/heads)
        self.values = [F.pad(value.float(), one) for value in values]
        self.unseen_BW = F.pad(seen[0] == 0, (0, 1))
        self.n_masked = model.config.window  # steps after which every slot was written

    def step(self, tokens_B: Tensor) -> None:
        """See `Stepper.step`."""
        slot = (self.position % self.model.config.window)[None]
        if self.n_masked:
            self.unseen_BW.index_fill_(1, slot, False)
        x_BD = self.model.embedding(tokens_B)
        for block, keys, values in zip(self.model.blocks, self.keys, self.values, strict=True):
            x_BD = self._through(cast("_Block", block), x_BD, keys, values, slot)
        logits_BV = full_precision(self.model.head, self.model.norm(x_BD))
        self.logits_BV = self.model.allowed(logits_BV, tokens_B)
        self.position += 1
        self.n_masked = max(0, self.n_masked - 1)

    def tensors(self) -> tuple[Tensor, ...]:
        """See `Stepper.tensors`."""
        return self.logits_BV, self.position, self.unseen_BW, *self.keys, *self.values

    def take(self, tensors: tuple[Tensor, ...]) -> None:
        """See `Stepper.take`."""
        self.logits_BV, self.position, self.unseen_BW, *rings = tensors
        self.keys, self.values = rings[: len(self.keys)], rings[len(self.keys) :]
        self.n_masked = self.model.config.window

    def _through(self, block: _Block, x_BD: Tensor, keys: Tensor, values: Tensor, slot: Tensor) -> Tensor:
        """One block for the newest frame of every chain."""
        qkv_B3HC = block.query_key_value(block.attention_norm(x_BD)).unflatten(-1, (3, block.heads, -1))
        query_BHC, key_BHC, value_BHC = qkv_B3HC.unbind(1)
        keys.index_copy_(2, slot, rotated(key_BHC[:, :, None], self.position).to(keys.dtype))
        values.index_copy_(2, slot, value_BHC[:, :, None].to(values.dtype))
        query_BHC1 = rotated(query_BHC[:, :, None], self.position).transpose(-1, -2)
        scores_BHW = (keys @ query_BHC1)[..., 0] / query_BHC.shape[-1] ** 0.5
        if self.n_masked:
            scores_BHW = scores_BHW.masked_fill(self.unseen_BW[:, None], -torch.inf)
        mixed_BH1C = scores_BHW.softmax(dim=-1)[:, :, None] @ values
        x_BD = x_BD + block.attention_out(mixed_BH1C.flatten(1))
        return x_BD + cast("Tensor", block.feed_forward(x_BD))


class _Block(nn.Module):
    """Attention, then a feed-forward network; each normalised before and added after."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.dropout = config.dropout
        self.attention_norm = nn.LayerNorm(config.width)
        self.query_key_value = nn.Linear(config.width, 3 * config.width, bias=False)
        self.attention_out = nn.Linear(config.width, config.width)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(config.width),
            nn.Linear(config.width, 4 * config.width),
            nn.GELU(),
            nn.Linear(4 * config.width, config.width),
            nn.Dropout(config.dropout),
        )
        self.drop = nn.Dropout(config.dropout)

    def forward(
        self, x_BTD: Tensor, past_key: Tensor, past_value: Tensor, mask_B1TS: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The block's output, and the keys and values of past and new frames, (B, heads, S, D/heads)."""
        qkv_BTD = self.query_key_value(self.attention_norm(x_BTD)).chunk(3, dim=-1)
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in qkv_BTD)
        key = torch.cat([past_key.to(key.dtype), key], dim=2)
        value = torch.cat([past_value.to(value.dtype), value], dim=2)
        n_keys = key.shape[2]
        mixed = F.scaled_dot_product_attention(
            rotated(query, n_keys - query.shape[2]),
            rotated(key, 0),
            value,
            attn_mask=mask_B1TS,
            dropout_p=self.dropout if self.training else 0.0,
        )
        x_BTD = x_BTD + self.drop(self.attention_out(mixed.transpose(1, 2).flatten(2)))
        return x_BTD + self.feed_forward(x_BTD), key, value


def rotated(x: Tensor, first_position: int | Tensor) -> Tensor:
    """Turn each pair of channels by an angle proportional to the frame's position.

    Scalar products of two turned vectors depend on their distance in frames only.

    Args:
        x: Shape (..., T, C), C even.
        first_position: Position of the first of the T frames.

    Source: Su et al., RoFormer, Neurocomputing 568, 127063 (2024).
    """
    half = x.shape[-1] // 2
    # In double precision: a chain of 1e5 frames makes angles that single precision resolves to 0.01 only.
    frequency = 10000.0 ** (-torch.arange(half, device=x.device, dtype=torch.float64) / half)
    position = first_position + torch.arange(x.shape[-2], device=x.device)
    angle = position[:, None] * frequency[None, :]
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    even, odd = x[..., :half], x[..., half:]
    return torch.cat([even * cos - odd * sin, even * sin + odd * cos], dim=-1)
