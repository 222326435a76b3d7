"""More chains from a finished run, from tokens on a disk to states in a file."""

from __future__ import annotations

import logging
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mdlm.errors import MissingData
from mdlm.experiment import LONGEST_CHAIN
from mdlm.export.finished import About, FinishedRun
from mdlm.model.base import LanguageModel
from mdlm.progress import bar
from mdlm.report.run_folder import write_atomically
from mdlm.sampling.sampling import Sampled, Sampling
from mdlm.tokens.base import Tokeniser
from mdlm.training.training import load
from mdlm.trajectory import IntArray

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Resampled:
    """What is to be sampled.

    Attributes:
        run: The finished run.
        directory: Its folder.
        model: Its model, on the device it was sampled on.
        sampling: As the run's own but for the lengths.
        seed: Of prompts and sampling.
    """

    run: FinishedRun
    directory: Path
    model: LanguageModel
    sampling: Sampling
    seed: int

    @classmethod
    def of(
        cls,
        run: FinishedRun,
        directory: Path,
        n_chains: int | None = None,
        chain_length: int | None = None,
        seed: int | None = None,
    ) -> Resampled:
        """What is left out is the run's own, its seed plus one.

        Raises:
            ValueError: A field makes no sense, or the run has no model that can be read.
        """
        experiment = run.experiment
        own = experiment.sampling
        lengths = {"n_chains": n_chains, "chain_length": chain_length}
        sampling = replace(own, **{name: value for name, value in lengths.items() if value is not None})
        seed = experiment.seed + 1 if seed is None else seed
        if not 0 <= seed < 2**63:
            raise ValueError(f"seed ({seed}) must be at least 0 and below 2^63")
        model = load(directory / "checkpoint" / "best.safetensors", experiment.model)
        return cls(run, directory, model.to(experiment.training.torch_device()), sampling, seed)

    def write(self, out: Path | None) -> str:
        """Sample into a file.

        Args:
            out: The file; None: in the run's folder.

        Returns:
            The file's name, and how it is read again.

        Raises:
            ValueError: The file's name ends in something else, or rows cannot hold the chains.
        """
        is_state_tokens = self._n_frames_per_token_is_one
        if out is None:
            out = self.directory / f"sampled-seed{self.seed}{'.npy' if is_state_tokens else '.npz'}"
        self._check(out, is_state_tokens)
        if out.suffix == ".npy":
            self._draw(out, None)
        else:
            self._write_npz(out)
        clock = f"system.frame_time={self.run.chains.frame_time:g} system.time_unit={self.run.chains.time_unit}"
        return f"{out}\nread it with: mdlm train system=states system.path={out} {clock}"

    @property
    def _n_frames_per_token_is_one(self) -> bool:
        return not About.read(self.directory / "sampled.npz").decoded

    def _check(self, out: Path, is_state_tokens: bool) -> None:
        if out.suffix not in (".npy", ".npz"):
            raise ValueError(f"out ({out}) must end in .npy or .npz")
        if out.suffix == ".npy" and not is_state_tokens:
            raise ValueError(f"out ({out}) must end in .npz: a token of this run stands for several frames")
        if out.resolve().parent == self.directory.resolve() and out.name in ("chains.npy", "sampled.npz"):
            raise ValueError(f"out ({out}) is a file of the run itself; give it another name")
        if not out.parent.is_dir():
            raise ValueError(f"out ({out}) must lie in an existing directory")

    def _write_npz(self, out: Path) -> None:
        """One array for each chain, put there one after the other."""
        tokens = out.with_name(f".{out.name}.tokens.npy")
        tokeniser = self._tokeniser
        sampled = self._draw(tokens, tokeniser)
        limit = LONGEST_CHAIN * self.sampling.chain_length

        def write(path: Path) -> None:
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                for number, chain in enumerate(sampled.chains):
                    states = chain if tokeniser is None else tokeniser.decode([chain], max_frames=limit).pieces[0]
                    with archive.open(f"chain_{number:06d}.npy", "w", force_zip64=True) as file:
                        np.lib.format.write_array(file, np.ascontiguousarray(states))  # type: ignore[no-untyped-call]

        write_atomically(out, write)
        for leftover in (tokens, tokens.with_name(f"{tokens.name}.state")):
            leftover.unlink(missing_ok=True)
