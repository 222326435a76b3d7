"""What stands beside a model's kinetics: how it read the data, what it cost, what simpler models reach, its memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mdlm.fingerprint import code_version, part_identity
from mdlm.masking import masked
from mdlm.progress import bar
from mdlm.tokens.base import Tokeniser, Tokens
from mdlm.trajectory import Dtraj, IntArray, Split

if TYPE_CHECKING:
    from mdlm.backwards import Backwards
    from mdlm.baselines.judgement import BaselineResult
    from mdlm.evaluation import Evaluation
    from mdlm.experiment import Experiment
    from mdlm.kinetics.judge import Judge
    from mdlm.kinetics.masked import Masked
    from mdlm.model.base import LanguageModel
    from mdlm.outcome import Learning
    from mdlm.sampling.sampling import Sampled
    from mdlm.stages import Stages
    from mdlm.training.context import ContextCurve
    from mdlm.training.fitted import Fitted


@dataclass(frozen=True)
class Tokenised:
    """What a model reads.

    Attributes:
        strided: Treated states after the stride.
        tokeniser: Turns them into tokens and back.
        tokens: The same as tokens.
        backwards: Whether the training data in both are there forward and backward.
    """

    strided: Split[Dtraj]
    tokeniser: Tokeniser
    tokens: Split[Tokens]
    backwards: Backwards

    @property
    def frames_per_token(self) -> float:
        """Mean frames that a token stands for."""
        return self.tokeniser.frames_per_token

    @property
    def n_training_tokens(self) -> int:
        """Tokens of the training data, in one direction."""
        return sum(self.tokens.train.lengths) // (2 if self.backwards.read else 1)

    def metrics(self, chains: IntArray) -> dict[str, float]:
        """What the alphabet can and cannot say, and what the sampled chains break of its rules."""
        return {
            "n_states": float(self.tokeniser.n_states),
            "n_tokens": float(self.tokeniser.n_tokens),
            "n_training_tokens": float(self.n_training_tokens),
            "n_unseen_validation": float(self.tokens.validation.n_unseen),
            "n_unseen_test": float(self.tokens.test.n_unseen),
            "n_token_violations": float(self.tokeniser.n_violations(chains)),
            "frames_per_token": self.frames_per_token,
            **self.backwards.metrics(),
        }


def costs_of(fitted: Fitted, sampled: Sampled, read: Tokenised) -> dict[str, float]:
    """What training and sampling cost, and how well held-out data are predicted."""
    from mdlm.training.evaluate import nll_nats_per_token

    nll = nll_nats_per_token(fitted.model, read.tokens.test.pieces)
    return {
        "nll_nats_per_token": nll,
        "perplexity_per_token": float(np.exp(nll)),
        "nll_nats_per_frame": nll / read.frames_per_token,
        "train_seconds": fitted.seconds,
        "sample_seconds": sampled.seconds,
        "sample_tokens_per_second": sampled.tokens_per_second,
        "n_parameters": float(fitted.model.n_parameters),
        "best_epoch": float(fitted.best_epoch),
    }


def alongside(
    experiment: Experiment,
    learning: Learning,
    read: Tokenised,
    evaluation: Evaluation,
    model: LanguageModel,
    began: tuple[IntArray, int],
) -> Learning:
    """Add baselines, memory and unseen jumps of a trained model, as far as the experiment asks for them.

    Args:
        experiment: What is asked for.
        learning: What is known already.
        read: What the model reads.
        evaluation: Of its chains.
        model: Trained.
        began: Prompts of the chains, and the seed they were sampled with.
    """
    return replace(
        learning,
        baselines=_baselines(experiment, learning.stages, read, evaluation.judge),
        context=_context(experiment, read, model),
        masked=_masked(experiment, read, evaluation, model, began),
    )


def _baselines(experiment: Experiment, stages: Stages, read: Tokenised, judge: Judge) -> tuple[BaselineResult, ...]:
    """What simpler models reach; of the cache, as it does not depend on the model."""
    from mdlm.baselines.judgement import BaselineResult, judge_baselines

    chosen, sampling, seed = experiment.baselines, experiment.sampling, experiment.seed

    def compute() -> tuple[BaselineResult, ...]:
        with bar("baselines") as progress:
            return judge_baselines(chosen.methods, judge, read.strided, stages.lumping, sampling, seed, progress)

    chains = {name: getattr(sampling, name) for name in ("n_chains", "chain_length", "prompt_length")}
    thinning = {"stride": experiment.stride, "offsets": experiment.offsets, "seed": seed}
    thinning["backwards"] = read.backwards.read
    methods = {name: part_identity(method) for name, method in chosen.methods.items()}
    judgement = {"kinetics": part_identity(experiment.kinetics), "code": code_version(BaselineResult)}
    identity = {**thinning, **judgement, "methods": [methods, list(methods)], "chains": chains}
    return stages.after("baselines", chosen, identity, compute) if methods else ()


def _masked(
    experiment: Experiment,
    read: Tokenised,
    evaluation: Evaluation,
    model: LanguageModel,
    began: tuple[IntArray, int],
) -> Masked | None:
    """What t2 is without jumps that training never saw; there is none to ask for in an alphabet without a t2."""
    if not experiment.kinetics.masked_check or not evaluation.comparison.sampled.timescales:
        return None
    return masked(evaluation, experiment.sampling, read.frames_per_token, model, began)


def _context(experiment: Experiment, read: Tokenised, model: LanguageModel) -> ContextCurve | None:
    """How far back the model looks, beside a Markov chain of the same tokens."""
    if not experiment.baselines.context_targets:
        return None
    test = read.strided.test
    with bar("memory") as progress:
        return experiment.baselines.context(
            model,
            read.tokens,
            test.frame_time * read.frames_per_token,
            test.time_unit,
            experiment.kinetics.confidence,
            experiment.seed,
            progress,
        )
