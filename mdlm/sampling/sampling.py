"""Sampling of many chains at once, each continuing a prompt of its own."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Literal, get_args, get_type_hints

import numpy as np
import torch

from mdlm.cores import available_cores
from mdlm.model.base import SMALL, LanguageModel, check_at_least, fitting_threads, has_bfloat16
from mdlm.progress import Progress, silent
from mdlm.sampling.chain_file import ChainFile, Chains, ChainsInMemory, Progressed
from mdlm.sampling.compiled import CompiledEngine
from mdlm.sampling.engines import Engine, TorchEngine, device_of
from mdlm.sampling.gated_stepper import GatedStepper
from mdlm.sampling.graph import GraphEngine
from mdlm.sampling.uniforms import keys
from mdlm.trajectory import IntArray

FRAMES = 256  # of every chain between two reports
SAVE_EVERY_S = 30.0  # what a kill may cost


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
        shape, dtype = (self.n_chains, self.chain_length), np.dtype(_smallest_integer(model.n_states))
        chains: Chains = ChainsInMemory(shape, dtype)
        if path is not None:
            chains = ChainFile(path, shape, dtype, self._identity(model, prompts_BT, seed))
        done = chains.take_up()
        if done.n_frames < self.chain_length:
            with fitting_threads(model):
                done = self._go_on(self._engine(model.eval(), prompts_BT, seed), done, chains, progress)
        rate = self.n_chains * self.chain_length / done.seconds
        return Sampled(chains.read(), prompts_BT, seed, done.seconds, rate)

    @torch.inference_mode()
    def _go_on(self, engine: Engine, done: Progressed, chains: Chains, progress: Progress) -> Progressed:
        """Draw what is left, writing it down as it comes."""
        begin = saved = time.perf_counter()
        before, total = done, self.n_chains * self.chain_length
        if done.tensors:
            engine.take(done.tensors)
        for first in range(done.n_frames, self.chain_length, FRAMES):
            n_frames = min(FRAMES, self.chain_length - first)
            drawn_BT = np.empty((self.n_chains, n_frames), np.int64)
            engine.advance(first, drawn_BT)
            chains.write(first, drawn_BT)
            now = time.perf_counter()
            done = Progressed(first + n_frames, before.seconds + now - begin)
            if now - saved > SAVE_EVERY_S or done.n_frames == self.chain_length:
                chains.save(replace(done, tensors=engine.tensors()))
                saved = now
            rate = (done.n_frames - before.n_frames) * self.n_chains / (now - begin)
            progress(done.n_frames * self.n_chains, total, f"{rate / 1e3:.0f} k tokens/s")
        return done

    @torch.inference_mode()
    def _engine(self, model: LanguageModel, prompts_BT: IntArray, seed: int) -> Engine:
        """The engine that was asked for, or the fastest one there is, behind the prompts."""
        device, tables = device_of(model), model.gated_tables()
        chain_keys = keys(seed, self.n_chains)
        prompts = torch.from_numpy(prompts_BT).to(device)
        bfloat16 = self.precision == "bfloat16" or (
            self.precision == "auto" and model.n_parameters >= SMALL and has_bfloat16(device)
        )
        common = (chain_keys, self.sampling_temperature)
        on_cpu = device.type == "cpu"
        if self.engine == "compiled" and not (tables and on_cpu):
            raise ValueError("engine (compiled) needs an LSTM or a GRU on a CPU; take auto or torch")
        if self.engine in ("auto", "compiled") and tables and on_cpu:
            return CompiledEngine(model, tables, prompts, *common, available_cores(), bfloat16)
        if self.engine == "graph" or (self.engine == "auto" and not on_cpu):
            stepper = GatedStepper(model, tables, prompts, bfloat16) if tables else model.stepper(prompts)
            if stepper.fixed:
                return GraphEngine(stepper, *common, bfloat16 and not tables)
            if self.engine == "graph":
                raise ValueError("engine (graph) needs an LSTM, a GRU or a Transformer; take auto or torch")
        return TorchEngine(model.stepper(prompts), *common, bfloat16)

    def _identity(self, model: LanguageModel, prompts_BT: IntArray, seed: int) -> str:
        """Names all that decides the chains, bit for bit: settings, weights, prompts, seed, device and this code."""
        total = hashlib.blake2b(digest_size=16)
        about = (type(model).__qualname__, astuple(self), seed, device_of(model).type, torch.__version__)
        total.update(repr(about).encode())
        for name, tensor in sorted(model.state_dict().items()):
            total.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            total.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        total.update(np.ascontiguousarray(prompts_BT).data)
        for source in sorted(Path(__file__).parent.glob("*.py")):
            total.update(source.read_bytes())
        return total.hexdigest()


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


def _smallest_integer(n_states: int) -> type[np.integer]:
    """A dtype that holds every state, so that 1e9 tokens of few states take 1 GB."""
    return np.uint8 if n_states <= 256 else np.int32
