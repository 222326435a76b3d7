"""More chains from a finished run, from tokens on a disk to states in a file."""

from __future__ import annotations

import logging
import zipfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from mdlm.experiment import LONGEST_CHAIN
from mdlm.export.finished import About, FinishedRun
from mdlm.model.base import LanguageModel
from mdlm.progress import bar
from mdlm.report.run_folder import write_atomically
from mdlm.sampling.sampling import Sampled, Sampling
from mdlm.tokens.base import Tokeniser
from mdlm.training.fitted import load
from mdlm.trajectory import IntArray

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Resampled:
    """What is to be sampled.

    Attributes:
        run: The finished run.
        about: What it says of its own chains.
        model: Its model, on the device it was sampled on.
        sampling: As the run's own but for the lengths.
        seed: Of prompts and sampling.
    """

    run: FinishedRun
    about: About
    model: LanguageModel
    sampling: Sampling
    seed: int

    @classmethod
    def of(
        cls,
        directory: Path,
        run: FinishedRun,
        n_chains: int | None = None,
        chain_length: int | None = None,
        seed: int | None = None,
    ) -> Resampled:
        """What is left out is the run's own; its seed plus one.

        Raises:
            ValueError: A field makes no sense, or the run's model cannot be read.
        """
        experiment = run.experiment
        seed = experiment.seed + 1 if seed is None else seed
        if not 0 <= seed < 2**63:
            raise ValueError(f"seed ({seed}) must be at least 0 and below 2^63")
        own = experiment.sampling
        sampling = replace(
            own,
            n_chains=own.n_chains if n_chains is None else n_chains,
            chain_length=own.chain_length if chain_length is None else chain_length,
        )
        model = load(directory / "checkpoint" / "best.safetensors", experiment.model)
        about = About.read(directory / "sampled.npz")
        return cls(run, about, model.to(experiment.training.torch_device()), sampling, seed)

    def check(self, out: Path) -> None:
        """Raise `ValueError`, naming the field ``out``, where a file of this name cannot hold the chains."""
        if out.suffix not in self.suffixes:
            why = "" if len(self.suffixes) > 1 else ": a token of this run stands for several frames"
            raise ValueError(f"out ({out}) must end in {' or '.join(self.suffixes)}{why}")
        if out.name in ("chains.npy", "sampled.npz"):
            raise ValueError(f"out ({out}) has the name of a run's own file; give it another")
        if not out.parent.is_dir():
            raise ValueError(f"out ({out}) must lie in an existing directory")

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Of the files that can hold the chains, the simplest first."""
        return (".npz",) if self.about.decoded else (".npy", ".npz")

    def write(self, out: Path) -> None:
        """Sample into a file; it appears whole or not at all.

        Raises:
            ValueError: See `check`; or another process writes it, or the data that decode the tokens are gone.
        """
        from filelock import FileLock, Timeout

        self.check(out)
        try:
            with FileLock(out.with_name(f".{out.name}.lock"), timeout=0):
                if out.suffix == ".npy":
                    self._draw(out)
                else:
                    self._write_npz(out)
        except Timeout:
            raise ValueError(f"out ({out}) is being written by another process; give it another name") from None

    def _write_npz(self, out: Path) -> None:
        """One array for each chain, put there one after the other."""
        tokens = out.with_name(f".{out.name}.tokens.npy")
        chains = self._states(self._draw(tokens).chains)

        def write(path: Path) -> None:
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                for number, chain in enumerate(chains):
                    with archive.open(f"chain_{number:06d}.npy", "w", force_zip64=True) as file:
                        np.lib.format.write_array(file, np.asarray(chain))

        write_atomically(out, write)
        for leftover in (tokens, tokens.with_name(f"{tokens.name}.state")):
            leftover.unlink(missing_ok=True)

    def _states(self, chains: IntArray) -> tuple[IntArray, ...]:
        """The states of chains of tokens; all at once, for one stream of random numbers decodes them."""
        if self._held_out is None:
            return tuple(chains)
        tokeniser, _ = self._held_out
        return tokeniser.decode(chains, max_frames=LONGEST_CHAIN * self.sampling.chain_length).pieces

    def _draw(self, path: Path) -> Sampled:
        with bar("sampling") as progress:
            if self._held_out is not None:
                tokeniser, pieces = self._held_out
                sampling = self.sampling.in_tokens(tokeniser.frames_per_token)
                return sampling.draw(self.model, pieces, self.seed, progress, path)
            cut, seed = self._used_again()
            return self.sampling.continue_prompts(self.model, cut, seed, progress, path)

    @cached_property
    def _held_out(self) -> tuple[Tokeniser, tuple[IntArray, ...]] | None:
        """What makes tokens of states, and the tokens to cut prompts from; None where the run's data are gone."""
        experiment = self.run.experiment
        try:
            experiment.stages().treated  # noqa: B018
        except (OSError, ValueError) as error:
            if self.about.decoded:
                raise ValueError(f"run: the data that say what its tokens stand for are gone: {error}") from error
            log.warning("the run's own prompts are used again, for its data are gone: %s", error)
            return None
        read = experiment.tokenised(self.run.stages)
        return read.tokeniser, read.tokens.test.pieces

    def _used_again(self) -> tuple[IntArray, int]:
        """The run's own prompts and what it drew its chains with, or with another seed some of these prompts."""
        cut, n_chains = self.about.prompts.astype(np.int64), self.sampling.n_chains
        if self.seed == self.run.experiment.seed and n_chains == len(cut):
            return cut, self.about.sampling_seed
        rng = np.random.default_rng(self.seed)
        return cut[rng.integers(len(cut), size=n_chains)], int(rng.integers(2**62))
