"""A finished run read back: its sampled states, and the stages that say which training frames they stand for."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mdlm.build import build
from mdlm.evaluation import Sequences
from mdlm.experiment import Experiment
from mdlm.kinetics.estimate import markov_state_model
from mdlm.kinetics.events import slow_events, slow_sides
from mdlm.outcome import Learning, TrainingCurve, learned
from mdlm.report.run_folder import LEARNING_FILE
from mdlm.stages import Stages
from mdlm.trajectory import Dtraj, IntArray


@dataclass(frozen=True)
class FinishedRun:
    """What a run has left behind.

    Attributes:
        experiment: What it was.
        chains: The states of its sampled chains.
        state_names: Their names when the run was made.
        config: Its configuration.
    """

    experiment: Experiment
    chains: Dtraj
    state_names: tuple[str, ...]
    config: Mapping[str, Any]

    @classmethod
    def read(
        cls, directory: Path, cache_dir: Path | None, trusted: Collection[str], sampled: Path | None = None
    ) -> FinishedRun:
        """Read a run's folder.

        Args:
            directory: The folder.
            cache_dir: Where to look for its stages; None: where the run kept them.
            trusted: See `mdlm.build.build`.
            sampled: A file of `mdlm sample`, to be read instead of the run's own chains.

        Raises:
            ValueError: It is no folder of a finished run; it names the field ``run``.
        """
        for name in ("config.yaml", "sampled.npz", "chains.npy"):
            if not (directory / name).is_file():
                raise ValueError(f"run ({directory}) must be the folder of a finished run; it has no {name}")
        config = _config(directory / "config.yaml")
        experiment = build(config, trusted)
        if not isinstance(experiment, Experiment):
            raise ValueError(f"run ({directory}) must be the folder of a finished run; config.yaml is of none")
        if cache_dir is not None:
            experiment = replace(experiment, cache_dir=cache_dir)
        about = About.read(directory / "sampled.npz")
        pieces = about.decoded or _pieces(directory / "chains.npy", "run") if sampled is None else _pieces(sampled)
        states = Dtraj(pieces, about.frame_time, about.time_unit, n_states=len(about.state_names))
        return cls(experiment, states.check(), about.state_names, config)

    @cached_property
    def stages(self) -> Stages:
        """Its stages, from the cache, or computed again.

        Raises:
            ValueError: The partition has become another, so that the sampled states mean something else.
        """
        stages = self.experiment.stages()
        if stages.discretiser.state_names != self.state_names:
            raise ValueError(
                f"run: its partition had {len(self.state_names)} states, and has others or other names when it is "
                "computed with the data and the code of today; train again"
            )
        return stages

    def event(self, number: int, margin: int) -> tuple[int, range]:
        """Chain and frames of a change of side of the slowest process, counted from 0 through all chains.

        The sides are those of the verdict: of a Markov state model of all molecular dynamics, in macrostates, at the
        judged lag.

        Args:
            number: Of the event.
            margin: Frames before and after it, fewer at an end of the chain.

        Raises:
            ValueError: There are not so many; it names the field ``event``.
        """
        sides = slow_sides(markov_state_model(self.stages.reference, self.experiment.kinetics.lag_time))
        min_frames = self.chains.lag_frames(self.experiment.kinetics.lag_time)
        n_events = 0
        for chain, piece in enumerate(self.stages.lumping.lump(self.chains).pieces):
            events = slow_events(piece, sides.codes, min_frames)
            if number < n_events + len(events):
                first, after = events[number - n_events]
                return chain, range(max(0, first - margin), min(len(piece), after + margin))
            n_events += len(events)
        held = f"0..{n_events - 1}" if n_events else "none: no chain crosses between the slow sides and stays"
        raise ValueError(f"event ({number}) must be one of those of the sampled chains, {held}")


def learning_of(directory: Path, stages: Stages, sequences: Sequences, lag_time: float) -> Learning | None:
    """How a finished run's chains were made, as far as it wrote that down; None where it did not.

    Args:
        directory: The run's folder.
        stages: Its stages.
        sequences: What is judged.
        lag_time: At which, in the time unit.
    """
    from mdlm.training.fitted import Epoch

    try:
        kept = json.loads((directory / LEARNING_FILE).read_text())
    except (OSError, json.JSONDecodeError):
        return None
    history = tuple(Epoch(**epoch) for epoch in kept["history"])
    curve = TrainingCurve(history, kept["best_epoch"], kept["batching"])
    return learned(stages, sequences, lag_time, curve, kept["costs"])


def _config(path: Path) -> Any:  # noqa: ANN401
    import yaml

    try:
        return yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ValueError(f"run: {path} cannot be read as YAML") from None


@dataclass(frozen=True)
class About:
    """What ``sampled.npz`` says of a run's chains.

    Attributes:
        state_names: Of the partition.
        frame_time: Of the states, in ``time_unit``.
        time_unit: Its unit.
        prompts: What each chain continues, shape ``(n_chains, prompt_length)``.
        sampling_seed: Of the chains, drawn after the prompts.
        decoded: The states of each chain where a token stands for several frames, else nothing.
    """

    state_names: tuple[str, ...]
    frame_time: float
    time_unit: str
    prompts: IntArray
    sampling_seed: int
    decoded: tuple[IntArray, ...]

    @classmethod
    def read(cls, path: Path) -> About:
        """Read the file.

        Raises:
            ValueError: It is damaged; it names the field ``run``.
        """
        try:
            with np.load(path) as file:
                decoded: tuple[IntArray, ...] = ()
                if "decoded_states" in file:
                    decoded = tuple(np.split(file["decoded_states"], np.cumsum(file["decoded_lengths"])[:-1]))
                clock = float(file["frame_time"]), str(file["time_unit"])
                names, seed = tuple(file["state_names"].tolist()), int(file["sampling_seed"])
                return cls(names, *clock, file["prompts"], seed, decoded)
        except (zipfile.BadZipFile, EOFError, KeyError, ValueError):
            raise ValueError(f"run: {path} is damaged; train again") from None


def _pieces(path: Path, field: str = "sampled") -> tuple[IntArray, ...]:
    """The chains in a file: rows, mapped into memory, or one array each."""
    try:
        loaded = np.load(path, mmap_mode="r")
        pieces = tuple(loaded) if isinstance(loaded, np.ndarray) else tuple(loaded[name] for name in loaded.files)
    except (zipfile.BadZipFile, EOFError, ValueError):
        raise ValueError(f"{field}: {path} is damaged or no file of chains") from None
    if any(piece.ndim != 1 or piece.dtype.kind not in "iu" for piece in pieces):
        raise ValueError(f"{field}: {path} holds no chains of states")
    return pieces
