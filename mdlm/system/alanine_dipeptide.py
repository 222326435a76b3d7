"""Alanine dipeptide in implicit solvent, simulated with OpenMM: the molecule of arXiv 2107.06573, made here."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mdlm.cores import available_cores
from mdlm.fingerprint import code_version, digest
from mdlm.progress import Progress, silent
from mdlm.system.alanine_dipeptide_openmm import Molecule, PlatformName, maker, mdtraj_topology, resolved
from mdlm.system.alanine_dipeptide_structure import Selection, atoms
from mdlm.system.base import System
from mdlm.system.segments import Segments, simulate
from mdlm.system.walkers import check_positive, check_seed
from mdlm.system.xtc import write_trajectories
from mdlm.trajectory import Header, Trajectory

ON_ONE_GPU = ("CUDA", "OpenCL")


@dataclass(frozen=True, kw_only=True)
class AlanineDipeptide(System):
    """Independent trajectories of ACE-ALA-NME: amber99sb-ildn, OBC2 implicit solvent, heavy hydrogens.

    Every trajectory starts from the same minimised conformation with velocities and a heat bath of its own, and is
    equilibrated before its first frame: after 200 ps at 450 K, phi (75 to 100 ps) has forgotten nine tenths of where it
    began, psi (7 ps) everything.
    Each trajectory is simulated in segments; a finished one is on disk, and a killed simulation goes on with the same
    bits. The whole is also written for other programs: ``trajectory-000.xtc`` ... and ``topology.pdb``, in a folder of
    ``directory`` that is named after the fields.

    Attributes:
        n_trajectories: Independent trajectories.
        trajectory_length_ps: Of each, without its equilibration.
        equilibration_ps: Before the first frame of each trajectory.
        segment_ps: A killed simulation loses at most this much of each trajectory.
        temperature_K: Of the Langevin heat bath.
        friction: Of the heat bath, 1 / ps.
        time_step: Of the integrator, ps; hydrogens of 3 amu and rigid bonds to them allow 0.004.
        save_every: Steps per frame.
        atoms: Which are saved: ``heavy`` or ``all``.
        seed: Decides every random number.
        platform: Of OpenMM; ``auto``: a GPU where there is one, else Reference, which for so few atoms is several
            times faster than CPU. The kinetics do not depend on it, the bits do.
        n_processes: Processes on the CPU; None means one per core. The trajectories do not depend on it.
        directory: Where segments and trajectory files go.
    """

    n_trajectories: int
    trajectory_length_ps: float
    equilibration_ps: float
    segment_ps: float
    temperature_K: float
    friction: float
    time_step: float
    save_every: int
    atoms: Selection
    seed: int
    platform: PlatformName
    n_processes: int | None
    directory: Path

    def __post_init__(self) -> None:
        names = ("n_trajectories", "trajectory_length_ps", "segment_ps", "temperature_K", "friction", "time_step")
        check_positive(save_every=self.save_every, **{name: getattr(self, name) for name in names})
        check_seed(self.seed)
        if not 0 <= self.equilibration_ps < float("inf"):
            raise ValueError(f"equilibration_ps ({self.equilibration_ps:g}) must not be negative or infinite")
        if self.n_processes is not None and self.n_processes < 1:
            raise ValueError(f"n_processes ({self.n_processes}) must be at least 1, or null for every core")
        for name in ("trajectory_length_ps", "segment_ps"):
            self._frames(name)

    def _frames(self, name: str) -> int:
        """A time as a whole number of frames."""
        wanted: float = getattr(self, name)
        frame_time = self.time_step * self.save_every
        frames = round(wanted / frame_time)
        if frames < 1 or abs(frames * frame_time - wanted) > 1e-6 * frame_time:
            raise ValueError(
                f"{name} ({wanted:g} ps) must be a positive multiple of the frame time, "
                f"time_step x save_every = {frame_time:g} ps"
            )
        return frames

    @property
    def header(self) -> Header:
        """The x, y and z of each saved atom, nm; times in ps."""
        columns = tuple(f"{name}.{axis}" for name in atoms(self.atoms).values() for axis in "xyz")
        lengths = (self._frames("trajectory_length_ps"),) * self.n_trajectories
        return Header(columns, lengths, self.time_step * self.save_every, "ps")

    def trajectories(self, progress: Progress = silent) -> Trajectory:
        """Simulate what is not there yet, and write the trajectory files.

        Raises:
            ValueError: OpenMM or the platform is missing, or ``time_step`` is too large.
            OSError: A file cannot be written; what is finished stays.
        """
        platform = resolved(self.platform)
        header, segments = self.header, self._segments(maker(platform))
        n_processes = 1 if platform in ON_ONE_GPU else self.n_processes or available_cores()
        simulate(segments, self.molecule(platform), header.frame_time, n_processes, progress)
        pieces = tuple(segments.frames(number) for number in range(self.n_trajectories))
        write_trajectories(self.folder, mdtraj_topology(tuple(atoms(self.atoms))), pieces, header.frame_time)
        return Trajectory(pieces, header.frame_time, header.time_unit, header.columns)

    def tidy(self) -> None:
        """Remove the segments; the trajectory files stay."""
        shutil.rmtree(self._segments("").folder, ignore_errors=True)

    @property
    def folder(self) -> Path:
        """Where this system's trajectory files are or will be."""
        size = f"{self.temperature_K:g}K-{self.n_trajectories}x{self.trajectory_length_ps:g}ps-seed{self.seed}"
        return self.directory / f"{size}-{digest(self.identity() | {'code': code_version(type(self))})}"

    def molecule(self, platform: str) -> Molecule:
        """How it moves."""
        return Molecule(
            temperature_K=self.temperature_K,
            friction=self.friction,
            time_step=self.time_step,
            save_every=self.save_every,
            n_equilibration=round(self.equilibration_ps / self.time_step),
            platform=platform,
            saved=tuple(atoms(self.atoms)),
        )

    def _segments(self, made_by: str) -> Segments:
        return Segments(
            folder=self.folder / "segments",
            n_trajectories=self.n_trajectories,
            n_frames=self._frames("trajectory_length_ps"),
            segment_frames=self._frames("segment_ps"),
            seed=self.seed,
            maker=made_by,
        )

    def identity(self) -> dict[str, Any]:
        """The fields that decide the trajectories: a login node may simulate for compute nodes of another kind."""
        elsewhere = ("platform", "n_processes", "directory")
        return {name: value for name, value in super().identity().items() if name not in elsewhere}
