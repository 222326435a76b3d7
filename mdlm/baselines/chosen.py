"""The baselines of a run, and the question whether the model uses history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mdlm.baselines.base import Baseline
from mdlm.baselines.markov import counted, ruled_out
from mdlm.errors import check_at_least
from mdlm.progress import Progress, silent
from mdlm.tokens.base import Tokens
from mdlm.trajectory import Split

if TYPE_CHECKING:
    from mdlm.model.base import LanguageModel
    from mdlm.training.context import ContextCurve


@dataclass(frozen=True)
class Baselines:
    """What stands beside the model.

    Attributes:
        methods: By name; none of them depends on the model, so a sweep over models computes them once.
        context_targets: Held-out tokens on which the gain from history is measured; 0 leaves it out.
        max_context: Longest history that is tried, in tokens.
    """

    methods: dict[str, Baseline]
    context_targets: int
    max_context: int

    def context(
        self,
        model: LanguageModel,
        tokens: Split[Tokens],
        token_time: float,
        time_unit: str,
        confidence: float,
        seed: int,
        progress: Progress = silent,
    ) -> ContextCurve | None:
        """How far back a model looks, beside a Markov chain of order one counted on the same training tokens.

        Args:
            model: Trained on ``tokens.train``.
            tokens: As the model reads them.
            token_time: Mean time of a token, in ``time_unit``.
            time_unit: Unit of ``token_time``.
            confidence: Probability mass of the intervals.
            seed: Of the choice of held-out tokens.
            progress: Told the tokens read.

        Returns:
            None where no held-out piece holds two tokens.
        """
        from mdlm.training.context import context_curve

        pieces = tokens.test.pieces
        if not self.context_targets or max(tokens.test.lengths) < 2:
            return None
        markov = ruled_out(counted(1, "all", tokens.train.pieces, tokens.train.n_tokens), tokens)
        markov.to(model.device)
        bounds = (self.context_targets, self.max_context, confidence, seed)
        return context_curve(model, markov, pieces, token_time, time_unit, *bounds, progress)

    def __post_init__(self) -> None:
        check_at_least(0, context_targets=self.context_targets)
        check_at_least(2, max_context=self.max_context)
        for name in self.methods:
            if not name.isidentifier():
                raise ValueError(f"methods ({name}) must have names of letters, digits and underscores")
