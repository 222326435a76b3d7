"""Sampling of many chains at once, each continuing a prompt of its own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mdlm.model.base import LanguageModel, check_at_least, fitting_threads
from mdlm.progress import Progress, silent
from mdlm.trajectory import IntArray


@dataclass(frozen=True)
class Sampling:
    """How long sequences are drawn from a model.

    Attributes:
        n_chains: Independent chains, advanced together.
        chain_length: Tokens sampled per chain, the prompt not among them.
        prompt_length: Held-out tokens each chain continues; shorter where held-out pieces are shorter.
        sampling_temperature: Divides the logits; 1 samples the model itself.
    """

    n_chains: int
    chain_length: int
    prompt_length: int
    sampling_temperature: float

    def __post_init__(self) -> None:
        check_at_least(1, n_chains=self.n_chains, chain_length=self.chain_length, prompt_length=self.prompt_length)
        if not self.sampling_temperature > 0:
            raise ValueError(f"sampling_temperature ({self.sampling_temperature:g}) must be above 0")

    def draw(
        self, model: LanguageModel, held_out: Sequence[IntArray], seed: int, progress: Progress = silent
    ) -> Sampled:
        """Sample ``n_chains`` chains of ``chain_length`` tokens.

        Args:
            model: Sampled in evaluation mode (no dropout), on the device it lives on.
            held_out: Pieces from which the prompts are cut, never across a boundary.
            seed: Of prompts and sampling.
            progress: Told the tokens drawn and their rate.
        """
        rng = np.random.default_rng(seed)
        prompts_BT = torch.from_numpy(prompts(held_out, self.n_chains, self.prompt_length, rng))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        start = time.perf_counter()
        with fitting_threads(model):
            chains = self._continue(model, prompts_BT, generator, progress)
        seconds = time.perf_counter() - start
        return Sampled(chains, prompts_BT.numpy(), seconds, chains.size / seconds)

    @torch.inference_mode()
    def _continue(
        self, model: LanguageModel, prompts_BT: Tensor, generator: torch.Generator, progress: Progress
    ) -> IntArray:
        model.eval()
        device = next((tensor.device for tensor in model.state_dict().values()), torch.device("cpu"))
        chains_BT = torch.empty(self.n_chains, self.chain_length, dtype=_smallest_integer(model.n_states))
        logits_BTV, state = model(prompts_BT.to(device), model.initial_state(self.n_chains))
        logits_BV = logits_BTV[:, -1]
        block = 256  # uniforms per draw, and frames between two reports
        start = time.perf_counter()
        for first in range(0, self.chain_length, block):
            n_frames = min(block, self.chain_length - first)
            uniform_TB = torch.rand(n_frames, self.n_chains, dtype=torch.float64, generator=generator)
            uniform_TB = uniform_TB.to(device)
            tokens_BT = torch.empty(self.n_chains, n_frames, dtype=torch.int64, device=device)
            for frame in range(n_frames):
                tokens_B = inverse_cdf(logits_BV / self.sampling_temperature, uniform_TB[frame])
                tokens_BT[:, frame] = tokens_B
                logits_BV, state = model.step(tokens_B, state)
            chains_BT[:, first : first + n_frames] = tokens_BT
            drawn = (first + n_frames) * self.n_chains
            rate = drawn / (time.perf_counter() - start)
            progress(drawn, self.n_chains * self.chain_length, f"{rate / 1e3:.0f} k tokens/s")
        return chains_BT.numpy()


@dataclass(frozen=True)
class Sampled:
    """Sampled chains.

    Attributes:
        chains: Shape ``(n_chains, chain_length)``, integers; the prompts are not part of them.
        prompts: Shape ``(n_chains, prompt_length)``: what each chain continues.
        seconds: Spent sampling, the prompts' pass included.
        tokens_per_second: Over all chains.
    """

    chains: IntArray
    prompts: IntArray
    seconds: float
    tokens_per_second: float


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


def prompts(pieces: Sequence[IntArray], n_prompts: int, length: int, rng: np.random.Generator) -> IntArray:
    """Cut prompts from pieces, every possible start equally likely, never across a boundary.

    Returns:
        Shape ``(n_prompts, length)``; where no piece is that long, as long as the longest one.
    """
    length = min(length, max(len(piece) for piece in pieces))
    n_starts = np.array([max(0, len(piece) - length + 1) for piece in pieces])
    last_start = np.cumsum(n_starts)
    number = rng.integers(last_start[-1], size=n_prompts)
    piece_of = np.searchsorted(last_start, number, side="right")
    starts = number - (last_start - n_starts)[piece_of]
    cut = [pieces[p][s : s + length] for p, s in zip(piece_of, starts, strict=True)]
    return np.stack(cut).astype(np.int64)


def _smallest_integer(n_states: int) -> torch.dtype:
    """A dtype that holds every state, so that 1e9 tokens of few states take 1 GB."""
    return torch.uint8 if n_states <= 256 else torch.int32
