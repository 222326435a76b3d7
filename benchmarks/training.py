"""Training rates of every preset's size, as ratios to the published recipe written plainly, all in one run.

- published: the network's own modules, a `DataLoader` of shuffled windows, float32, `torch.optim.Adam`, a fresh state;
- mdlm: `Training.fit` as configured by default, from batch to update, without validation;
- float32, windows, deterministic: the same with ``precision=float32``, ``batching=windows``, ``deterministic=true``.

Each number is the median of several rounds in which all take turns, so that a busy machine slows all of them down
alike. The last column is the share of the rate that the measured speed of matrix products of this size would allow, in
the format mdlm computes in: forward and backward are three products for each weight.

Usage: ``python benchmarks/training.py`` or, on a GPU, ``python benchmarks/training.py --device cuda``
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mdlm.cores import available_cores
from mdlm.model.base import fitting_threads
from mdlm.model.config import ModelConfig
from mdlm.model.lstm import LSTMConfig
from mdlm.model.transformer import TransformerConfig
from mdlm.tokens.base import Tokens
from mdlm.training import run
from mdlm.training.training import Training
from mdlm.trajectory import Split

N_ROUNDS = 5
TRAINING = Training(
    batching="streams",
    context_length=100,
    batch_size=64,
    max_epochs=1,
    patience=1,
    learning_rate=1e-3,
    warmup_fraction=0.0,
    weight_decay=0.0,
    gradient_clip=1.0,
    precision="auto",
    device="cpu",
)


@dataclass(frozen=True)
class Case:
    """A model and its work.

    Attributes:
        n_updates: Of a round; below 8 there would be fewer streams than rows wanted.
        width: Of the products to compare with.
        n_weights: Trained values that enter a product with each token.
    """

    name: str
    config: ModelConfig
    n_states: int
    n_updates: int
    width: int
    n_weights: float


CASES = (
    Case("lstm 8/64, V=4", LSTMConfig(8, 64, 1, 0.0), 4, 40, 64, 4 * 64 * (8 + 64) + 64 * 4),
    Case("lstm 8/64, V=700", LSTMConfig(8, 64, 1, 0.0), 700, 12, 64, 4 * 64 * (8 + 64) + 64 * 700),
    Case("lstm 128/1024, V=100", LSTMConfig(128, 1024, 1, 0.0), 100, 8, 1024, 4 * 1024 * (128 + 1024) + 1024 * 100),
    Case(
        "transformer, V=50",
        TransformerConfig(64, 4, 2, 64, 0.1),
        50,
        12,
        64,
        2 * (12 * 64**2 + 2 * 64 * 64) + 64 * 50,  # attention over 64 frames is two products of its own
    ),
    Case(
        "transformer_nanogpt, V=100",
        TransformerConfig(128, 8, 2, 100, 0.0),
        100,
        12,
        128,
        2 * (12 * 128**2 + 2 * 100 * 128) + 128 * 100,
    ),
)


class WindowsOf(Dataset[tuple[Tensor, Tensor]]):
    """Every window of a trajectory and the same one frame later."""

    def __init__(self, tokens: Tensor) -> None:
        self.tokens = tokens

    def __len__(self) -> int:
        return len(self.tokens) - TRAINING.context_length

    def __getitem__(self, start: int) -> tuple[Tensor, Tensor]:
        window = self.tokens[start : start + TRAINING.context_length + 1]
        return window[:-1], window[1:]


def trajectory(case: Case, n_updates: int) -> np.ndarray:
    return np.random.default_rng(0).integers(case.n_states, size=n_updates * 6400 + 1)


def published(case: Case, device: torch.device) -> Callable[[], float]:
    torch.manual_seed(0)
    model = case.config.build(case.n_states).to(device)
    optimiser = torch.optim.Adam(model.parameters(), lr=TRAINING.learning_rate)
    data = WindowsOf(torch.from_numpy(trajectory(case, case.n_updates)))

    def work() -> float:
        batches = iter(DataLoader(data, TRAINING.batch_size, shuffle=True, drop_last=True))
        start = time.perf_counter()
        for _ in range(case.n_updates):
            inputs_BT, targets_BT = (part.to(device) for part in next(batches))
            logits_BTV, _ = model(inputs_BT)
            loss = F.cross_entropy(logits_BTV.flatten(0, 1), targets_BT.flatten())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            loss.item()  # as printed by every such loop
        return case.n_updates * 6400 / (time.perf_counter() - start)

    return work


def mdlm(case: Case, **changes: object) -> Callable[[], float]:
    training = replace(TRAINING, **changes)
    names = tuple(map(str, range(case.n_states)))
    tokens = Tokens((trajectory(case, case.n_updates),), names, n_unseen=0)
    split = Split(tokens, tokens, tokens)

    def work() -> float:
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(run, "nll_nats_per_token", return_value=1.0):
            return training.fit(case.config, split, 0, Path(folder), {}).history[0].tokens_per_second

    return work


def products(case: Case, device: torch.device, dtype: torch.dtype) -> Callable[[], float]:
    """Tokens per second, were there nothing but products of 64 rows with a matrix of this width."""
    x = torch.randn(TRAINING.batch_size, case.width, device=device, dtype=dtype)
    weights = torch.randn(case.width, 4 * case.width, device=device, dtype=dtype)
    flops = 2.0 * x.numel() * weights.shape[1]
    n_goes = max(3, int(1e10 / flops))

    def work() -> float:
        synchronise(device)
        start = time.perf_counter()
        for _ in range(n_goes):
            x @ weights
        synchronise(device)
        return n_goes * flops / (time.perf_counter() - start) / (6 * case.n_weights)

    return work


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def threads_of(case: Case) -> Iterator[None]:
    """What `Training.fit` takes, for all."""
    with fitting_threads(case.config.build(case.n_states)):
        yield


def medians(works: dict[str, Callable[[], float]]) -> dict[str, float]:
    """Median rate of each, all taking turns; the first round is not counted."""
    rates: dict[str, list[float]] = {name: [] for name in works}
    for number in range(N_ROUNDS + 1):
        for name, work in works.items():
            rate = work()
            if number:
                rates[name].append(rate)
    return {name: statistics.median(values) for name, values in rates.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=available_cores())
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    torch.set_num_threads(arguments.threads)
    processor = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if "model name" in line), "")  # noqa: SIM115
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor or platform.processor()
    print(f"{datetime.now(UTC):%Y-%m-%d}, {arguments.threads} threads, {name}, ", end="")
    print(f"torch {torch.__version__}, load {os.getloadavg()[0]:.1f}\n")
    print("| model | published | float32 | mdlm | windows | deterministic | ", end="")
    print("mdlm / published | float32 / published | deterministic / mdlm | of products |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    bfloat16 = replace(TRAINING, device=arguments.device).uses_bfloat16()
    for case in CASES:
        with threads_of(case):
            rates = medians(
                {
                    "published": published(case, device),
                    "float32": mdlm(case, device=arguments.device, precision="float32"),
                    "mdlm": mdlm(case, device=arguments.device),
                    "windows": mdlm(case, device=arguments.device, batching="windows"),
                    "deterministic": mdlm(case, device=arguments.device, deterministic=True),
                    "products": products(case, device, torch.bfloat16 if bfloat16 else torch.float32),
                }
            )
        plain = rates["published"]
        shown = [f"{rates[name]:,.0f}" for name in ("published", "float32", "mdlm", "windows", "deterministic")]
        shown += [f"{rates['mdlm'] / plain:.2f}", f"{rates['float32'] / plain:.2f}"]
        shown += [f"{rates['deterministic'] / rates['mdlm']:.2f}"]
        print(f"| {case.name} | {' | '.join(shown)} | {rates['mdlm'] / rates['products']:.0%} |", flush=True)


if __name__ == "__main__":
    main()
