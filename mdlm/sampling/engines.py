"""How a model is advanced: step by step through torch, or, for an LSTM on a CPU, by one product and compiled gates.

An engine holds the chains' state and is told only the random numbers; it never allocates in its inner loop.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mdlm.model.base import GatedTables, LanguageModel
from mdlm.trajectory import IntArray

Uniforms = NDArray[np.float64]


class Engine(ABC):
    """Chains on their way.

    Every engine draws by inverting the cumulative distribution with the same random numbers, so that two engines
    differ by the rounding of the logits only.
    """

    @abstractmethod
    def advance(self, uniforms_TB: Uniforms, chains_BT: IntArray) -> None:
        """Draw one token per chain and row of random numbers, into ``chains_BT``."""


class TorchEngine(Engine):
    """The plain one: the model's own `LanguageModel.stepper` for all chains at once, on the model's device."""

    def __init__(self, model: LanguageModel, prompts_BT: Tensor, temperature: float) -> None:
        self.temperature = temperature
        self.device = model.forbidden_VV.device
        self.stepper = model.stepper(prompts_BT.to(self.device))

    def advance(self, uniforms_TB: Uniforms, chains_BT: IntArray) -> None:
        """See `Engine.advance`."""
        drawn_BT = torch.empty(chains_BT.shape, dtype=torch.int64, device=self.device)
        for frame, uniform_B in enumerate(torch.from_numpy(uniforms_TB).to(self.device)):
            tokens_B = inverse_cdf(self.stepper.logits_BV / self.temperature, uniform_B)
            drawn_BT[:, frame] = tokens_B
            self.stepper.step(tokens_B)
        chains_BT[...] = drawn_BT.cpu().numpy()


class CompiledEngine(Engine):
    """An LSTM of one layer on a CPU, its chains shared out to threads.

    One matrix product per step gives the next gates' inputs and the logits; the token's part of the inputs comes
    from a table. The rest is compiled (`mdlm.sampling.lstm_kernels`).
    """

    block = 250
    """Chains advanced together: their products stay in a core's own cache."""

    def __init__(
        self, model: LanguageModel, tables: GatedTables, prompts_BT: Tensor, temperature: float, n_threads: int
    ) -> None:
        _, (hidden, cell) = model(prompts_BT, model.initial_state(len(prompts_BT)))
        tokens_B = prompts_BT[:, -1].numpy().astype(np.int64)
        penalty_VV = np.where(model.forbidden_VV.numpy(), -np.inf, 0.0).astype(np.float32)
        n_blocks = max(n_threads, -(-len(tokens_B) // self.block))
        self.n_threads = n_threads
        inverse = np.float32(1 / temperature)
        self.blocks = [
            _Block(tables, penalty_VV, inverse, tokens_B[part], hidden[0, part], cell[0, part], part)
            for part in np.array_split(np.arange(len(tokens_B)), min(n_blocks, len(tokens_B)))
        ]

    def advance(self, uniforms_TB: Uniforms, chains_BT: IntArray) -> None:
        """See `Engine.advance`."""
        with ThreadPoolExecutor(self.n_threads) as pool:
            list(pool.map(lambda block: block.advance(uniforms_TB, chains_BT), self.blocks))


class _Block:
    """Some of the chains."""

    def __init__(
        self,
        tables: GatedTables,
        penalty_VV: NDArray[np.float32],
        inverse_temperature: np.float32,
        tokens_B: IntArray,
        hidden_BH: Tensor,
        cell_BH: Tensor,
        chains: IntArray,
    ) -> None:
        self.tables, self.penalty_VV, self.inverse_temperature = tables, penalty_VV, inverse_temperature
        self.chains = chains
        self.tokens_B = tokens_B.copy()
        self.hidden_BH, self.cell_BH = hidden_BH.clone().contiguous(), cell_BH.clone().contiguous()
        self.products_BN = torch.empty(len(chains), tables.joint_HN.shape[1])

    @torch.inference_mode()
    def advance(self, uniforms_TB: Uniforms, chains_BT: IntArray) -> None:
        from mdlm.sampling.lstm_kernels import draw, update

        torch.set_num_threads(1)  # of this thread: the blocks are what is shared out
        tables, products = self.tables, self.products_BN.numpy()
        hidden, cell = self.hidden_BH.numpy(), self.cell_BH.numpy()
        uniforms_TB = np.ascontiguousarray(uniforms_TB[:, self.chains])
        drawn_TB = np.empty(uniforms_TB.shape, chains_BT.dtype)
        for uniform_B, drawn_B in zip(uniforms_TB, drawn_TB, strict=True):
            torch.mm(self.hidden_BH, tables.joint_HN, out=self.products_BN)
            draw(
                products,
                tables.head_bias_V,
                self.penalty_VV,
                self.inverse_temperature,
                uniform_B,
                self.tokens_B,
                drawn_B,
            )
            update(products, tables.input_VG, self.tokens_B, hidden, cell)
        chains_BT[self.chains] = drawn_TB.T


def inverse_cdf(logits_BV: Tensor, uniform_B: Tensor) -> Tensor:
    """Draw one state per row by inverting its cumulative distribution.

    In double precision: in single precision a probability of 1e-6 is resolved to a few percent only, and rare
    events are the point. A state of probability zero is never drawn, whatever the rounding.

    Args:
        logits_BV: Unnormalised log probabilities; ``-inf`` forbids a state.
        uniform_B: Uniform in [0, 1), double precision.

    Returns:
        States, shape (B,).
    """
    cumulative_BV = torch.softmax(logits_BV.double(), dim=-1).cumsum(dim=-1)
    total_B = cumulative_BV[:, -1]
    below_B = torch.minimum(uniform_B * total_B, torch.nextafter(total_B, torch.zeros_like(total_B)))
    return (cumulative_BV <= below_B[:, None]).sum(dim=-1)
