"""One experiment: from a system to a verdict on a model's slow timescales. Each line of the pipeline feeds the next."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mdlm.alongside import Tokenised, alongside, costs_of
from mdlm.backwards import Backwards
from mdlm.baselines.chosen import Baselines
from mdlm.build import flat
from mdlm.errors import named
from mdlm.evaluation import Evaluation, Sequences, evaluate
from mdlm.features.base import Features
from mdlm.fingerprint import made_with
from mdlm.kinetics.compare import Kinetics
from mdlm.macrostates.base import Macrostates
from mdlm.model.config import ModelConfig
from mdlm.outcome import Outcome, TrainingCurve, learned
from mdlm.partition.base import Partition
from mdlm.progress import bar
from mdlm.recrossing.base import Recrossing
from mdlm.recrossing.keep import Keep
from mdlm.report.run_folder import check_writable, only_run_in, trained_by, write_chains, write_results
from mdlm.sampling.sampling import Sampled, Sampling
from mdlm.stages import Stages
from mdlm.store import Store
from mdlm.study.settings import StudySettings
from mdlm.system.base import System
from mdlm.tokens.base import Tokenisation, Tokens
from mdlm.tracking import Tracking
from mdlm.training.training import Training
from mdlm.trajectory import Dtraj, Offsets, Split, split_pieces

if TYPE_CHECKING:
    from mdlm.training.fitted import Fitted

JUDGEMENT = (
    "baselines.",
    *("macrostates.", "sampling.", "kinetics.", "tracking.", "study.", "cache_dir", "figures", "training.device"),
    *("training.micro_batch_size", "training.checkpoint_minutes"),
    *("system.lag_time", "system.directory", "system.n_processes"),
)
"""Settings that do not enter the trained model, so that changing them does not disown its checkpoint."""


LONGEST_CHAIN = 100
"""Times the wanted length: no chain of run-length tokens gets there unless its model is stuck in the longest of them,
and then it must not fill the memory."""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Every choice of one run.

    Attributes:
        system: Yields trajectories.
        features: Describe their frames.
        partition: Names their states.
        recrossing: Cleans the state sequence.
        stride: Thins it; keep every n-th frame.
        offsets: ``all``: each frame may be the first that a stride keeps, each choice a trajectory of its own;
            ``first``: only the first frame is; ``interleaved``: a published defect, training data that make
            neighbours of distant frames. What is judged or held out never is.
        tokens: The form in which a model reads it.
        macrostates: What molecular dynamics and sample are both judged on.
        model: Learns it.
        training: How.
        sampling: How long the model is sampled.
        kinetics: How both are judged.
        baselines: What is judged beside the model.
        tracking: Where the run is written down.
        seed: Of weights, batches, sampling and bootstrap. The data have a seed of their own.
        validation_fraction: Held out to decide when to stop.
        test_fraction: Held out for prompts and the final likelihood.
        cache_dir: Where finished stages are kept.
        figures: Whether to draw them and to write the report, or to leave both to `mdlm report`.
        study: The sweep it may be part of, which a run does not read.
    """

    system: System
    features: Features
    partition: Partition
    recrossing: Recrossing
    stride: int
    offsets: Offsets
    tokens: Tokenisation
    macrostates: Macrostates
    model: ModelConfig
    training: Training
    sampling: Sampling
    kinetics: Kinetics
    baselines: Baselines
    tracking: Tracking
    seed: int
    validation_fraction: float
    test_fraction: float
    cache_dir: Path
    figures: bool = True
    study: StudySettings | None = None

    def check(self) -> None:
        """Raise `ValueError` for whatever can be known to fail before the first second of compute."""
        with named("system"):
            header = self.system.header
        shortest = min(header.lengths)
        if not 1 <= self.stride < shortest:
            raise ValueError(
                f"stride ({self.stride}) must lie between 1 and {shortest - 1}: "
                f"the shortest trajectory has {shortest} frames"
            )
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed ({self.seed}) must be at least 0 and below 2^63")
        with named("features"):
            described = self.features.header_of(header)
        with named("partition"):
            self.partition.check(described)
        with named("recrossing"):
            self.recrossing.check(described, self.partition)
        with named("macrostates"):
            self.macrostates.check(header)
        with named("kinetics"):
            self.kinetics.check(header.frame_time, self.stride, header.time_unit)
        frames = np.broadcast_to(np.int8(0), max(header.lengths))  # of no memory: only how many there are counts
        pieces = [frames[:length] for length in header.lengths]
        parts = split_pieces(pieces, self.validation_fraction, self.test_fraction)
        thinned = parts.map(lambda pieces: tuple(len(piece[:: self.stride]) for piece in pieces))
        self._check_lengths(thinned, header.frame_time * self.stride, header.time_unit)
        with named("tokens"):
            self.tokens.check(replace(described, lengths=thinned.train))
        with named("training"):
            self.training.check(thinned.train)
            self.training.check_model(self.model)
        with named("tracking"):
            self.tracking.check()
        check_writable(self.cache_dir, "cache_dir")

    def _check_lengths(self, lengths: Split[tuple[int, ...]], token_time: float, unit: str) -> None:
        """The lag must fit into what is counted, and every held-out part must hold at least one transition."""
        for name in ("train", "validation", "test"):
            if max(getattr(lengths, name)) < 2:
                raise ValueError(
                    f"stride ({self.stride}) leaves the {name} data no transition; lower it or hold out more"
                )
        lag = round(self.kinetics.lag_time / token_time)
        longest = max(lengths.train)
        for name, frames in (("longest training trajectory", longest), ("chain_length", self.sampling.chain_length)):
            if lag >= frames:
                raise ValueError(
                    f"kinetics.lag_time ({self.kinetics.lag_time:g} {unit}, {lag} tokens) must be shorter than "
                    f"the {name}, {frames} tokens"
                )

    def run(self, directory: Path, config: Mapping[str, Any], tags: Mapping[str, str] | None = None) -> Outcome:
        """Run everything and leave the results in ``directory``.

        Args:
            directory: The run's folder; one that holds an interrupted run of the same configuration goes on.
            config: The resolved configuration this experiment was built from, to be written down.
            tags: What the run is to be found by, besides the versions of what made it.
        """
        from mdlm.training.checkpoint import refuse_other

        self.check()
        parameters = flat(config)
        with ExitStack() as stack:
            stack.enter_context(only_run_in(directory))
            # Before the run is written down, so that a refusal does not mark the folder's own run as failed.
            refuse_other(directory / "checkpoint", self._identity(parameters))
            tracker = stack.enter_context(
                self.tracking.run(directory, self.name, parameters, {**made_with(), **(tags or {})})
            )
            stages = self.stages()
            read = self.tokenised(stages)
            fitted = self._train(read.tokens, directory, parameters)
            sampled = self._sample(fitted, read.tokens.test, read.frames_per_token, directory / "chains.npy")
            chains = read.tokeniser.decode(sampled.chains, max_frames=LONGEST_CHAIN * self.sampling.chain_length)
            evaluation = self.evaluate(stages, chains)
            curve = TrainingCurve(tuple(fitted.history), fitted.best_epoch, fitted.batching)
            costs = read.metrics(sampled.chains) | costs_of(fitted, sampled, read)
            learning = learned(stages, evaluation.sequences, self.kinetics.lag_time, curve, costs)
            learning = alongside(self, learning, read, evaluation, fitted.model, (sampled.prompts, sampled.seed))
            outcome = Outcome(directory, evaluation, config, trained_by(directory), learning)
            write_chains(directory, evaluation.sequences, read.tokeniser, sampled)
            files = write_results(outcome, self.figures)
            tracker.curve([asdict(epoch) for epoch in fitted.history])
            tracker.metrics(outcome.metrics)
            tracker.tags({"verdict": outcome.verdict, "batching": fitted.batching})
            tracker.files(files)
        return outcome

    def stages(self) -> Stages:
        """Everything up to the treated states, from the cache where it is there."""
        parts = (self.system, self.features, self.partition, self.recrossing, self.macrostates)
        return Stages(*parts, self.validation_fraction, self.test_fraction, Store(self.cache_dir))

    def tokenised(self, stages: Stages) -> Tokenised:
        """What the model reads: treated states, thinned, as tokens."""
        train = stages.treated.train.strided(self.stride, self.offsets)
        backwards = self._backwards(stages)
        strided = replace(stages.treated.map(self._thinned), train=train.both_ways() if backwards.read else train)
        tokeniser = self.tokens.fit(strided.train)
        return Tokenised(strided, tokeniser, strided.map(tokeniser.encode), backwards)

    def _backwards(self, stages: Stages) -> Backwards:
        return Backwards.decided(self.training.directions, stages.treated.train, self.stride)

    def _thinned(self, states: Dtraj) -> Dtraj:
        """After the stride, soundly: what is judged or held out is never interleaved."""
        return states.strided(self.stride, "all" if self.offsets == "interleaved" else self.offsets)

    def evaluate(self, stages: Stages, chains: Dtraj) -> Evaluation:
        """Judge sampled chains of states against the molecular dynamics they were learned from."""
        backwards = self._backwards(stages)
        sequences = Sequences(
            reference=stages.reference,
            data=stages.treated.train,
            tokens=self._thinned(stages.treated.train),
            sampled=chains,
            state_names=stages.discretiser.state_names,
            lumping=stages.lumping,
            held_out=self._thinned(stages.treated.test),
            backwards=backwards.read,
        )
        notes = (*stages.effect.notes(), *backwards.notes)
        return evaluate(self.kinetics, sequences, self.system.truth(), self.seed, notes)

    def _train(self, tokens: Split[Tokens], directory: Path, parameters: Mapping[str, Any]) -> Fitted:
        identity = self._identity(parameters)
        with bar("training") as progress:
            return self.training.fit(self.model, tokens, self.seed, directory / "checkpoint", identity, progress)

    def _identity(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """What the trained model depends on."""
        identity = {name: value for name, value in parameters.items() if not name.startswith(JUDGEMENT)}
        return identity | {"data": self.stages().digest}

    def _sample(self, fitted: Fitted, held_out: Tokens, frames_per_token: float, path: Path) -> Sampled:
        with bar("sampling") as progress:
            sampling = self.sampling.in_tokens(frames_per_token)
            return sampling.draw(fitted.model, held_out.pieces, self.seed, progress, path)

    @property
    def name(self) -> str:
        """A short name for the run table, what differs most often first: the table cuts long ones."""
        treatment = [] if isinstance(self.recrossing, Keep) else [self.recrossing]
        parts = (self.model, self.partition, *treatment, self.features, self.system)
        model, *rest = [type(part).__module__.rpartition(".")[2] for part in parts]
        return "-".join([model, f"seed{self.seed}", f"stride{self.stride}", *rest])
