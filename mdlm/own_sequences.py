"""State sequences of any origin, made ready to be judged: read, given one alphabet, one clock and macrostates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mdlm.evaluation import Sequences
from mdlm.macrostates.base import Lumping
from mdlm.macrostates.own import each_its_own
from mdlm.partition.labels import Labels
from mdlm.partition.pcca import Pcca
from mdlm.system.paths import files_of
from mdlm.system.states import unbroken_sequences
from mdlm.trajectory import Dtraj, IntArray, Trajectory, lag_frames

SHOWN = 8  # labels in an error


@dataclass(frozen=True, kw_only=True)
class OwnSequences:
    """Files of state sequences, and what they mean.

    Attributes:
        reference: Files of the sequences that are judged against.
        sampled: Files of those that are judged.
        training: Files of what the sample was made from, where that is less than the reference; None: all of it.
        frame_time: Between neighbouring states of the reference, in ``time_unit``.
        sampled_frame_time: The same of the sample, a whole multiple; None: that of the reference.
        time_unit: Of every time here.
        lag_time: At which they are judged.
        macrostates: ``own``: the states themselves; ``pcca``: metastable sets of the reference; else a file that maps
            states to macrostates.
        n_macrostates: How many ``pcca`` makes; None: as many as the reference's spectrum supports.
    """

    reference: tuple[str, ...]
    sampled: tuple[str, ...]
    frame_time: float
    time_unit: str
    lag_time: float
    training: tuple[str, ...] | None = None
    sampled_frame_time: float | None = None
    macrostates: str = "own"
    n_macrostates: int | None = None

    def __post_init__(self) -> None:
        for name in ("frame_time", "lag_time", "sampled_frame_time"):
            value = getattr(self, name)
            if value is not None and not 0 < value < np.inf:
                raise ValueError(f"{name} ({value:g}) must be above 0 and finite")
        if self.n_macrostates is not None and self.macrostates != "pcca":
            raise ValueError(f"n_macrostates ({self.n_macrostates}) is of macrostates=pcca only")
        lag_frames(self.lag_time, self.frame_time * self._stride, self.time_unit)

    @property
    def _stride(self) -> int:
        """Frames of the reference per frame of the sample."""
        if self.sampled_frame_time is None:
            return 1
        return lag_frames(self.sampled_frame_time, self.frame_time, self.time_unit, "sampled_frame_time")

    def read(self) -> tuple[Sequences, tuple[str, ...]]:
        """Read the files; returns the sequences and notes on them.

        Raises:
            ValueError: A file is missing or damaged, the alphabets differ, or a sequence is empty or too short.
        """
        read = {"reference": self._pieces(self.reference, "reference")}
        read["data"] = self._pieces(self.training, "training") if self.training else read["reference"]
        read["sampled"] = self._pieces(self.sampled, "sampled")
        occurring = np.unique(np.concatenate([np.unique(piece) for piece in read["reference"]]))
        if len(occurring) < 2:
            raise ValueError(f"reference holds no other state than {occurring[0]}; at least two are needed")
        mapped = None if self.macrostates in ("own", "pcca") else _mapping(Path(self.macrostates))
        labels = occurring if mapped is None else np.array(sorted(mapped))
        for name, pieces in read.items():
            _check_alphabet("training" if name == "data" else name, pieces, labels, mapped is not None)
        states = {name: self._dtraj(pieces, labels) for name, pieces in read.items()}
        sampled = Dtraj(states["sampled"].pieces, self.frame_time * self._stride, self.time_unit, len(labels))
        self._check_lengths(states["reference"], states["data"], sampled)
        names = tuple(f"state {label}" for label in labels)
        lumping = self._lumping(states["reference"], labels, names, mapped)
        tokens = states["data"].strided(self._stride, "all")
        reference = lumping.lump(states["reference"])
        sequences = Sequences(reference, states["data"], tokens, sampled, names, lumping)
        return sequences, _notes(labels, names, lumping, sampled)

    def _pieces(self, paths: tuple[str, ...], field: str) -> list[IntArray]:
        pieces = unbroken_sequences(files_of(paths, field), field, field)
        if not pieces:
            raise ValueError(f"{field} holds no two frames in a row that are in a state")
        return pieces

    def _dtraj(self, pieces: Sequence[IntArray], labels: IntArray) -> Dtraj:
        """States 0, 1, 2 ... in the order of the labels."""
        numbered = tuple(np.searchsorted(labels, piece).astype(np.int32) for piece in pieces)
        return Dtraj(numbered, self.frame_time, self.time_unit, len(labels))

    def _check_lengths(self, reference: Dtraj, data: Dtraj, sampled: Dtraj) -> None:
        for name, dtraj in (("reference", reference), ("training", data), ("sampled", sampled)):
            lag, longest = dtraj.lag_frames(self.lag_time), max(dtraj.lengths)
            if lag >= longest:
                raise ValueError(
                    f"lag_time ({self.lag_time:g} {self.time_unit}, {lag} frames) must be shorter than the longest "
                    f"sequence of {name}, {longest} frames"
                )

    def _lumping(
        self, reference: Dtraj, labels: IntArray, names: tuple[str, ...], mapped: dict[int, str] | None
    ) -> Lumping:
        """Macrostates from the reference alone."""
        if mapped is not None:
            macrostates = tuple(sorted(set(mapped.values()), key=_numbers_first))
            of_state = np.array([macrostates.index(mapped[label]) for label in labels.tolist()])
            return Lumping(of_state, macrostates, mixed_share=0.0)
        if self.macrostates == "own":
            return each_its_own(names)
        frames = tuple(piece[:, None].astype(np.float32) for piece in reference.pieces)
        trajectory = Trajectory(frames, reference.frame_time, reference.time_unit, columns=("state",))
        pcca = Pcca(micro=Labels(n_states=reference.n_states), lag_time=self.lag_time, n_macrostates=self.n_macrostates)
        fitted = pcca.fit(trajectory)
        return Lumping(fitted.of_micro, fitted.state_names, mixed_share=0.0)


def _check_alphabet(field: str, pieces: Sequence[IntArray], labels: IntArray, mapped: bool) -> None:
    """Raise `ValueError` where a sequence is in states that are not in the alphabet."""
    foreign = np.setdiff1d(np.unique(np.concatenate([np.unique(piece) for piece in pieces])), labels)
    if len(foreign):
        shown = ", ".join(map(str, foreign[:SHOWN].tolist())) + ", ..." * (len(foreign) > SHOWN)
        alphabet = "macrostates does not map" if mapped else "the reference never visits"
        raise ValueError(
            f"{field} holds states that {alphabet} ({shown}); both must be in the same states, numbered alike"
            + ("" if mapped else ", or macrostates=FILE must say which macrostate each state is in")
        )


def _mapping(path: Path) -> dict[int, str]:
    """Macrostate of each state: lines ``state macrostate``, with comments after ``#``."""
    if not path.is_file():
        raise ValueError(f"macrostates ({path}) must be own, pcca or a file that maps states to macrostates")
    found: dict[int, str] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"macrostates ({path}) must be a text file, one line 'state macrostate' for each") from None
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 2 or not words[0].isdecimal():
            raise ValueError(f"macrostates: {path}, line {number}: {line.strip()!r} must be a state and its macrostate")
        if int(words[0]) in found:
            raise ValueError(f"macrostates: {path}, line {number}: state {words[0]} has a macrostate already")
        found[int(words[0])] = words[1]
    if len(set(found.values())) < 2:
        raise ValueError(f"macrostates ({path}) must name at least two macrostates")
    return found


def _numbers_first(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdecimal() else (2**62, name)


def _notes(labels: IntArray, names: tuple[str, ...], lumping: Lumping, sampled: Dtraj) -> tuple[str, ...]:
    """How states are numbered in what follows, and which ones the sample never visits."""
    found = []
    if len(lumping.names) < len(names):
        found.append(f"{len(names)} states are judged as {len(lumping.names)} macrostates")
    elif labels[-1] != len(labels) - 1:
        shown = ", ".join(f"{number} is {label}" for number, label in enumerate(labels[:SHOWN].tolist()))
        found.append(f"states are numbered anew, for some labels are absent: {shown}" + ", ..." * (len(labels) > SHOWN))
    visited = np.bincount(np.concatenate(sampled.pieces), minlength=len(labels)) > 0
    if not visited.all():
        missing = [names[state] for state in np.flatnonzero(~visited)]
        shown = ", ".join(missing[:SHOWN]) + ", ..." * (len(missing) > SHOWN)
        found.append(f"the sample never visits {len(missing)} of {len(names)} states ({shown})")
    return tuple(found)
