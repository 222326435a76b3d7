"""Sampled chains on their way to a disk: written piece by piece, taken up after a kill, never half of it for the whole.

Three files: the chains under a temporary name until they are complete, then under their own; and what is needed to go
on, or to know that they are complete and whose they are.
"""

from __future__ import annotations

import json
import os
import shutil
from abc import ABC, abstractmethod
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mdlm.trajectory import IntArray


@dataclass(frozen=True)
class Progressed:
    """How far chains have come.

    Attributes:
        n_frames: Of every chain, that are on the disk.
        seconds: Spent on them.
        tensors: Of the engine, behind the last of them.
    """

    n_frames: int = 0
    seconds: float = 0.0
    tensors: tuple[Tensor, ...] = ()


class Chains(ABC):
    """Where chains go as they are drawn."""

    @abstractmethod
    def take_up(self) -> Progressed:
        """How far an earlier attempt at the same chains came."""

    @abstractmethod
    def write(self, first: int, chains_BT: IntArray) -> None:
        """Put frames ``first``, ``first + 1``, ... of every chain in their place."""

    @abstractmethod
    def save(self, progressed: Progressed) -> None:
        """Note how far the chains have come."""

    @abstractmethod
    def read(self) -> IntArray:
        """The complete chains, shape ``(n_chains, chain_length)``."""


class ChainsInMemory(Chains):
    """An array that nobody takes up."""

    def __init__(self, shape: tuple[int, int], dtype: np.dtype[Any]) -> None:
        self.chains_BT: IntArray = np.empty(shape, dtype)

    def take_up(self) -> Progressed:
        """See `Chains.take_up`."""
        return Progressed()

    def write(self, first: int, chains_BT: IntArray) -> None:
        """See `Chains.write`."""
        self.chains_BT[:, first : first + chains_BT.shape[1]] = chains_BT

    def save(self, progressed: Progressed) -> None:
        """See `Chains.save`."""

    def read(self) -> IntArray:
        """See `Chains.read`."""
        return self.chains_BT


@dataclass(frozen=True)
class ChainFile(Chains):
    """A file of chains in the making, in numpy's format, that readers can map into memory.

    Attributes:
        path: Where the complete chains are to be.
        shape: ``(n_chains, chain_length)``.
        dtype: Of the tokens.
        identity: Names all that decides the chains; what is there of another identity is written over.
    """

    path: Path
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    identity: str

    @property
    def part(self) -> Path:
        """The chains until they are complete."""
        return self.path.with_name(f"{self.path.name}.part")

    @property
    def state(self) -> Path:
        """What is needed to go on."""
        return self.path.with_name(f"{self.path.name}.state")

    def take_up(self) -> Progressed:
        """How far an earlier attempt came; a new file is begun where there is none of this identity.

        Raises:
            ValueError: The disk has no room.
        """
        found = self._saved()
        if found and found.n_frames == self.shape[1] and self._is_whole(self.part):  # killed before it was renamed
            os.replace(self.part, self.path)
        if found and self._is_whole(self.path if found.n_frames == self.shape[1] else self.part):
            return found
        for stale in (self.state, self.path, self.part):  # in this order: chains without a state belong to nobody
            stale.unlink(missing_ok=True)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        n_bytes, free = int(np.prod(self.shape)) * self.dtype.itemsize, shutil.disk_usage(self.path.parent).free
        if n_bytes > free:
            raise ValueError(
                f"n_chains x chain_length ({self.shape[0]} x {self.shape[1]}) takes {n_bytes / 1e9:.1f} GB; "
                f"{self.path.parent} has {free / 1e9:.1f} GB left"
            )
        np.lib.format.open_memmap(self.part, mode="w+", dtype=self.dtype, shape=self.shape)
        return Progressed()

    def write(self, first: int, chains_BT: IntArray) -> None:
        """See `Chains.write`.

        Not through a map of the file: its pages would count as this process's memory.
        """
        begins = self._begin + first * self.dtype.itemsize
        row = self.shape[1] * self.dtype.itemsize
        file = os.open(self.part, os.O_RDWR)
        try:
            for chain, tokens_T in enumerate(np.ascontiguousarray(chains_BT, self.dtype)):
                os.pwrite(file, tokens_T.data, begins + chain * row)
        finally:
            os.close(file)

    def save(self, progressed: Progressed) -> None:
        """Note how far the chains have come, once they are on the disk; complete ones get their own name."""
        _sync(self.part)
        about = {"identity": self.identity, "n_frames": progressed.n_frames, "seconds": progressed.seconds}
        is_whole = progressed.n_frames == self.shape[1]
        kept = () if is_whole else progressed.tensors
        tensors = {f"{number:04d}": tensor.detach().cpu().contiguous() for number, tensor in enumerate(kept)}
        temporary = self.state.with_name(f".{self.state.name}.{os.getpid()}.tmp")
        try:
            save_file(tensors, temporary, metadata={"about": json.dumps(about)})
            _sync(temporary)
            os.replace(temporary, self.state)
        finally:
            temporary.unlink(missing_ok=True)
        if is_whole:
            os.replace(self.part, self.path)

    def read(self) -> IntArray:
        """The complete chains, mapped into memory: read as they are needed."""
        return np.load(self.path, mmap_mode="r")  # type: ignore[no-any-return]

    def _saved(self) -> Progressed | None:
        """What `save` wrote of this identity; None where there is nothing, or nothing legible."""
        try:
            with safe_open(self.state, framework="pt") as file:
                about = json.loads((file.metadata() or {})["about"])
                tensors = tuple(file.get_tensor(name) for name in sorted(file.keys()))
            if about["identity"] == self.identity:
                return Progressed(about["n_frames"], about["seconds"], tensors)
        except (OSError, SafetensorError, KeyError, ValueError):
            pass
        return None

    def _is_whole(self, path: Path) -> bool:
        """Whether a file has room for all the chains."""
        return path.is_file() and path.stat().st_size == self._begin + int(np.prod(self.shape)) * self.dtype.itemsize

    @property
    def _begin(self) -> int:
        """Bytes before the first token."""
        header = BytesIO()
        description = {"descr": self.dtype.str, "fortran_order": False, "shape": self.shape}
        np.lib.format.write_array_header_1_0(header, description)
        return len(header.getvalue())


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
