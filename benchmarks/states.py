"""What many states cost an LSTM of default size: anchor, an epoch, memory of slow modes, sampling, and memory at most.

A walk on a square of as many cells, 200,000 frames of it, on one thread; each number of states in a process of its own.
Then the products of 65 frames with the output layer of 4000 states, forward and back to its input, where only a share
of the logits is wanted: sparse ones over dense ones.

Usage: ``python benchmarks/states.py [N_STATES ...]``
"""

from __future__ import annotations

import argparse
import platform
import resource
import subprocess
import sys
import tempfile
import time
import timeit
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import torch
import training
from numpy.typing import NDArray

from mdlm.model.lstm import LSTMConfig
from mdlm.sampling.sampling import Sampling
from mdlm.tokens.base import Tokens
from mdlm.training import fit, run
from mdlm.trajectory import Split

N_FRAMES, N_PIECES, STEP = 200_000, 10, 1.5  # the standard deviation of a step, in cells
TRAINING = replace(training.TRAINING, batch_size=16, learning_rate=None, warmup_fraction=0.05)  # the default's


def walk(n_frames: int, side: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Cells of a walk between four walls, which throw it back."""
    free = rng.uniform(0, side, size=2) + np.cumsum(rng.normal(0, STEP, (n_frames, 2)), axis=0)
    cells = np.floor(side - abs(free % (2 * side) - side)).astype(np.int64).clip(0, side - 1)
    return np.asarray(cells[:, 0] * side + cells[:, 1])


def tokens(n_frames: int, side: int, rng: np.random.Generator) -> Tokens:
    pieces = tuple(walk(n_frames // N_PIECES, side, rng) for _ in range(N_PIECES))
    return Tokens(pieces, tuple(map(str, range(side**2))), n_unseen=0)


def measure(n_states: int) -> None:
    """Print a row of the table."""
    torch.set_num_threads(1)
    rng, side, seconds = np.random.default_rng(0), int(np.sqrt(n_states)), {}
    data = Split(*(tokens(n, side, rng) for n in (N_FRAMES, N_FRAMES // 5, N_FRAMES // 5)))

    def timed(module: object, name: str) -> mock._patch[object]:
        function = getattr(module, name)

        def watched(*arguments: object) -> object:
            begin = time.perf_counter()
            found = function(*arguments)
            seconds[name] = time.perf_counter() - begin
            return found

        return mock.patch.object(module, name, watched)

    config = LSTMConfig(16, 64, 1, 0.0, anchor="slow_modes")
    with tempfile.TemporaryDirectory() as folder, timed(fit, "markov_anchor"), timed(run, "fit_slow_memory"):
        fitted = TRAINING.fit(config, data, 0, Path(folder), {})
    sampled = Sampling(1000, 256, 50, 1.0).draw(fitted.model, data.test.pieces, 0)
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    parts = (seconds["markov_anchor"], fitted.history[0].seconds, seconds["fit_slow_memory"])
    row = [f"{side**2}", *(f"{part:.1f}" for part in parts), f"{sampled.tokens_per_second:,.0f}", f"{gigabytes:.1f}"]
    print("|", " | ".join(row), "|", flush=True)


def sparse_over_dense(share: float, n_frames: int = 65, n_states: int = 4000, width: int = 64) -> float:
    """Time of the products where only this share of the logits is wanted, over that of all."""
    weight, x = torch.randn(n_states, width), torch.randn(n_frames, width)
    n_wanted = int(share * n_states)
    wanted = torch.stack([torch.randperm(n_states)[:n_wanted].sort().values for _ in range(n_frames)]).flatten()
    starts = torch.arange(n_frames + 1) * n_wanted
    some = torch.sparse_csr_tensor(
        starts, wanted, torch.randn(len(wanted)), (n_frames, n_states), check_invariants=False
    )
    all_of_them = torch.randn(n_frames, n_states)

    def best(work: Callable[[], object]) -> float:
        return min(timeit.repeat(work, number=1, repeat=50))

    sparse = best(lambda: (torch.sparse.sampled_addmm(some, x, weight.T), some @ weight))
    return sparse / best(lambda: (x @ weight.T, all_of_them @ weight))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("n_states", type=int, nargs="*", default=[1000, 2000, 4000, 8000])
    parser.add_argument("--only", type=int, help="print the row of one number of states, computed in this process")
    arguments = parser.parse_args()
    if arguments.only:
        measure(arguments.only)
        return
    print(f"torch {torch.__version__}, {platform.processor() or platform.machine()}, one thread\n", flush=True)
    print("| states | anchor, s | epoch, s | memory of slow modes, s | sampled tokens/s | most memory, GB |")
    print("|---|---|---|---|---|---|", flush=True)
    for n_states in arguments.n_states:
        subprocess.run([sys.executable, __file__, "--only", str(n_states)], check=True)
    torch.set_num_threads(1)
    print("\n| share of the logits | sparse / dense |\n|---|---|")
    for share in (0.5, 0.25, 0.1, 0.02):
        print(f"| {share} | {sparse_over_dense(share):.2f} |")


if __name__ == "__main__":
    warnings.filterwarnings("ignore", "Sparse CSR")
    main()
