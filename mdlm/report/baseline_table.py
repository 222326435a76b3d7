"""Rows and a sentence on the baselines: what simpler models reach, and whether one of them beats the model."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.table import Table

from mdlm.baselines.judgement import BaselineResult
from mdlm.kinetics.against_baselines import Score, Z, against_baselines
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


def against_model(
    results: Sequence[BaselineResult], model: tuple[Interval, float, int], floor_factor: float = 1.0
) -> str:
    """Say which of the baselines beat the model, if any; see `mdlm.kinetics.against_baselines`.

    Args:
        results: Of the baselines.
        model: As in `baseline_rows`.
        floor_factor: By which factor t2 of molecular dynamics as long as the sample is off.
    """
    scores = {
        f"{result.title} ({result.note})" if result.note else result.title: Score(
            result.nll, result.t2_ratio_to_data.value, TIE / Z
        )
        for result in results
    }
    ratio, nll, _ = model
    said = against_baselines(Score(nll, ratio.value), scores, floor_factor)
    return f"{said[0].upper()}{said[1:]}."
