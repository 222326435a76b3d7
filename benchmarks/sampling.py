"""Sampling rates of every preset's size, as ratios to the published loop and to plain batched steps, all in one run.

- published: one chain, the whole window fed again for every new token (measured on few tokens);
- recompute: the same for all chains at once;
- step loop: `LanguageModel.step` through the network's own modules, all chains at once;
- float32, bfloat16: the engine that `sampling.engine=auto` picks, with either `sampling.precision`.

On a CPU, the share of the peak is per core: tokens per second and core, times the operations of a token, over what one
core does at most with single-precision multiply-adds in registers. The products' own limits, measured too, are in the
first lines; a machine that does other work at the same time lowers all of them.

Usage: ``python benchmarks/sampling.py [--device cuda] [--quick]``
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import torch
from machine import fma_peak, gemm_peak

from mdlm.cores import available_cores
from mdlm.model.base import LanguageModel, StateStepper
from mdlm.model.config import ModelConfig
from mdlm.model.gru import GRUConfig
from mdlm.model.lstm import LSTMConfig
from mdlm.model.transformer import TransformerConfig
from mdlm.sampling.engines import inverse_cdf
from mdlm.sampling.sampling import Sampling

WINDOW = 100


@dataclass(frozen=True)
class Target:
    """What a rate must reach: at least ``least``, where ``number`` is how it follows from a row."""

    what: str
    least: float
    number: Callable[[Row], float]


@dataclass(frozen=True)
class Case:
    """A model's size, the work it is given, and what is asked of it."""

    name: str
    config: ModelConfig
    n_states: int
    n_chains: int
    n_tokens: int
    flops_per_token: float
    targets: tuple[Target, ...] = ()


@dataclass(frozen=True)
class Row:
    """Tokens per second."""

    published: float
    recompute: float
    step_loop: float
    float32: float
    bfloat16: float
    peak: float
    """At one core's peak, of all cores."""


def recurrent_flops(gates: int, hidden: int, n_states: int) -> float:
    return 2.0 * hidden * (gates * hidden + n_states)  # the tokens' own product is a table


def transformer_flops(width: int, layers: int, window: int, n_states: int) -> float:
    return layers * (2.0 * 12 * width**2 + 4.0 * window * width) + 2.0 * width * n_states


LSTM_64, LSTM_1024 = LSTMConfig(8, 64, 1, 0.0), LSTMConfig(128, 1024, 1, 0.0)
NANOGPT, LARGE = TransformerConfig(128, 8, 2, 100, 0.0), TransformerConfig(256, 8, 8, 128, 0.0)
NANOGPT_FLOPS = transformer_flops(128, 2, 100, 100)

ON_CPU = (
    Case(
        "lstm 8/64, V=4",
        LSTM_64,
        4,
        1000,
        3000,
        recurrent_flops(4, 64, 4),
        (
            Target("share of the peak", 0.25, lambda row: row.float32 / row.peak),
            Target("times the step loop", 2.0, lambda row: row.float32 / row.step_loop),
        ),
    ),
    Case(
        "lstm 128/1024, V=100",
        LSTM_1024,
        100,
        100,
        300,
        recurrent_flops(4, 1024, 100),
        (
            Target("share of the peak", 0.55, lambda row: row.float32 / row.peak),
            Target("times the step loop", 1.8, lambda row: row.float32 / row.step_loop),
            Target("times the step loop, bfloat16", 3.0, lambda row: row.bfloat16 / row.step_loop),
        ),
    ),
    Case("gru 128/1024, V=100", GRUConfig(128, 1024, 1, 0.0), 100, 100, 300, recurrent_flops(3, 1024, 100)),
    Case(
        "transformer_nanogpt, V=100",
        NANOGPT,
        100,
        1000,
        400,
        NANOGPT_FLOPS,
        (Target("times the batched recompute", 60.0, lambda row: row.float32 / row.recompute),),
    ),
    Case("transformer_large, V=100", LARGE, 100, 100, 200, transformer_flops(256, 8, 128, 100)),
)

ON_GPU = (
    Case(
        "lstm 128/1024, V=100",
        LSTM_1024,
        100,
        100,
        100_000,
        recurrent_flops(4, 1024, 100),
        (Target("tokens per second (100 x 100,000 in 3 s)", 1e7 / 3, lambda row: max(row.float32, row.bfloat16)),),
    ),
    Case(
        "lstm 128/1024, V=100",
        LSTM_1024,
        100,
        10_000,
        3_000,
        recurrent_flops(4, 1024, 100),
        (Target("tokens per second", 50e6, lambda row: max(row.float32, row.bfloat16)),),
    ),
    Case(
        "transformer_nanogpt, V=100",
        NANOGPT,
        100,
        1000,
        10_000,
        NANOGPT_FLOPS,
        (Target("tokens per second", 10e6, lambda row: max(row.float32, row.bfloat16)),),
    ),
)


