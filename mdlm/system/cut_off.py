"""Trajectory files that end in the middle of a frame, which mdtraj's readers pass over in silence."""

from __future__ import annotations

import struct
from pathlib import Path


def check_not_cut_off(path: Path, n_frames: int, last_begins: int | None) -> None:
    """Raise `ValueError` where a file of a format that can be checked was cut off.

    Args:
        path: Of the file.
        n_frames: Whole frames in it.
        last_begins: Byte at which the last of them begins; None where the format does not say.
    """
    kind = path.suffix.lower()
    if kind == ".dcd":
        _check_promise(path, n_frames)
    if last_begins is not None:
        with path.open("rb") as file:
            file.seek(last_begins)
            head = file.read(92)
        left = path.stat().st_size - last_begins - (_trr_length(head) if kind == ".trr" else _xtc_length(head))
        if left:
            raise ValueError(f"path: {path} is cut off: {left} bytes of another frame follow its last whole one")


def _check_promise(path: Path, n_frames: int) -> None:
    """A dcd file says at its head how many frames there are; 0 where its writer did not know."""
    with path.open("rb") as file:
        head = file.read(12)
    for order in "<>":
        length, kind, promised = struct.unpack(f"{order}i4si", head)
        if (length, kind) == (84, b"CORD") and promised > n_frames:
            raise ValueError(f"path: {path} is cut off: its head promises {promised} frames, {n_frames} are there")


def _xtc_length(head: bytes) -> int:
    """Bytes of a frame, by its first 92; up to nine atoms are not compressed."""
    n_atoms: int
    n_bytes: int
    n_atoms, n_bytes = struct.unpack(">4xi80xi", head)
    return 92 + -(-n_bytes // 4) * 4 if n_atoms > 9 else 56 + 12 * n_atoms


def _trr_length(head: bytes) -> int:
    """Bytes of a frame, by its first 92: a head with two real numbers, then the blocks whose sizes it gives."""
    sizes: list[int]
    n_atoms: int
    *sizes, n_atoms = struct.unpack(">24x11i24x", head)
    real = 8 if 24 * n_atoms in sizes[7:] else 4  # bytes of a number; positions, velocities or forces are there
    return 76 + 2 * real + sum(sizes)
