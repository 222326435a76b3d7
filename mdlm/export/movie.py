"""Which states to show, which frames to draw for them, and in which file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, get_args, get_type_hints

import numpy as np

from mdlm.export import columns, molecule
from mdlm.export.drawing import FramesOfStates, draw_nearest, draw_random, frames_at
from mdlm.export.finished import FinishedRun
from mdlm.features.framewise import some
from mdlm.features.molecule import Atom, atoms_of
from mdlm.partition.labels import Labels
from mdlm.partition.metrics import Euclidean, Metric, MinimalRMSD
from mdlm.progress import bar
from mdlm.stages import Stages
from mdlm.trajectory import FloatArray, IntArray, Trajectory

N_FRAMES = 500  # of a chain that are shown unless told otherwise


@dataclass(frozen=True, kw_only=True)
class Movie:
    """A movie of sampled states, made of real frames from the training trajectories.

    A token stands for a state after the recrossing treatment, so each of its frames is drawn from those training
    frames whose treated state it is.

    Attributes:
        chain: Sampled chain, from 0; None: the first, or that of the event.
        frames: First frame of the chain and the one after the last; None: the first 500, or those of the event.
        event: Show this change of side of the slowest process instead, counted from 0 through all chains.
        margin: Frames of the chain to show before and after the event.
        draw: ``nearest``, the frame of the state nearest to the one drawn before: in minimal RMSD of a molecule's
            atoms, else in Euclidean distance of the features that the partition sees; or ``random``.
        seed: Of what is drawn at random: every frame, or of ``nearest`` the first.
        output: The file; None: one in the run's folder. Its suffix is the format.
    """

    chain: int | None = None
    frames: tuple[int, int] | None = None
    event: int | None = None
    margin: int = 10
    draw: Literal["nearest", "random"] = "nearest"
    seed: int = 0
    output: Path | None = None

    def __post_init__(self) -> None:
        for name in ("chain", "event", "margin", "seed"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} ({value}) must be at least 0")
        allowed = get_args(get_type_hints(Movie)["draw"])
        if self.draw not in allowed:
            raise ValueError(f"draw ({self.draw}) must be one of {', '.join(allowed)}")
        for name in ("chain", "frames"):
            if self.event is not None and getattr(self, name) is not None:
                raise ValueError(f"event ({self.event}) has its own chain and frames; leave out {name}")

    def write(self, directory: Path, run: FinishedRun) -> list[Path]:
        """Draw the frames and write them.

        Args:
            directory: The run's folder, for an ``output`` of None.
            run: What is in it.

        Returns:
            The files.

        Raises:
            ValueError: The run has no such chain, frame or event, or its system has no coordinates.
        """
        header = run.experiment.system.header
        if isinstance(run.experiment.partition, Labels) and len(header.columns) == 1:
            raise ValueError("run: its system gives state labels and no coordinates; there is nothing to show")
        atoms = atoms_of(header.columns)
        allowed = molecule.SUFFIXES if atoms else columns.suffixes(header.columns)
        if self.output is not None and self.output.suffix not in allowed:
            kind = "a molecule" if atoms else f"columns {some(header.columns)}"
            raise ValueError(f"output ({self.output}) must end in {', '.join(allowed)} for {kind}")
        chain, span = self._shown(run) if self.event is None else run.event(self.event, self.margin)
        path = run.chains.pieces[chain][span.start : span.stop]
        numbers = self._draw(path, atoms, run.stages)
        times = np.array(span) * run.chains.frame_time
        output = self.output or _default(directory, chain, span, atoms)
        train = run.stages.parts.train
        frames = frames_at(train, numbers)
        if atoms:
            conformations = molecule.conformations(frames, atoms)
            return molecule.write_molecule(output, conformations, times, train.time_unit, atoms)
        return columns.write_columns(output, frames, times, path, train)

    def _shown(self, run: FinishedRun) -> tuple[int, range]:
        chain, n_chains = self.chain or 0, len(run.chains.pieces)
        if chain >= n_chains:
            raise ValueError(f"chain ({chain}) must be one of the run's sampled chains, 0..{n_chains - 1}")
        n_frames = run.chains.lengths[chain]
        first, after = self.frames or (0, min(N_FRAMES, n_frames))
        if not 0 <= first < after <= n_frames:
            raise ValueError(f"frames ({first}:{after}) must be a part of 0:{n_frames}, the frames of chain {chain}")
        return chain, range(first, after)

    def _draw(self, path: IntArray, atoms: tuple[Atom, ...], stages: Stages) -> IntArray:
        frames, rng = FramesOfStates.of(stages.treated.train), np.random.default_rng(self.seed)
        if self.draw == "random":
            return draw_random(path, frames, rng)
        at: Callable[[IntArray], FloatArray]
        metric: Metric
        if len(atoms) >= molecule.SUPERPOSABLE:
            at, metric = partial(_conformations, stages.parts.train, atoms), MinimalRMSD()
        else:
            described = stages.described.train
            at, metric = partial(frames_at, described), Euclidean(np.ones(len(described.columns)))
        with bar("drawing frames") as progress:
            return draw_nearest(path, frames, at, metric, rng, progress)


def _conformations(train: Trajectory, atoms: tuple[Atom, ...], numbers: IntArray) -> FloatArray:
    return molecule.conformations(frames_at(train, numbers), atoms)


def _default(directory: Path, chain: int, span: range, atoms: tuple[Atom, ...]) -> Path:
    return directory / f"chain{chain}_{span.start}-{span.stop}{'.xtc' if atoms else '.csv'}"
