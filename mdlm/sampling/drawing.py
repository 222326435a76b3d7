"""How `mdlm.sampling.sampling` draws: the engine for a model and a device, and chains that outlive a kill."""

from __future__ import annotations

import hashlib
import time
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import torch

from mdlm.cores import available_cores
from mdlm.model.base import LanguageModel, fitting_threads, has_bfloat16
from mdlm.progress import Progress
from mdlm.sampling.chain_file import ChainFile, Chains, ChainsInMemory, Progressed
from mdlm.sampling.compiled import CompiledEngine
from mdlm.sampling.engines import Engine, TorchEngine
from mdlm.sampling.gated_stepper import GatedStepper
from mdlm.sampling.graph import GraphEngine
from mdlm.sampling.sampling import Sampled, Sampling
from mdlm.sampling.uniforms import keys
from mdlm.trajectory import IntArray

FRAMES = 256  # of every chain between two reports
SAVE_EVERY_S = 30.0  # what a kill may cost


def continued(
    sampling: Sampling,
    model: LanguageModel,
    prompts_BT: IntArray,
    seed: int,
    progress: Progress,
    path: Path | None,
) -> Sampled:
    """See `Sampling.continue_prompts`."""
    shape, dtype = (sampling.n_chains, sampling.chain_length), np.dtype(_smallest_integer(model.n_states))
    chains: Chains = ChainsInMemory(shape, dtype)
    if path is not None:
        chains = ChainFile(path, shape, dtype, _identity(sampling, model, prompts_BT, seed))
    done = chains.take_up()
    if done.n_frames < sampling.chain_length:
        with fitting_threads(model):
            done = _gone_on(sampling, _engine(sampling, model.eval(), prompts_BT, seed), done, chains, progress)
    rate = sampling.n_chains * sampling.chain_length / done.seconds
    return Sampled(chains.read(), prompts_BT, seed, done.seconds, rate)


@torch.inference_mode()
def _gone_on(sampling: Sampling, engine: Engine, done: Progressed, chains: Chains, progress: Progress) -> Progressed:
    """Draw what is left, writing it down as it comes."""
    begin = saved = time.perf_counter()
    before, total = done, sampling.n_chains * sampling.chain_length
    if done.tensors:
        engine.take(done.tensors)
    for first in range(done.n_frames, sampling.chain_length, FRAMES):
        n_frames = min(FRAMES, sampling.chain_length - first)
        drawn_BT = np.empty((sampling.n_chains, n_frames), np.int64)
        engine.advance(first, drawn_BT)
        chains.write(first, drawn_BT)
        now = time.perf_counter()
        done = Progressed(first + n_frames, before.seconds + now - begin)
        if now - saved > SAVE_EVERY_S or done.n_frames == sampling.chain_length:
            chains.save(replace(done, tensors=engine.tensors()))
            saved = now
        rate = (done.n_frames - before.n_frames) * sampling.n_chains / (now - begin)
        progress(done.n_frames * sampling.n_chains, total, f"{rate / 1e3:.0f} k tokens/s")
    return done


@torch.inference_mode()
def _engine(sampling: Sampling, model: LanguageModel, prompts_BT: IntArray, seed: int) -> Engine:
    """The engine that was asked for, or the fastest one there is, behind the prompts."""
    device, tables = model.device, model.gated_tables()
    chain_keys = keys(seed, sampling.n_chains)
    prompts = torch.from_numpy(prompts_BT).to(device)
    bfloat16 = sampling.precision == "bfloat16" or (
        sampling.precision == "auto" and not model.is_small and has_bfloat16(device)
    )
    common = (chain_keys, sampling.sampling_temperature)
    on_cpu = device.type == "cpu"
    if sampling.engine == "compiled" and not (tables and on_cpu):
        raise ValueError("engine (compiled) needs an LSTM or a GRU on a CPU; take auto or torch")
    if sampling.engine in ("auto", "compiled") and tables and on_cpu:
        return CompiledEngine(model, tables, prompts, *common, available_cores(), bfloat16)
    if sampling.engine == "graph" or (sampling.engine == "auto" and not on_cpu):
        stepper = GatedStepper(model, tables, prompts, bfloat16) if tables else model.stepper(prompts)
        if stepper.fixed:
            return GraphEngine(stepper, *common, bfloat16 and not tables)
        if sampling.engine == "graph":
            raise ValueError("engine (graph) needs an LSTM, a GRU or a Transformer; take auto or torch")
    return TorchEngine(model.stepper(prompts), *common, bfloat16)


def _identity(sampling: Sampling, model: LanguageModel, prompts_BT: IntArray, seed: int) -> str:
    """Names all that decides the chains, bit for bit: settings, weights, prompts, seed, device and this code."""
    total = hashlib.blake2b(digest_size=16)
    about = (type(model).__qualname__, astuple(sampling), seed, model.device.type, torch.__version__)
    total.update(repr(about).encode())
    for name, tensor in sorted(model.state_dict().items()):
        total.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        total.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    total.update(np.ascontiguousarray(prompts_BT).data)
    for source in sorted(Path(__file__).parent.glob("*.py")):
        total.update(source.read_bytes())
    return total.hexdigest()


def _smallest_integer(n_states: int) -> type[np.integer]:
    """A dtype that holds every state, so that 1e9 tokens of few states take 1 GB."""
    return np.uint8 if n_states <= 256 else np.int32
