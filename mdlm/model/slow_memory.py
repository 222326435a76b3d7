"""A memory of the slow modes: how the slow coordinates were lately changes what comes next."""

from __future__ import annotations

import torch
from torch import Tensor, nn

TIMES = (2.0, 8.0, 32.0, 128.0)
"""Of the running means, in tokens."""

N_MODES = 5
"""At most; what is not used is zero."""

BLOCK = 128
"""Tokens whose means are computed together, by one product instead of a loop; its work grows with their square."""


class SlowMemory(nn.Module):
    """Running means of the slow modes, and what they add to the logits.

    Each slow mode of the tokens, a number per state, is averaged over the past with weights that fall off over each of
    `TIMES`. The means enter the logits linearly. Where a crossing of a barrier is likely to turn back, the means still
    tell the side the chain came from. Everything here is fitted after training (`mdlm.training.slow_fluxes`); before,
    nothing is added.

    Shape suffixes besides those of `mdlm.model.base`: K modes, M means, those of the first time first.

    Attributes:
        n_modes: K; 0 for a model without this memory.
        n_means: M, K for each of `TIMES`.
        modes_VK: Each state's value of each mode.
        lift_MV: What a unit of each mean adds to the logits.
        keep_M: Share of each mean that is kept from token to token.
    """

    modes_VK: Tensor
    lift_MV: Tensor
    keep_M: Tensor

    def __init__(self, n_states: int, n_modes: int) -> None:
        super().__init__()
        self.n_modes, self.n_means = n_modes, n_modes * len(TIMES)
        self.register_buffer("modes_VK", torch.zeros(n_states, n_modes), persistent=n_modes > 0)
        self.register_buffer("lift_MV", torch.zeros(self.n_means, n_states), persistent=n_modes > 0)
        keep_M = torch.exp(-1 / torch.tensor(TIMES)).repeat_interleave(n_modes)
        self.register_buffer("keep_M", keep_M, persistent=False)

    def initial_state(self, n_chains: int) -> Tensor:
        """Means of a fresh chain: zeros, (1, B, M), the mean of every mode over the data."""
        return self.lift_MV.new_zeros(1, n_chains, self.n_means)

    def values_VM(self) -> Tensor:
        """What each token puts into each mean."""
        return self.modes_VK.repeat(1, len(TIMES)) * (1 - self.keep_M)

    def forward(self, tokens_BT: Tensor, before_1BM: Tensor) -> tuple[Tensor, Tensor]:
        """The means after each token, (B, T, M), and those to carry on."""
        blocks, carried_1BM = [], before_1BM
        with torch.autocast(tokens_BT.device.type, enabled=False):
            for tokens in torch.split(tokens_BT, BLOCK, dim=1):
                age_T = torch.arange(tokens.shape[1], device=tokens.device)
                faded_BTM = carried_1BM.transpose(0, 1) * self.keep_M ** (age_T[:, None] + 1)
                blocks.append(faded_BTM + self._of_block(self.values_VM()[tokens], age_T))
                carried_1BM = blocks[-1][None, :, -1]
        return torch.cat(blocks, dim=1), carried_1BM

    def _of_block(self, value_BTM: Tensor, age_T: Tensor) -> Tensor:
        """The means that begin with a block: for each time, a product of the values with a triangle of powers."""
        if len(age_T) == 1:
            return value_BTM
        apart_TT = age_T[:, None] - age_T
        keep_N = self.keep_M[:: self.n_modes]
        weight_NTT = torch.where(apart_TT < 0, 0, keep_N[:, None, None] ** apart_TT.clamp(min=0))
        value_BTNK = value_BTM.reshape(*value_BTM.shape[:2], len(TIMES), -1)
        return torch.einsum("nts,bsnk->btnk", weight_NTT, value_BTNK).flatten(-2)

    def logits(self, means: Tensor) -> Tensor:
        """What means of shape (..., M) add to the logits, (..., V)."""
        with torch.autocast(means.device.type, enabled=False):  # see `mdlm.model.base.full_precision`
            return means @ self.lift_MV
