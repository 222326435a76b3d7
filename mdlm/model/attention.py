"""Attention over a fixed window of frames, with rotary positions: the pieces of every Transformer here.

Shape suffixes besides those of `mdlm.model.base`: S keys, W frames of the window, C channels of a head, D / heads.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Frames(ABC):
    """The keys and values one attention looks back on."""

    @abstractmethod
    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Take in the new frames' keys and values, and mix the values for each new query.

        Args:
            query: Shape (B, heads, T, C), like ``key`` and ``value``; none is rotated yet.
            key: Of the new frames.
            value: Of the new frames.

        Returns:
            Shape (B, heads, T, C).
        """


class Chunk(Frames):
    """The W-1 frames before a chunk of T new ones, and a mask of who may see whom.

    Keys are kept unrotated and positions counted within what is here, so a chain of any length sees only positions
    met in training, and one long chunk equals any number of shorter ones.

    Attributes:
        key: Of past and, after `attend`, of new frames: (B, heads, S, C).
        value: The same of values.
        mask_B1TS: True where a query may see a key, S = W-1 + T.
    """

    def __init__(self, key: Tensor, value: Tensor, mask_B1TS: Tensor) -> None:
        self.key, self.value, self.mask_B1TS = key, value, mask_B1TS

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """See `Frames.attend`."""
        if query.is_cpu:  # whose attention in bfloat16 was measured to be three times slower, mostly backwards
            query, key, value = query.float(), key.float(), value.float()
        n_past = self.key.shape[2]
        self.key = torch.cat([self.key.to(key.dtype), key], dim=2)
        self.value = torch.cat([self.value.to(value.dtype), value], dim=2)
        query, key = rotated(query, n_past), rotated(self.key, 0)
        with torch.autocast("cpu", enabled=False):
            return F.scaled_dot_product_attention(query, key, self.value, attn_mask=self.mask_B1TS)


class Ring(Frames):
    """The last W frames of each chain in a ring, the oldest overwritten by the newest; takes one frame at a time.

    Keys are turned once, by their place in the chain, when they enter; as scalar products depend on distances only,
    that equals turning all of them by their place in the window at every step. Attention does not ask for their
    order.
    """

    def __init__(self, key: Tensor, value: Tensor, seen_BS: Tensor) -> None:
        """Begin with W-1 frames, unrotated, of which those not ``seen_BS`` do not exist."""
        # Of the next frame; those before it are 0 ... W-2. A tensor, so that a GPU can count it itself.
        self.position = torch.tensor(key.shape[2], device=key.device)
        one = (0, 0, 0, 1)  # room for it
        self.keys = F.pad(rotated(key, 0).float(), one)  # (B, heads, W, C)
        self.values = F.pad(value.float(), one)
        self.unseen_BW = F.pad(seen_BS == 0, (0, 1))
        self.n_masked = self.keys.shape[2]  # steps after which every slot was written

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """See `Frames.attend`; T = 1."""
        slot = (self.position % self.keys.shape[2])[None]
        self.keys.index_copy_(2, slot, rotated(key, self.position).to(self.keys.dtype))
        self.values.index_copy_(2, slot, value.to(self.values.dtype))
        scores_BH1W: Tensor = rotated(query, self.position) @ self.keys.transpose(-1, -2) / query.shape[-1] ** 0.5
        if self.n_masked:
            self.unseen_BW.index_fill_(1, slot, False)
            scores_BH1W = scores_BH1W.masked_fill(self.unseen_BW[:, None, None], -torch.inf)
            self.n_masked -= 1
        self.position += 1
        return scores_BH1W.softmax(dim=-1) @ self.values

    def tensors(self) -> tuple[Tensor, ...]:
        """All that changes from frame to frame."""
        return self.position, self.unseen_BW, self.keys, self.values

    def take(self, tensors: tuple[Tensor, ...]) -> None:
        """Go on from what `tensors` gave."""
        self.position, self.unseen_BW, self.keys, self.values = tensors
        self.n_masked = self.keys.shape[2]


class Block(nn.Module):
    """Self-attention, then a feed-forward network; each normalised before and added after.

    Dropout acts on what either adds.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.attention_out = nn.Linear(width, width)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
            nn.Dropout(dropout),
        )
        self.drop = nn.Dropout(dropout)

    def attend(self, x_BTD: Tensor, frames: Frames) -> Tensor:
        """The first half: attention to ``frames`` and to the new ones."""
        qkv_BTD = self.query_key_value(self.attention_norm(x_BTD)).chunk(3, dim=-1)
        query, key, value = (by_head(part_BTD, self.heads) for part_BTD in qkv_BTD)
        mixed = frames.attend(query, key, value)
        return x_BTD + self.drop(self.attention_out(mixed.transpose(1, 2).flatten(2)))  # type: ignore[no-any-return]

    def forward(self, x_BTD: Tensor, frames: Frames) -> Tensor:
        """The whole block."""
        x_BTD = self.attend(x_BTD, frames)
        return x_BTD + self.feed_forward(x_BTD)  # type: ignore[no-any-return]


class CrossAttention(nn.Module):
    """Attention of frames to those of another stack, normalised before and added after."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x_BTD: Tensor, source_BTD: Tensor, frames: Frames) -> Tensor:
        """Frame t of ``x_BTD`` attends to the source's past ``frames`` and to its new ones, ``source_BTD``."""
        query = by_head(self.query(self.norm(x_BTD)), self.heads)
        key, value = (by_head(part_BTD, self.heads) for part_BTD in self.key_value(source_BTD).chunk(2, dim=-1))
        mixed = frames.attend(query, key, value)
        return x_BTD + self.drop(self.out(mixed.transpose(1, 2).flatten(2)))  # type: ignore[no-any-return]


def by_head(x_BTD: Tensor, heads: int) -> Tensor:
    """The channels shared out to the heads: (B, heads, T, C)."""
    return x_BTD.reshape(*x_BTD.shape[:2], heads, -1).transpose(1, 2)


def band(n_frames: int, window: int, ahead: bool, device: torch.device) -> Tensor:
    """Which of W-1 past and T new frames each new frame may see: itself and the W-1 before it.

    Args:
        n_frames: T.
        window: W.
        ahead: All later frames of the chunk too, which no correct model may.
        device: Of the result.

    Returns:
        Booleans of shape (T, W-1 + T).
    """
    query_T1 = torch.arange(n_frames, device=device)[:, None] + window - 1
    key_1S = torch.arange(window - 1 + n_frames, device=device)[None, :]
    recent_TS = key_1S > query_T1 - window
    return recent_TS if ahead else recent_TS & (key_1S <= query_T1)


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
