"""What can be measured of one choice: first what is cheap, then baselines, then a small model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from mdlm.advise.evidence import Choice, Evidence, Prediction
from mdlm.backwards import Backwards
from mdlm.baselines.judgement import BaselineResult, judge_baselines
from mdlm.baselines.markov import MarkovChain
from mdlm.baselines.semi_markov import SemiMarkovProcess
from mdlm.kinetics.comparison import Interval
from mdlm.kinetics.estimate import model_timescales
from mdlm.kinetics.judge import Judge
from mdlm.model.lstm import LSTMConfig
from mdlm.progress import bar
from mdlm.recrossing.coring import Coring
from mdlm.sampling.sampling import Sampling
from mdlm.stages import Stages
from mdlm.tokens.states import States
from mdlm.trajectory import Dtraj, Split

if TYPE_CHECKING:
    from mdlm.experiment import Experiment

BASELINES = {
    "Markov chain": MarkovChain(max_order=1),
    "order-k Markov chain": MarkovChain(max_order=5),
    "semi-Markov process": SemiMarkovProcess(exact_ages=50, growth=1.2),
}
SMALL_LSTM = LSTMConfig(embedding=16, hidden=64, layers=1, dropout=0.0)
MAX_EPOCHS = 3
TRAINING_TOKENS = 2_000_000
"""Read by the small model at most, over all epochs: some 15 s on one core."""

N_RESAMPLES = 50
N_CHAINS = 100
MIN_LAGS = 4  # of each chain
LONGER = 4  # than the training data, so that it is they that limit what is known
MAX_LENGTH = 20_000  # tokens of a chain, unless that is too few lags


@dataclass(frozen=True)
class Subject:
    """One choice with all that is computed of it.

    Attributes:
        choice: Which.
        experiment: What `mdlm train` would run.
        stages: Its trajectories, states and macrostates.
    """

    choice: Choice
    experiment: Experiment
    stages: Stages

    @cached_property
    def tokens(self) -> Split[Dtraj]:
        """The treated states after the stride."""
        return self.stages.treated.map(lambda part: part.strided(self.choice.stride, "all"))

    @cached_property
    def read(self) -> Split[Dtraj]:
        """The same as models read them: training data backwards in time too, where a run would."""
        directions = self.experiment.training.directions
        backwards = Backwards.decided(directions, self.stages.treated.train, self.choice.stride)
        return replace(self.tokens, train=self.tokens.train.both_ways()) if backwards.read else self.tokens

    @cached_property
    def judge(self) -> Judge:
        """The molecular dynamics and the training data, estimated at the judged lag."""
        stages, kinetics = self.stages, self.experiment.kinetics
        kinetics = replace(kinetics, n_resamples=min(kinetics.n_resamples, N_RESAMPLES), n_lags=1)
        with bar("estimating data") as progress:
            return kinetics.judge(
                reference=stages.reference,
                data=stages.lumping.lump(stages.treated.train),
                tokens=self.tokens.train,
                truth=None,
                seed=self.experiment.seed,
                progress=progress,
                of_state=stages.lumping.of_state,
            )

    @property
    def reference_t2(self) -> Interval:
        """t2 of the molecular dynamics at the judged lag."""
        times = self.judge.reference.timescales
        return times[0] if times else Interval(math.nan, math.nan, math.nan)

    def cheap(self) -> Evidence:
        """Events, share of t2 and what a Markov chain makes of it; nothing is sampled."""
        judge, treated = self.judge, self.stages.treated
        whole = self.stages.lumping.lump(treated.train.joined(treated.validation, treated.test))
        measure = judge.measure
        model = measure.method.model(whole, measure.lag_time)
        times = model_timescales(model, measure.lag_time, measure.n_timescales, measure.sides).tolist()
        data, markov = judge.data.timescales, judge.markov_timescales
        share = times[0] / self.reference_t2.value if times else math.nan
        residence = self.experiment.recrossing
        return Evidence(
            choice=self.choice,
            n_states=treated.train.n_states,
            resolution=max(
                self.tokens.train.frame_time, residence.residence_time if isinstance(residence, Coring) else 0.0
            ),
            n_events=judge.data.n_events,
            share=share,
            memoryless=share * markov[0] / data[0].value if data else math.nan,
        )

    def with_baselines(self, evidence: Evidence) -> Evidence:
        """The same with what baselines reach; the one that predicts best stands for them."""
        with bar("baselines") as progress:
            results = judge_baselines(
                BASELINES, self.judge, self.read, self.stages.lumping, self._sampling, self.experiment.seed, progress
            )
        per_time = {result.name: result.nll / self.tokens.test.frame_time for result in results}
        likely = min(results, key=_nll)
        simple = Prediction(_words(likely), _scaled(likely.t2_ratio_to_data, evidence.share))
        return replace(evidence, simple=simple, likelihoods=per_time)

    def with_small_model(self, evidence: Evidence) -> Evidence:
        """The same with what a small LSTM reaches."""
        tokens = self.read.map(States().fit(self.tokens.train).encode)
        n_tokens = sum(tokens.train.lengths)
        training = self.experiment.training
        epochs = min(MAX_EPOCHS, training.max_epochs, max(1, TRAINING_TOKENS // n_tokens))
        fewer = replace(tokens, train=replace(tokens.train, pieces=_shortened(tokens.train.pieces)))
        seed = self.experiment.seed
        with TemporaryDirectory() as directory, bar("small LSTM") as progress:
            training = replace(training, max_epochs=epochs, patience=epochs)
            fitted = training.fit(SMALL_LSTM, fewer, seed, Path(directory), {}, progress)
        with bar("sampling it") as progress:
            sampled = self._sampling.draw(fitted.model, tokens.test.pieces, seed, progress)
        form = self.judge.form
        chains = Dtraj(tuple(sampled.chains), form.frame_time, form.time_unit, tokens.train.n_tokens)
        comparison = replace(self.judge, curve_lags=(self.judge.measure.lag_time,)).compare(
            self.stages.lumping.lump(chains)
        )
        from mdlm.training.evaluate import nll_nats_per_token

        nll = nll_nats_per_token(fitted.model, tokens.test.pieces) / self.tokens.test.frame_time
        small = Prediction("small LSTM", _scaled(comparison.t2_ratio_to_data, evidence.share))
        return replace(evidence, small=small, likelihoods={**evidence.likelihoods, "small LSTM": nll})

    @property
    def _sampling(self) -> Sampling:
        """Chains several times as long together as the data, each of some lags."""
        tokens = self.tokens.train
        wanted = math.ceil(LONGER * self.stages.treated.train.duration / N_CHAINS / tokens.frame_time)
        shortest = MIN_LAGS * round(self.judge.measure.lag_time / tokens.frame_time)
        return replace(self.experiment.sampling, n_chains=N_CHAINS, chain_length=max(shortest, min(MAX_LENGTH, wanted)))


def _nll(result: BaselineResult) -> float:
    return result.nll if math.isfinite(result.nll) else math.inf


def _words(result: BaselineResult) -> str:
    return result.name if result.name != "order-k Markov chain" else f"Markov chain of {result.note.partition(';')[0]}"


def _scaled(ratio: Interval, share: float) -> Interval:
    """A ratio to the data as one to the molecular dynamics."""
    return Interval(*(share * bound for bound in (ratio.value, ratio.low, ratio.high)))


def _shortened(pieces: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """Whole pieces, as many as hold the tokens a small model reads at most; of the last one its beginning."""
    room, kept = TRAINING_TOKENS, []
    for piece in pieces:
        kept.append(piece[:room])
        room -= len(kept[-1])
        if room < 1:
            break
    return tuple(piece for piece in kept if len(piece))


def likelihood_gain(likelihoods: Mapping[str, float]) -> float:
    """By how much the best of the models predicts better than a Markov chain, nats per time unit; NaN if unknown.

    Example:
        >>> round(likelihood_gain({"Markov chain": 0.5, "semi-Markov process": 0.4, "small LSTM": 0.3}), 3)
        0.2
    """
    finite = {name: value for name, value in likelihoods.items() if math.isfinite(value)}
    return finite["Markov chain"] - min(finite.values()) if "Markov chain" in finite else math.nan
