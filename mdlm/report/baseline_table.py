"""Rows and sentences on the baselines: what simpler models reach, and whether one of them beats the model."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.table import Table

from mdlm.baselines.judgement import BaselineResult
from mdlm.kinetics.comparison import Interval
from mdlm.report.table import interval

TIE = 1e-4
"""Nats per frame below which two likelihoods are called equal."""


def baseline_rows(results: Sequence[BaselineResult], model: tuple[Interval, float, int]) -> list[tuple[str, ...]]:
    """One row per baseline and a last one for the model.

    Args:
        results: Of the baselines.
        model: t2 of the model's chains over t2 of the data, its held-out nats per frame, its slow events.

    Returns:
        Name, t2 ratio with its interval, nats per frame, slow events, and what was chosen or bounded.
    """
    rows = [
        (result.title, interval(result.t2_ratio_to_data), likelihood(result.nll), str(result.n_events), result.note)
        for result in results
    ]
    ratio, nll, n_events = model
    return [*rows, ("model", interval(ratio), likelihood(nll), str(n_events), "")]


def baseline_table(results: Sequence[BaselineResult], model: tuple[Interval, float, int]) -> Table:
    """The rows of `baseline_rows` as a table."""
    table = Table(title="Baselines, from the same training states", title_justify="left", title_style="bold")
    table.add_column("")
    for heading in ("t2 / data", "nats/frame, held out", "slow events"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", style="dim")
    for row in baseline_rows(results, model):
        table.add_row(*row)
    return table


def likelihood(nll: float) -> str:
    """Nats per frame in words where there is no number.

    Example:
        >>> likelihood(0.123456), likelihood(float("inf")), likelihood(float("nan"))
        ('0.12346', 'impossible', 'none')
    """
    if math.isnan(nll):
        return "none"
    return "impossible" if math.isinf(nll) else f"{nll:.5f}"


def baseline_sentences(results: Sequence[BaselineResult], model_nll: float) -> tuple[str, ...]:
    """Name every baseline that predicts held-out states better than the model, the best one first.

    Args:
        results: Of the baselines.
        model_nll: The model's held-out nats per frame; infinite where it rules out what was observed.
    """
    better = [result for result in results if math.isfinite(result.nll) and result.nll < model_nll - TIE]
    sentences = []
    for result in sorted(better, key=lambda result: result.nll):
        name = f"{result.title} ({result.note})" if result.note else result.title
        by = f"by {model_nll - result.nll:.4f} nats/frame"
        if math.isinf(model_nll):
            by = "does, which holds one of them to be impossible"
        sentences.append(f"A simpler model, the {name}, predicts held-out states better than the model {by}.")
    return tuple(sentences)
