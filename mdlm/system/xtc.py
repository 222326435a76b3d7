"""Trajectory files for other programs: xtc, each frame with its time, and the topology they belong to."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mdlm.trajectory import FloatArray

if TYPE_CHECKING:
    import mdtraj

PRECISION = 1e-3  # nm; xtc keeps no more


def write_trajectories(
    folder: Path, topology: mdtraj.Topology, pieces: Sequence[FloatArray], frame_time: float
) -> None:
    """Write ``topology.pdb`` and one ``trajectory-000.xtc`` per piece; files that are there are left as they are.

    Args:
        folder: Where; made if need be.
        topology: Of the atoms in a frame.
        pieces: Each of shape ``(n_frames, 3 n_atoms)``, nm.
        frame_time: In ps; the first frame is one frame time from the start.

    Raises:
        OSError: A file cannot be written whole; it names the file, and nothing is left of it.
    """
    import mdtraj

    folder.mkdir(parents=True, exist_ok=True)
    for number, piece in enumerate(pieces):
        times = frame_time * np.arange(1, len(piece) + 1)
        trajectory = mdtraj.Trajectory(piece.reshape(len(piece), -1, 3), topology, time=times)
        if number == 0:
            _write(folder / "topology.pdb", trajectory[0])
        _write(folder / f"trajectory-{number:03d}.xtc", trajectory)


def _write(path: Path, trajectory: mdtraj.Trajectory) -> None:
    """Write a file under a temporary name, read it again, and rename it."""
    import mdtraj

    if path.exists():
        return
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        trajectory.save(str(temporary))
        # mdtraj's xtc writer says nothing of a full disk
        written = mdtraj.load(str(temporary), top=trajectory.topology)
        if written.xyz.shape != trajectory.xyz.shape or not np.allclose(written.xyz, trajectory.xyz, atol=PRECISION):
            raise OSError(errno.EIO, "is not what was written")
        os.replace(temporary, path)
    except (OSError, RuntimeError, ValueError) as error:  # what mdtraj raises on a file that ends too early
        reason = (
            error.strerror if isinstance(error, OSError) and error.strerror else f"cannot be written whole: {error}"
        )
        number = error.errno if isinstance(error, OSError) and error.errno else errno.EIO
        raise OSError(number, reason, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)
