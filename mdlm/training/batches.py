"""How token sequences reach a model: contiguous streams with carried state, or windows with a fresh one.

Both gather by index from one flat tensor of all pieces, and neither ever joins the end of one piece to the start
of another: a frame's target is always the next frame of its own piece.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mdlm.model.likelihood import IGNORED
from mdlm.trajectory import IntArray


@dataclass(frozen=True)
class Batch:
    """Inputs and targets, both (B, T).

    Attributes:
        inputs_BT: States.
        targets_BT: The state one frame later, or `IGNORED` where padded.
        keep_B: Whether each row continues the same row of the batch before; else its state starts afresh.
        n_targets: How many targets of the whole batch, of which this may be a part, are not `IGNORED`; at least 1,
            but where there is no loss.
        warm_up: Only to bring the carried state up to date: no loss.
    """

    inputs_BT: Tensor
    targets_BT: Tensor
    keep_B: Tensor
    n_targets: int
    warm_up: bool = False

    def parts(self, n_rows: int) -> Iterator[Batch]:
        """The batch in pieces of at most ``n_rows`` rows."""
        tensors = (torch.split(tensor, n_rows) for tensor in (self.inputs_BT, self.targets_BT, self.keep_B))
        for inputs, targets, keep in zip(*tensors, strict=True):
            yield Batch(inputs, targets, keep, self.n_targets, self.warm_up)


class Batches(ABC):
    """Which tokens an update sees.

    Attributes:
        n_rows: Rows of every batch, B.
        n_batches: Batches with a loss in each epoch.
    """

    n_rows: int
    n_batches: int

    @abstractmethod
    def epoch(self, rng: np.random.Generator) -> Iterator[Batch]:
        """One epoch, decided by ``rng`` alone, so that a resumed run can find its place again."""


class Tape:
    """All pieces end to end in one tensor, and the chunks of at most ``length`` frames they are cut into."""

    def __init__(self, pieces: Sequence[IntArray], length: int, device: torch.device) -> None:
        self.tokens = torch.from_numpy(np.concatenate(pieces).astype(np.int32)).to(device)
        self.length = length
        starts, valid, first = [], [], []
        offset = 0
        for piece in pieces:
            inputs = len(piece) - 1  # the last frame has no successor
            piece_starts = np.arange(0, inputs, length)
            starts.append(offset + piece_starts)
            valid.append(np.minimum(length, inputs - piece_starts))
            first.append(piece_starts == 0)
            offset += len(piece)
        self.starts = np.concatenate(starts)
        self.valid = np.concatenate(valid)
        self.first = np.concatenate(first)

    def gather(self, starts_B: IntArray, valid_B: IntArray) -> tuple[Tensor, Tensor]:
        """Inputs and targets of the chunks of ``valid_B`` frames that start at ``starts_B``, padded to length."""
        position = torch.arange(self.length + 1, device=self.tokens.device)
        starts, valid = self.moved(starts_B), self.moved(valid_B)
        index = (starts[:, None] + position).clamp_(max=len(self.tokens) - 1)
        chunk = self.tokens[index].long()
        padded = position[:-1] >= valid[:, None]
        return chunk[:, :-1], chunk[:, 1:].masked_fill(padded, IGNORED)

    def moved(self, array: IntArray | NDArray[np.bool_]) -> Tensor:
        """An array on the device; the processor does not wait until it is there."""
        tensor = torch.from_numpy(array)
        if self.tokens.is_cuda:
            return tensor.pin_memory().to(self.tokens.device, non_blocking=True)
        return tensor


class Streams(Batches):
    """Contiguous runs of the pieces side by side, for truncated back-propagation through time.

    The chunks of all pieces, in time order, are dealt out as ``n_streams`` consecutive runs. The state a model
    carries from chunk to chunk is to be reset only where a piece begins. A run that begins inside a piece first
    gets the chunk before it as a warm-up without loss. Where the runs begin is drawn anew for every epoch.
    """

    min_chunks = 8
    """Runs shorter than this would mostly see fresh states, so small data get fewer streams."""

    def __init__(self, pieces: Sequence[IntArray], length: int, n_streams: int, device: torch.device) -> None:
        self.tape = Tape(pieces, length, device)
        n_chunks = len(self.tape.starts)
        self.n_rows = max(1, min(n_streams, n_chunks // self.min_chunks))
        self.n_batches = -(-n_chunks // self.n_rows)

    def epoch(self, rng: np.random.Generator) -> Iterator[Batch]:
        """Every frame of every piece once, in batches of one chunk per stream."""
        tape, n_chunks = self.tape, len(self.tape.starts)
        begin = np.linspace(0, n_chunks, self.n_rows + 1).astype(np.int64)
        shift = rng.integers(n_chunks)
        for number in range(-1, self.n_batches):
            chunk = begin[:-1] + number
            over = (chunk >= begin[1:]) if number >= 0 else np.zeros(self.n_rows, dtype=bool)
            chunk = (chunk + shift) % n_chunks
            valid = np.where(over, 0, tape.valid[chunk])
            inputs, targets = tape.gather(tape.starts[chunk], valid)
            keep = tape.moved(~tape.first[chunk] & (number >= 0))
            yield Batch(inputs, targets, keep, int(valid.sum()), warm_up=number < 0)


class Windows(Batches):
    """Windows that start at random frames with a fresh state, the way published codes train.

    A piece shorter than a window is used whole, padded.
    """

    def __init__(self, pieces: Sequence[IntArray], length: int, n_windows: int, device: torch.device) -> None:
        self.tape = Tape(pieces, length, device)
        self.n_rows = n_windows
        inputs = np.array([len(piece) - 1 for piece in pieces])
        self.offsets = np.concatenate([[0], np.cumsum(inputs + 1)[:-1]])
        self.valid = np.minimum(length, inputs)
        self.n_starts = np.where(inputs > 0, inputs - self.valid + 1, 0)
        self.n_batches = max(1, int(inputs.sum()) // (length * n_windows))

    def epoch(self, rng: np.random.Generator) -> Iterator[Batch]:
        """As many frames as the pieces hold, every possible window equally likely."""
        last_start = np.cumsum(self.n_starts)
        for _ in range(self.n_batches):
            number = rng.integers(last_start[-1], size=self.n_rows)
            piece = np.searchsorted(last_start, number, side="right")
            start = self.offsets[piece] + number - (last_start[piece] - self.n_starts[piece])
            inputs, targets = self.tape.gather(start, self.valid[piece])
            keep = torch.zeros(self.n_rows, dtype=torch.bool, device=inputs.device)
            yield Batch(inputs, targets, keep, int(self.valid[piece].sum()))
