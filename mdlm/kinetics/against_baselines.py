"""Whether something simpler does as well as the model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """How a model or baseline did.

    Attributes:
        nll: Negative log-likelihood of held-out data, in nats per frame; NaN where it has none.
        t2_ratio: t2 of its sample over that of the data; NaN where unknown.
        nll_error: Standard error of the difference of its ``nll`` to the model's, over the held-out pieces.
    """

    nll: float
    t2_ratio: float
    nll_error: float = 0.0

    @property
    def t2_factor(self) -> float:
        """By which factor t2 is off, at least 1; infinite where t2 is, NaN where it is unknown."""
        return max(self.t2_ratio, 1 / self.t2_ratio) if self.t2_ratio else math.inf


Z = 1.645  # standard errors by which likelihoods must differ: one-sided 95 %


def against_baselines(model: Score, baselines: Mapping[str, Score], floor_factor: float = 1.0) -> str:
    """Say in one sentence which baselines beat the model, on held-out likelihood and on t2.

    A baseline predicts better where its negative log-likelihood is lower by more than 1.645 standard errors of the
    difference. It keeps t2 better where it is off by less than the model and the model is off by more than the floor:
    within it nobody's t2 is better than anybody else's.

    Args:
        model: The model judged.
        baselines: By a name that fits after "a", best known to the reader: ``third-order Markov chain``.
        floor_factor: By which factor t2 of molecular dynamics as long as the sample is off.

    Example:
        >>> against_baselines(Score(1.25, 0.5), {"third-order Markov chain": Score(1.234, 0.95)}, floor_factor=1.2)
        'a third-order Markov chain predicts held-out data better than the model (1.234 against 1.25 nats per frame); \
a third-order Markov chain keeps t2 better (off by 1.05x against 2x)'
    """
    said = []
    likely = {name: s for name, s in baselines.items() if s.nll + Z * s.nll_error < model.nll}
    if likely:
        name, best = min(likely.items(), key=lambda item: item[1].nll)
        numbers = f"{best.nll:.4g} against {model.nll:.4g} nats per frame"
        said.append(f"{_a(name)} predicts held-out data better than the model ({numbers})")
    closer = {name: s for name, s in baselines.items() if s.t2_factor < model.t2_factor}
    if closer and model.t2_factor > floor_factor:
        name, best = min(closer.items(), key=lambda item: item[1].t2_factor)
        of_model = f"against {model.t2_factor:.3g}x" if math.isfinite(model.t2_factor) else "where the model's is lost"
        said.append(f"{_a(name)} keeps t2 better (off by {best.t2_factor:.3g}x {of_model})")
    return "; ".join(said) if said else "no baseline does better than the model"


def _a(name: str) -> str:
    return f"{'an' if name[0] in 'aeiouAEIOUHM' and (name[0].islower() or name[:2].isupper()) else 'a'} {name}"
