"""Independent walkers, advanced in chunks by several threads; the same bits for any number of threads."""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mdlm.cores import available_cores
from mdlm.progress import Progress, silent
from mdlm.system.base import System
from mdlm.trajectory import FloatArray, Header, Trajectory

Start = Callable[[np.random.Generator], FloatArray]
"""Draws the state a walker starts from."""
Advance = Callable[[np.random.Generator, FloatArray, FloatArray], None]
"""Moves a state forward in place and fills a block of shape ``(n_frames, n_columns)``; releases the GIL."""

CHUNK_STEPS = 2_000_000  # about 0.1 s of work: short enough for a live progress bar and a prompt Ctrl-C


def check_positive(**values: float) -> None:
    """Raise `ValueError` naming the first value that is not a positive, finite number.

    Example:
        >>> check_positive(friction=-1.0)
        Traceback (most recent call last):
        ValueError: friction (-1.0) must be positive and finite
    """
    for name, value in values.items():
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{name} ({value}) must be positive and finite")


def check_seed(seed: int) -> None:
    """Raise `ValueError` unless ``seed`` can seed a generator."""
    if seed < 0:
        raise ValueError(f"seed ({seed}) must not be negative")


def walker_generator(seed: int, walker: int) -> np.random.Generator:
    """The random numbers of one walker; they depend on ``seed`` and its number, not on how many there are."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(walker,))))


class _Walker:
    """One walker on its way: its random numbers, its state and the frames it has filled."""

    def __init__(self, rng: np.random.Generator, start: Start, n_frames: int, n_columns: int) -> None:
        self.rng = rng
        self.state = start(rng)
        self.frames = np.empty((n_frames, n_columns), np.float32)
        self.n_filled = 0

    @property
    def finished(self) -> bool:
        return self.n_filled == len(self.frames)

    def run_chunk(self, advance: Advance, chunk_frames: int) -> int:
        """Fill the next frames and return how many they were."""
        block = self.frames[self.n_filled : self.n_filled + chunk_frames]
        advance(self.rng, self.state, block)
        self.n_filled += len(block)
        return len(block)


def run_walkers(
    start: Start,
    advance: Advance,
    *,
    n_walkers: int,
    n_frames: int,
    n_columns: int,
    save_every: int,
    seed: int,
    n_threads: int | None,
    step_cost: float = 1.0,
    progress: Progress = silent,
) -> tuple[FloatArray, ...]:
    """Run independent walkers, in turn and in chunks, on a pool of threads.

    Args:
        start: Draws the state a walker starts from; called in this thread for one walker after the other.
        advance: Moves one walker; called from several threads, each time with another walker's state.
        n_walkers: Walkers, each with random numbers of its own.
        n_frames: Frames each walker saves.
        n_columns: Values in a frame.
        save_every: Steps per frame; only for the size of a chunk and the reported rate.
        seed: Together with a walker's number, decides all its random numbers.
        n_threads: Threads; None means every core this process may use. The result does not depend on it.
        step_cost: Of one step, in steps of a particle in the plane; only for the size of a chunk.
        progress: Called in this thread after each chunk, in steps.

    Returns:
        One array of shape ``(n_frames, n_columns)``, float32, per walker.
    """
    walkers = [_Walker(walker_generator(seed, number), start, n_frames, n_columns) for number in range(n_walkers)]
    chunk_frames = max(1, int(CHUNK_STEPS / (step_cost * save_every)))
    total, done, began = n_walkers * n_frames * save_every, 0, time.perf_counter()
    pool = ThreadPoolExecutor(n_threads or available_cores())
    try:
        running: dict[Future[int], _Walker] = {
            pool.submit(walker.run_chunk, advance, chunk_frames): walker for walker in walkers
        }
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                walker = running.pop(future)
                done += future.result() * save_every
                progress(done, total, f"{done / (time.perf_counter() - began) / 1e6:.1f} M steps/s")
                if not walker.finished:
                    running[pool.submit(walker.run_chunk, advance, chunk_frames)] = walker
    finally:
        pool.shutdown(cancel_futures=True)
    return tuple(walker.frames for walker in walkers)


@dataclass(frozen=True, kw_only=True)
class WalkerSystem(System):
    """Independent walkers of the same stochastic dynamics; in the ``(x, y)`` plane unless a subclass says otherwise.

    Attributes:
        time_step: Integrator step, in the system's time unit.
        save_every: Steps per saved frame.
        n_walkers: Independent trajectories.
        n_steps: Steps of all walkers together.
        seed: Decides every random number.
        n_threads: Threads; None means every core. The trajectories do not depend on it.
        step_cost: Of one step, in steps of a particle in the plane; only for the size of a chunk.
    """

    time_step: float
    save_every: int
    n_walkers: int
    n_steps: int
    seed: int
    n_threads: int | None = None
    step_cost: ClassVar[float] = 1.0

    def __post_init__(self) -> None:
        check_positive(
            time_step=self.time_step,
            save_every=self.save_every,
            n_walkers=self.n_walkers,
            n_steps=self.n_steps,
        )
        check_seed(self.seed)
        if self.n_threads is not None and self.n_threads < 1:
            raise ValueError(f"n_threads ({self.n_threads}) must be at least 1, or null for every core")
        whole = self.n_walkers * self.save_every
        if self.n_steps % whole:
            raise ValueError(
                f"n_steps ({self.n_steps}) must be a multiple of n_walkers x save_every ({whole}), "
                "so that every walker ends on a whole frame"
            )

    @property
    def header(self) -> Header:
        """Columns, lengths and clock of the trajectories."""
        n_frames = self.n_steps // (self.n_walkers * self.save_every)
        lengths = (n_frames,) * self.n_walkers
        return Header(("x", "y"), lengths, self.time_step * self.save_every, "reduced")

    @abstractmethod
    def dynamics(self) -> tuple[Start, Advance]:
        """How a walker starts, and how it moves."""

    def trajectories(self, progress: Progress = silent) -> Trajectory:
        """Run every walker.

        Raises:
            ValueError: ``time_step`` is so large that a walker leaves the finite numbers.
        """
        start, advance = self.dynamics()

        def advance_checked(rng: np.random.Generator, state: FloatArray, block: FloatArray) -> None:
            advance(rng, state, block)
            if not np.isfinite(block).all():
                raise ValueError(f"time_step ({self.time_step:g}) gives non-finite values; take a smaller one")

        header = self.header
        pieces = run_walkers(
            start,
            advance_checked,
            n_walkers=self.n_walkers,
            n_frames=header.lengths[0],
            n_columns=len(header.columns),
            save_every=self.save_every,
            seed=self.seed,
            n_threads=self.n_threads,
            step_cost=self.step_cost,
            progress=progress,
        )
        return Trajectory(pieces, header.frame_time, header.time_unit, columns=header.columns)

    def identity(self) -> dict[str, Any]:
        """The fields that decide the trajectories; the number of threads does not."""
        return {name: value for name, value in super().identity().items() if name != "n_threads"}
