"""The baselines of a run, and the question whether the model uses history."""

from __future__ import annotations

from dataclasses import dataclass

from mdlm.baselines.base import Baseline
from mdlm.model.base import check_at_least


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

    def __post_init__(self) -> None:
        check_at_least(0, context_targets=self.context_targets)
        check_at_least(2, max_context=self.max_context)
        for name in self.methods:
            if not name.isidentifier():
                raise ValueError(f"methods ({name}) must have names of letters, digits and underscores")
