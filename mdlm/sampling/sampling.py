"""Sampling of many chains at once, each continuing a prompt of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args, get_type_hints

import numpy as np

from mdlm.errors import check_at_least
from mdlm.progress import Progress, silent
from mdlm.trajectory import IntArray

if TYPE_CHECKING:
    from mdlm.model.base import LanguageModel


@dataclass(frozen=True)
class Sampling:
    """How long sequences are drawn from a model.

    Attributes:
        n_chains: Independent chains, advanced together.
        chain_length: Tokens sampled per chain, the prompt not among them.
        prompt_length: Held-out tokens each chain continues; shorter where held-out pieces are shorter.
        sampling_temperature: Divides the logits; 1 samples the model itself.
        engine: ``compiled`` (LSTM and GRU on a CPU), ``graph`` (for a GPU), ``torch`` (any model, any device), or
            ``auto``: the fastest of these. All draw with the same random numbers and differ by the rounding of the
            logits.
        precision: Of matrix products: ``float32``, ``bfloat16``, or ``auto``: bfloat16 for large networks where the
            hardware has it. Those of the logits are in float32 always.
    """

    n_chains: int
    chain_length: int
    prompt_length: int
    sampling_temperature: float
    engine: Literal["auto", "compiled", "graph", "torch"] = "auto"
    precision: Literal["float32", "bfloat16", "auto"] = "float32"

    def __post_init__(self) -> None:
        check_at_least(1, n_chains=self.n_chains, chain_length=self.chain_length, prompt_length=self.prompt_length)
        if not self.sampling_temperature > 0:
            raise ValueError(f"sampling_temperature ({self.sampling_temperature:g}) must be above 0")
        for name in ("engine", "precision"):
            allowed = get_args(get_type_hints(Sampling)[name])
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} ({getattr(self, name)}) must be one of {', '.join(allowed)}")

    def in_tokens(self, frames_per_token: float) -> Sampling:
        """As many tokens as make chains of ``chain_length`` frames."""
        return replace(self, chain_length=math.ceil(self.chain_length / frames_per_token))

    def draw(
        self,
        model: LanguageModel,
        held_out: Sequence[IntArray],
        seed: int,
        progress: Progress = silent,
        path: Path | None = None,
    ) -> Sampled:
        """Sample ``n_chains`` chains of ``chain_length`` tokens.

        Args:
            model: Sampled in evaluation mode (no dropout), on the device it lives on.
            held_out: Pieces from which the prompts are cut, never across a boundary.
            seed: Of prompts and sampling.
            progress: Told the tokens drawn and their rate.
            path: See `continue_prompts`.
        """
        rng = np.random.default_rng(seed)
        cut = prompts(held_out, self.n_chains, self.prompt_length, rng)
        return self.continue_prompts(model, cut, int(rng.integers(2**62)), progress, path)

    def continue_prompts(
        self,
        model: LanguageModel,
        prompts_BT: IntArray,
        seed: int,
        progress: Progress = silent,
        path: Path | None = None,
    ) -> Sampled:
        """Sample chains that continue these prompts, one each.

        Args:
            model: See `draw`.
            prompts_BT: Shape ``(n_chains, prompt_length)``.
            seed: Of the sampling alone.
            progress: See `draw`.
            path: A file, ``.npy``, for the chains as they are drawn, so that they need no memory; an earlier attempt at
                the same chains is taken up where it was, with the same result bit for bit. None keeps them in memory.
        """
        from mdlm.sampling.drawing import continued

        return continued(self, model, prompts_BT, seed, progress, path)


@dataclass(frozen=True)
class Sampled:
    """Sampled chains.

    Attributes:
        chains: Shape ``(n_chains, chain_length)``, integers; the prompts are not part of them.
        prompts: Shape ``(n_chains, prompt_length)``: what each chain continues.
        seed: Of the sampling alone, drawn after the prompts.
        seconds: Spent sampling, the prompts' pass included.
        tokens_per_second: Over all chains.
    """

    chains: IntArray
    prompts: IntArray
    seed: int
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
