"""Sampling rates of every preset's size, as ratios to the published loop and to plain batched steps, all in one run.

- published: one chain, the whole window fed again for every new token (measured on few tokens);
- recompute: the same for all chains at once;
- step loop: `LanguageModel.step` through the network's own modules, all chains at once;
- mdlm: the engine that `sampling.engine=auto` picks.

The last column is the share of one core's rate on single-precision matrix products of that size; two cores may pass
100 %.

Usage: ``python benchmarks/sampling.py``
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import torch
from torch import Tensor

from mdlm.cores import available_cores
from mdlm.model.base import LanguageModel, ModelConfig, StateStepper
from mdlm.model.lstm import LSTMConfig
from mdlm.model.transformer import TransformerConfig
from mdlm.sampling.engines import inverse_cdf
from mdlm.sampling.sampling import Sampling

WINDOW = 100


@dataclass(frozen=True)
class Case:
    """A model's size, and the work it is given."""

    name: str
    config: ModelConfig
    n_states: int
    n_chains: int
    n_tokens: int
    flops_per_token: float


def lstm_flops(embedding: int, hidden: int, n_states: int) -> float:
    return 2.0 * hidden * (4 * hidden + n_states)  # the tokens' own product is a table


def transformer_flops(width: int, layers: int, window: int, n_states: int) -> float:
    return layers * (2.0 * 12 * width**2 + 4.0 * window * width) + 2.0 * width * n_states


CASES = (
    Case("lstm 8/64, V=4", LSTMConfig(8, 64, 1, 0.0), 4, 1000, 3000, lstm_flops(8, 64, 4)),
    Case("lstm 128/1024, V=100", LSTMConfig(128, 1024, 1, 0.0), 100, 100, 300, lstm_flops(128, 1024, 100)),
    Case(
        "transformer_nanogpt, V=100",
        TransformerConfig(128, 8, 2, 100, 0.0),
        100,
        1000,
        400,
        transformer_flops(128, 2, 100, 100),
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
    window_BT = torch.randint(model.n_states, (n_chains, WINDOW))

    @torch.inference_mode()
    def work() -> int:
        window = window_BT
        for _ in range(n_tokens):
            logits_BTV, _ = model(window)
            token_B = inverse_cdf(logits_BTV[:, -1], torch.rand(n_chains, dtype=torch.float64))
            window = torch.cat([window[:, 1:], token_B[:, None]], dim=1)
        return n_chains * n_tokens

    return work


def step_loop(model: LanguageModel, n_chains: int, n_tokens: int) -> Callable[[], int]:
    @torch.inference_mode()
    def work() -> int:
        stepper = StateStepper(model, torch.randint(model.n_states, (n_chains, WINDOW)))
        for _ in range(n_tokens):
            stepper.step(inverse_cdf(stepper.logits_BV, torch.rand(n_chains, dtype=torch.float64)))
        return n_chains * n_tokens

    return work


def mdlm(model: LanguageModel, n_chains: int, n_tokens: int) -> Callable[[], int]:
    held_out = [np.random.default_rng(0).integers(model.n_states, size=1000)]
    sampling = Sampling(n_chains, n_tokens, prompt_length=WINDOW, sampling_temperature=1.0)
    return lambda: int(sampling.draw(model, held_out, 0).chains.size)


def matrix_limit(case: Case) -> float:
    """FLOP/s of one core on matrix products of this case's size."""
    width = getattr(case.config, "hidden", None) or case.config.width  # type: ignore[attr-defined]
    x: Tensor = torch.randn(case.n_chains, width)
    weights = torch.randn(width, 4 * width + case.n_states)
    out = torch.empty(case.n_chains, weights.shape[1])
    torch.mm(x, weights, out=out)
    n_goes = max(3, int(2e10 / (2 * x.numel() * weights.shape[1])))
    start = time.perf_counter()
    for _ in range(n_goes):
        torch.mm(x, weights, out=out)
    return 2 * x.numel() * weights.shape[1] * n_goes / (time.perf_counter() - start)


def main() -> None:
    processor = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if "model name" in line), "")  # noqa: SIM115
    print(f"{datetime.now(UTC):%Y-%m-%d}, {available_cores()} cores of {processor or platform.processor()}, ", end="")
    print(f"torch {torch.__version__}, load {os.getloadavg()[0]:.1f}\n")
    ratios = "/ published | / recompute | / step loop | of one core"
    print(f"| model | chains | published | recompute | step loop | mdlm | {ratios} |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for case in CASES:
        torch.manual_seed(0)
        model = case.config.build(case.n_states).eval()
        torch.set_num_threads(1)
        limit = matrix_limit(case) / case.flops_per_token
        torch.set_num_threads(available_cores())
        published = rate(recompute(model, 1, 20))
        again = rate(recompute(model, case.n_chains, 2))
        plain = rate(step_loop(model, case.n_chains, max(8, case.n_tokens // 10)))
        ours = rate(mdlm(model, case.n_chains, case.n_tokens))
        numbers = (published, again, plain, ours)
        faster = (ours / published, ours / again, ours / plain)
        print(
            f"| {case.name} | {case.n_chains} | "
            + " | ".join(f"{number:,.0f}" for number in numbers)
            + " | "
            + " | ".join(f"{ratio:,.1f}" for ratio in faster)
            + f" | {ours / limit:.0%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
