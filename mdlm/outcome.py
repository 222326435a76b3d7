"""What is written down in the end: a judgement, and how the judged chains were made where that is known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdlm.evaluation import Evaluation, Sequences
from mdlm.kinetics.diagnosis import Diagnosis, diagnose
from mdlm.stages import Stages

if TYPE_CHECKING:
    from mdlm.baselines.judgement import BaselineResult
    from mdlm.kinetics.masked import Masked
    from mdlm.training.context import ContextCurve
    from mdlm.training.fitted import Epoch


N_TIMESCALES = 5  # of the partition's own Markov state model, in the diagnosis


@dataclass(frozen=True)
class TrainingCurve:
    """How training went.

    Attributes:
        history: One entry per epoch; empty for a counted model.
        best_epoch: The epoch of the model that was kept.
        batching: How the tokens reached the model.
    """

    history: tuple[Epoch, ...]
    best_epoch: int
    batching: str


@dataclass(frozen=True)
class Learning:
    """How the sampled chains were made.

    Attributes:
        stages: Everything before the tokens: data, partition, treatment, macrostates.
        diagnosis: What partition, treatment and stride did to the training data.
        curve: How training went.
        costs: Metrics of tokens, training and sampling, under their logged names.
        metrics: These, and those of the data.
        baselines: What simpler models reach, from the same training states.
        context: Held-out loss against the history the model is shown; None where that was not measured.
        masked: t2 without the jumps that training never saw; None where that was not asked for.
    """

    stages: Stages
    diagnosis: Diagnosis
    curve: TrainingCurve
    costs: Mapping[str, float]
    metrics: Mapping[str, float]
    baselines: tuple[BaselineResult, ...] = ()
    context: ContextCurve | None = None
    masked: Masked | None = None


def learned(
    stages: Stages, sequences: Sequences, lag_time: float, curve: TrainingCurve, costs: Mapping[str, float]
) -> Learning:
    """Describe the data on their way to the model.

    Args:
        stages: Everything before the tokens.
        sequences: What was judged.
        lag_time: The judged lag, in the time unit.
        curve: How training went.
        costs: Metrics of tokens, training and sampling.
    """
    diagnosis = diagnose(stages.states.train, sequences.data, sequences.tokens, lag_time, N_TIMESCALES)
    of_partition = {
        "macrostates_mixed_share": sequences.lumping.mixed_share,
        "n_features": len(stages.discretiser.columns),
    }
    metrics = {**diagnosis.metrics(), **stages.effect.metrics(), **of_partition, **costs}
    return Learning(stages, diagnosis, curve, costs, metrics)


@dataclass(frozen=True)
class Outcome:
    """All that table, figures and report show.

    Attributes:
        directory: Where it is written.
        evaluation: The judgement.
        config: All that was chosen, nested.
        command: What was typed, or what does the same.
        learning: How the sampled chains were made; None for sequences from elsewhere.
    """

    directory: Path
    evaluation: Evaluation
    config: Mapping[str, Any]
    command: str
    learning: Learning | None = None

    @property
    def metrics(self) -> dict[str, float]:
        """Every number, under the name it has in ``metrics.json`` and MLflow."""
        metrics = self.evaluation.metrics()
        if self.learning is None:
            return metrics
        metrics |= self.learning.metrics
        for result in self.learning.baselines:
            metrics |= result.metrics(self.evaluation.comparison.time_unit)
        metrics |= self.learning.masked.metrics() if self.learning.masked else {}
        return metrics | (self.learning.context.metrics() if self.learning.context else {})

    @property
    def verdict(self) -> str:
        """That of the evaluation, and what of the sampled t2 rests on jumps that training never saw.

        Where states are sparsely counted, t2 of molecular dynamics itself rests on such jumps
        (docs/fidelity.md), so their rate in held-out data is said too.
        """
        said, unseen = self.evaluation.verdict, self.evaluation.unseen
        objection = self.learning.masked.objection if self.learning and self.learning.masked else ""
        if not objection:
            return said
        joined = "; but " if said.startswith("within") else "; "
        rates = f" ({unseen.rate:.2g} of its transitions are such, {unseen.held_out_rate:.2g} of held-out MD's)"
        return f"{said}{joined}{objection}{'' if math.isnan(unseen.held_out_rate) else rates}"

    @property
    def behind(self) -> tuple[str, ...]:
        """What t2 rests on, in sentences: its ratio at other lags, unseen jumps, and whether it needs memory at all."""
        comparison, masked = self.evaluation.comparison, self.learning.masked if self.learning else None
        unit = comparison.time_unit
        about = comparison.t2_ratio_curve.sentence(unit), self.evaluation.unseen.sentence()
        return (*about, *((masked.sentence(),) if masked else ()), comparison.memory.sentence(unit))