def rate(work: Callable[[], int]) -> float:
    """Tokens per second of the better of two goes."""
    rates = []
    for _ in range(2):
        start = time.perf_counter()
        n_tokens = work()
        rates.append(n_tokens / (time.perf_counter() - start))
    return max(rates)


def recompute(model: LanguageModel, n_chains: int, n_tokens: int) -> Callable[[], int]:
    window_BT = torch.randint(model.n_states, (n_chains, WINDOW), device=model.device)

    @torch.inference_mode()
    def work() -> int:
        window = window_BT
        for _ in range(n_tokens):
            logits_BTV, _ = model(window)
            token_B = inverse_cdf(logits_BTV[:, -1], torch.rand(n_chains, dtype=torch.float64, device=window.device))
            window = torch.cat([window[:, 1:], token_B[:, None]], dim=1)
        return len(window.cpu()) * n_tokens

    return work


def step_loop(model: LanguageModel, n_chains: int, n_tokens: int) -> Callable[[], int]:
    device = model.device

    @torch.inference_mode()
    def work() -> int:
        stepper = StateStepper(model, torch.randint(model.n_states, (n_chains, WINDOW), device=device))
        for _ in range(n_tokens):
            uniform_B = torch.rand(n_chains, dtype=torch.float64, device=device)
            stepper.step(inverse_cdf(stepper.logits_BV, uniform_B))
        return len(stepper.logits_BV.cpu()) * n_tokens

    return work


def mdlm(model: LanguageModel, n_chains: int, n_tokens: int, precision: str) -> Callable[[], int]:
    held_out = [np.random.default_rng(0).integers(model.n_states, size=1000)]
    sampling = Sampling(n_chains, n_tokens, WINDOW, 1.0, precision=precision)  # type: ignore[arg-type]
    return lambda: int(sampling.draw(model, held_out, 0).chains.size)


def measured(case: Case, device: torch.device, quick: bool) -> Row:
    """All rates of one case."""
    torch.manual_seed(0)
    model = case.config.build(case.n_states).eval().to(device)
    n_tokens = max(40, case.n_tokens // 20) if quick else case.n_tokens
    peak = float("nan") if device.type == "cuda" else fma_peak() * available_cores() / case.flops_per_token
    torch.set_num_threads(available_cores())
    return Row(
        published=rate(recompute(model, 1, 20)),
        recompute=rate(recompute(model, case.n_chains, 2)),
        step_loop=rate(step_loop(model, case.n_chains, max(8, min(200, n_tokens // 10)))),
        float32=rate(mdlm(model, case.n_chains, n_tokens, "float32")),
        bfloat16=rate(mdlm(model, case.n_chains, n_tokens, "bfloat16")),
        peak=peak,
    )


def machine(device: torch.device) -> str:
    """What this ran on."""
    about = f"{datetime.now(UTC):%Y-%m-%d}, torch {torch.__version__}, load {os.getloadavg()[0]:.1f}, "
    if device.type == "cuda":
        return about + torch.cuda.get_device_name(device)
    processor = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if "model name" in line), "")  # noqa: SIM115
    torch.set_num_threads(1)
    limits = (fma_peak(), gemm_peak(torch.float32), gemm_peak(torch.bfloat16))
    return about + (
        f"{available_cores()} cores of {processor or platform.processor()}\n\nOne core, GFLOP/s: "
        "multiply-adds in registers {:.0f}; matrix products {:.0f} in float32, {:.0f} in bfloat16".format(
            *(limit / 1e9 for limit in limits)
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Sampling rates, as ratios.")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    parser.add_argument("--quick", action="store_true", help="a twentieth of the work, to see that it runs")
    parser.add_argument("--only", default="", help="rows whose name holds this")
    options = parser.parse_args()
    device = torch.device(options.device)
    print(machine(device) + "\n")
    print("| model | chains | published | recompute | step loop | float32 | bfloat16 | float32 / published ", end="")
    print("| / recompute | / step loop | bfloat16 / step loop | of the peak |")
    print("|---|" + "---|" * 11)
    reached = []
    cases = [case for case in (ON_GPU if device.type == "cuda" else ON_CPU) if options.only in case.name]
    for case in cases:
        row = measured(case, device, options.quick)
        rates = (row.published, row.recompute, row.step_loop, row.float32, row.bfloat16)
        ratios = [row.float32 / slower for slower in rates[:3]] + [row.bfloat16 / row.step_loop]
        numbers = [f"{number:,.0f}" for number in rates] + [f"{ratio:,.1f}" for ratio in ratios]
        print(f"| {case.name} | {case.n_chains} | {' | '.join(numbers)} | {row.float32 / row.peak:.0%} |", flush=True)
        reached += [(case, target, target.number(row)) for target in case.targets]
    print("\n| must reach | at least | is | |\n|---|---|---|---|")
    for case, target, number in reached:
        verdict = "reached" if number >= target.least else "missed"
        print(
            f"| {case.name}, {case.n_chains} chains: {target.what} | {target.least:,.3g} | {number:,.3g} | {verdict} |"
        )


if __name__ == "__main__":
    main()
