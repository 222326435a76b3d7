"""Peak memory of the stages on many frames: 2 million x 132 float32 (1.06 GB) through TICA, k-means and coring.

Prints the resident set size after every stage of a first run, in which each is computed and written to the cache,
and in a second process the peak of a run that reads it all back.

Usage: ``python benchmarks/memory.py [million_frames]``
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mdlm.features.coordinates import Coordinates
from mdlm.features.tica import Tica
from mdlm.macrostates.own import Own
from mdlm.partition.kmeans import KMeans
from mdlm.progress import Progress, silent
from mdlm.recrossing.coring import Coring
from mdlm.stages import Stages
from mdlm.store import Store
from mdlm.system.base import System
from mdlm.trajectory import FloatArray, Header, Trajectory

N_COLUMNS, N_PIECES = 132, 20


@dataclass(frozen=True, kw_only=True)
class Noise(System):
    """Autocorrelated noise of the size of a small protein's data."""

    n_frames: int

    @property
    def header(self) -> Header:
        columns = tuple(f"f{number}" for number in range(N_COLUMNS))
        return Header(columns, (self.n_frames // N_PIECES,) * N_PIECES, 1.0, "ps")

    def trajectories(self, progress: Progress = silent) -> Trajectory:
        header = self.header
        return Trajectory(tuple(map(self._piece, range(N_PIECES))), 1.0, "ps", columns=header.columns)

    def _piece(self, number: int) -> FloatArray:
        rng = np.random.default_rng(number)
        frames = rng.standard_normal((self.header.lengths[number], N_COLUMNS), np.float32)
        for frame in range(1, len(frames)):
            frames[frame] += np.float32(0.95) * frames[frame - 1]
        return frames


def peak() -> str:
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB"


def main(million_frames: float, cache: Path) -> None:
    stages = Stages(
        system=Noise(lag_time=10.0, n_frames=int(million_frames * 1e6)),
        features=Tica(of=Coordinates(), lag_time=10.0, n_components=5),
        partition=KMeans(n_states=100, max_iterations=10),
        recrossing=Coring(residence_time=2.0, iterative=False),
        macrostates=Own(),
        validation_fraction=0.1,
        test_fraction=0.1,
        store=Store(cache),
    )
    print(f"imports        {peak()}", flush=True)
    if not any(cache.iterdir()):
        for stage in ("trajectories", "described", "states"):
            getattr(stages, stage)
            print(f"{stage:<14} {peak()}", flush=True)
    assert stages.treated.train.n_frames
    print(f"treated        {peak()}", flush=True)


if __name__ == "__main__":
    millions = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    if len(sys.argv) > 2:
        main(millions, Path(sys.argv[2]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(2):
                subprocess.run([sys.executable, __file__, str(millions), folder], check=True)
