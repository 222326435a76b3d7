"""Sampling of many chains at once, each continuing a prompt of its own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args, get_type_hints

import numpy as np
import torch
from torch import Tensor

from mdlm.cores import available_cores
from mdlm.model.base import LanguageModel, check_at_least, fitting_threads
from mdlm.progress import Progress, silent
from mdlm.sampling.engines import CompiledEngine, Engine, TorchEngine
from mdlm.sampling.uniforms import keys, uniforms
from mdlm.trajectory import IntArray

BLOCK = 256  # frames between two reports


@dataclass(frozen=True)
class Sampling:
    """How long sequences are drawn from a model.

    Attributes:
        n_chains: Independent chains, advanced together.
        chain_length: Tokens sampled per chain, the prompt not among them.
        prompt_length: Held-out tokens each chain continues; shorter where held-out pieces are shorter.
        sampling_temperature: Divides the logits; 1 samples the model itself.
        engine: ``compiled`` (an LSTM of one layer on a CPU), ``torch`` (any model, any device), or ``auto``: compiled
            where possible. Both draw with the same random numbers and differ by the rounding of the logits.
    """

    n_chains: int
    chain_length: int
    prompt_length: int
    sampling_temperature: float
    engine: Literal["auto", "compiled", "torch"] = "auto"

    def __post_init__(self) -> None:
        check_at_least(1, n_chains=self.n_chains, chain_length=self.chain_length, prompt_length=self.prompt_length)
        if not self.sampling_temperature > 0:
            raise ValueError(f"sampling_temperature ({self.sampling_temperature:g}) must be above 0")
        if self.engine not in get_args(get_type_hints(Sampling)["engine"]):
            raise ValueError(f"engine ({self.engine}) must be one of auto, compiled, torch")

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
        start = time.perf_counter()
        with fitting_threads(model):
            chains = self._continue(model.eval(), prompts_BT, int(rng.integers(2**62)), progress)
        seconds = time.perf_counter() - start
        return Sampled(chains, prompts_BT.numpy(), seconds, chains.size / seconds)

    @torch.inference_mode()
    def _continue(self, model: LanguageModel, prompts_BT: Tensor, seed: int, progress: Progress) -> IntArray:
        engine = self._engine(model, prompts_BT)
        chain_keys = keys(seed, self.n_chains)
        chains_BT = np.empty((self.n_chains, self.chain_length), _smallest_integer(model.n_states))
        start = time.perf_counter()
        for first in range(0, self.chain_length, BLOCK):
            n_frames = min(BLOCK, self.chain_length - first)
            engine.advance(uniforms(chain_keys, first, n_frames), chains_BT[:, first : first + n_frames])
            drawn = (first + n_frames) * self.n_chains
            rate = drawn / (time.perf_counter() - start)
            progress(drawn, self.n_chains * self.chain_length, f"{rate / 1e3:.0f} k tokens/s")
        return chains_BT

    def _engine(self, model: LanguageModel, prompts_BT: Tensor) -> Engine:
        """The compiled engine where it can be had and was not declined."""
        tables = model.gated_tables() if model.forbidden_VV.device.type == "cpu" else None
        if self.engine == "compiled" and tables is None:
            raise ValueError("engine (compiled) needs an LSTM of one layer on a CPU; take auto or torch")
        if self.engine == "torch" or tables is None:
            return TorchEngine(model, prompts_BT, self.sampling_temperature)
        return CompiledEngine(model, tables, prompts_BT, self.sampling_temperature, available_cores())


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


def _smallest_integer(n_states: int) -> type[np.integer]:
    """A dtype that holds every state, so that 1e9 tokens of few states take 1 GB."""
    return np.uint8 if n_states <= 256 else np.int32
