"""Steps per second of the four-state simulation, against the plain recipe in numba's own generator.

The peer is what one writes first: the same Langevin scheme and the same force, one trajectory on one core,
with numbers from the legacy Mersenne Twister that numba carries. Runs are interleaved, and the rate per core
is per second of processor time, so that other work on the machine hardly counts; the wall rate stands beside.

Usage: ``python benchmarks/four_state.py [million_steps] [repeats]``
"""

from __future__ import annotations

import dataclasses
import math
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
from numba import njit

from mdlm.system.four_state import MEASURED_AT, FourState
from mdlm.system.four_state_kernels import Shape, force, shape_of
from mdlm.trajectory import FloatArray

SYSTEM = FourState(lag_time=200.0, **MEASURED_AT, save_every=100, n_walkers=20, n_steps=20_000, seed=0, n_threads=1)


@njit(fastmath=True)
def plain_recipe(frames: FloatArray, shape: Shape, keep: float, noise: float, time_step: float) -> None:
    x, y, velocity_x, velocity_y = 2.0, -1.0, 0.0, 0.0
    force_x, force_y = force(x, y, shape)
    kick = 0.5 * time_step
    for frame in range(len(frames)):
        for _ in range(100):
            velocity_x = keep * velocity_x + noise * np.random.standard_normal() + kick * force_x  # noqa: NPY002
            velocity_y = keep * velocity_y + noise * np.random.standard_normal() + kick * force_y  # noqa: NPY002
            x += time_step * velocity_x
            y += time_step * velocity_y
            force_x, force_y = force(x, y, shape)
            velocity_x += kick * force_x
            velocity_y += kick * force_y
        frames[frame, 0] = x
        frames[frame, 1] = y


def run_plain_recipe(n_steps: int) -> None:
    keep = math.exp(-0.01)
    noise = math.sqrt((1 - keep * keep) / SYSTEM.beta)
    frames = np.empty((n_steps // 100, 2), np.float32)
    plain_recipe(frames, shape_of(SYSTEM.wall, SYSTEM.width), keep, noise, 0.01)


def run_mdlm(n_steps: int, n_threads: int) -> None:
    dataclasses.replace(SYSTEM, n_steps=n_steps, n_threads=n_threads).trajectories()


def seconds(work: Callable[[], None]) -> tuple[float, float]:
    """Processor time of all threads together, and wall time."""
    processor, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - processor, time.perf_counter() - wall


def main() -> None:
    millions = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    repeats = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    n_steps = millions * 1_000_000
    contestants: dict[str, Callable[[], None]] = {
        "plain recipe, 1 thread": lambda: run_plain_recipe(n_steps),
        "mdlm, 1 thread": lambda: run_mdlm(n_steps, 1),
        "mdlm, 2 threads": lambda: run_mdlm(n_steps, 2),
    }
    run_plain_recipe(100)  # compile before the clock starts
    run_mdlm(2_000, 1)
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, work in contestants.items():
            processor, wall = seconds(work)
            rates[name].append((millions / processor, millions / wall))
    peer = statistics.median(per_core for per_core, _ in rates["plain recipe, 1 thread"])
    print(f"{n_steps:.0e} steps, {repeats} interleaved repeats; million steps per second")
    print(f"{'':<24}{'per core: min':>14}{'median':>8}{'x plain':>9}{'wall: median':>14}")
    for name, values in rates.items():
        per_core, wall_rate = zip(*values, strict=True)
        median = statistics.median(per_core)
        row = f"{min(per_core):>14.1f}{median:>8.1f}{median / peer:>9.2f}{statistics.median(wall_rate):>14.1f}"
        print(f"{name:<24}{row}")


if __name__ == "__main__":
    main()
