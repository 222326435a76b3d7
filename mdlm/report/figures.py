"""Figures of one run, MD and model in the same panel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mdlm.report.context_figure import draw_context
from mdlm.report.partition_figures import draw_diagnosis, draw_landscape
from mdlm.report.run_folder import write_atomically
from mdlm.report.style import DATA, MARKOV, MODEL, STYLE, TRUTH, logarithmic
from mdlm.trajectory import IntArray, visit_starts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mdlm.outcome import Outcome

NAMED_STATES_UP_TO = 12


def draw_all(outcome: Outcome, directory: Path) -> Path:
    """Draw every figure of a run as PNG into ``directory`` and return it."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    drawings = {
        "traces": (_traces, (7.2, 3.6)),
        "timescales": (_timescales, (5.2, 3.6)),
        "populations": (_populations, (5.2, 3.2)),
    }
    learning = outcome.learning
    if learning and learning.curve and learning.curve.history:
        drawings["training"] = (_training, (5.2, 3.2))
    if learning:
        drawings["partition"] = (_partition, (7.2, 5.6))
    if learning and len(learning.stages.discretiser.columns) == 2:
        drawings["landscape"] = (_landscape, (5.2, 4.2))
    if learning and learning.context:
        drawings["context"] = (_context, (5.2, 3.6))
    with mpl.rc_context(STYLE):
        for name, (draw, size) in drawings.items():
            figure = Figure(figsize=size)  # without pyplot: no window system, nothing kept open
            draw(figure, outcome)
            write_atomically(directory / f"{name}.png", figure.savefig)
    return directory


def _traces(figure: Figure, outcome: Outcome) -> None:
    """The same span of time of MD and of one sampled chain."""
    sequences = outcome.evaluation.sequences
    train, chains = sequences.token_macrostates, sequences.sampled_macrostates
    piece, chain = max(train.pieces, key=len), max(chains.pieces, key=len)
    n_frames = min(len(piece), len(chain))
    upper, lower = figure.subplots(2, 1, sharex=True, sharey=True)
    for axes, states, title, colour in (
        (upper, piece, "molecular dynamics (training)", DATA),
        (lower, chain, "model (one sampled chain)", MODEL),
    ):
        _trace(axes, states[:n_frames], train.frame_time, colour)
        axes.set_title(title, loc="left", color=colour, fontsize=9)
        _name_states(axes.yaxis, outcome)
        axes.set_ylabel("macrostate")
    lower.set_xlabel(f"time ({train.time_unit})")


def _trace(axes: Axes, states: IntArray, frame_time: float, colour: str) -> None:
    """Only the changes of state are drawn: a million frames must not make a million segments."""
    starts = visit_starts(states)
    edges = np.append(starts, len(states)) * frame_time
    axes.stairs(states[starts], edges, baseline=None, color=colour, linewidth=0.6)


def _timescales(figure: Figure, outcome: Outcome) -> None:
    """Implied timescales against the lag, with bands, truth and the Markov chain's value."""
    c = outcome.evaluation.comparison
    axes = figure.subplots()
    for curve, colour, marker, label in (
        (c.data_curve, DATA, "o", "training data"),
        (c.sampled_curve, MODEL, "s", "model"),
    ):
        for process in range(curve.timescales.shape[1]):
            name = label if process == 0 else None
            faint = 1.0 if process == 0 else 0.45
            axes.plot(
                curve.lag_times,
                curve.timescales[:, process],
                color=colour,
                marker=marker,
                markersize=3,
                linewidth=1,
                label=name,
                alpha=faint,
            )
            axes.fill_between(
                curve.lag_times,
                curve.low[:, process],
                curve.high[:, process],
                color=colour,
                alpha=0.2 * faint,
                linewidth=0,
            )
    if c.t2_ratio_to_truth is not None:
        for process, truth in enumerate(c.reference_timescales):
            axes.axhline(truth.value, color=TRUTH, linewidth=1, linestyle="--", label=None if process else "truth")
    if c.markov_timescales:
        label = f"Markov chain at one stride ({c.token_time:g} {c.time_unit})"
        axes.axhline(c.markov_timescales[0], color=MARKOV, linewidth=1, linestyle=":", label=label)
    axes.axvline(c.lag_time, color="0.7", linewidth=0.8, zorder=0)
    axes.set_xscale("log")
    logarithmic(axes, c.data_curve.timescales, c.sampled_curve.timescales)
    axes.set_xlabel(f"lag ({c.time_unit}); judged at the grey line")
    axes.set_ylabel(f"implied timescales t2, t3, ... ({c.time_unit})")
    axes.legend(fontsize=7)


def _populations(figure: Figure, outcome: Outcome) -> None:
    """Share of time in each macrostate."""
    c = outcome.evaluation.comparison
    axes = figure.subplots()
    n_states = len(c.data.populations)
    states = np.arange(n_states)
    width = 0.4
    axes.bar(states - width / 2, c.data.populations, width, color=DATA, label="training data")
    axes.bar(states + width / 2, c.sampled.populations, width, color=MODEL, label="model")
    _name_states(axes.xaxis, outcome)
    axes.set_xlabel("macrostate")
    axes.set_ylabel("population")
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(0, 1.15), ncols=2)


def _partition(figure: Figure, outcome: Outcome) -> None:
    """What partition, treatment and stride did to the data."""
    assert outcome.learning
    evaluation = outcome.evaluation
    token_time = evaluation.sequences.tokens.frame_time
    draw_diagnosis(figure, outcome.learning.diagnosis, evaluation.comparison.lag_time, token_time)


def _context(figure: Figure, outcome: Outcome) -> None:
    """Held-out loss against the history the model is shown."""
    assert outcome.learning is not None
    assert outcome.learning.context is not None
    draw_context(figure, outcome.learning.context, outcome.evaluation.comparison.time_unit)


def _landscape(figure: Figure, outcome: Outcome) -> None:
    """The partition over the free energy of the two features."""
    assert outcome.learning
    draw_landscape(figure, outcome.learning.stages.described.train, outcome.learning.stages.discretiser)


def _training(figure: Figure, outcome: Outcome) -> None:
    """Losses per epoch beside what a Markov chain of order one reaches."""
    from matplotlib.ticker import MaxNLocator

    assert outcome.learning
    assert outcome.learning.curve
    history, best_epoch = outcome.learning.curve.history, outcome.learning.curve.best_epoch
    epochs = [epoch.epoch for epoch in history]
    axes = figure.subplots()
    axes.plot(epochs, [e.train_nll for e in history], color=DATA, marker="o", markersize=3, label="training")
    held_out = [e.validation_nll for e in history]
    axes.plot(epochs, held_out, color=MODEL, marker="s", markersize=3, label="validation")
    entropy = outcome.evaluation.comparison.markov_entropy_rate
    axes.axhline(entropy, color=MARKOV, linestyle=":", linewidth=1, label="Markov entropy rate")
    axes.axvline(best_epoch, color="0.7", linewidth=0.8, zorder=0)
    logarithmic(axes, np.array([e.train_nll for e in history]))  # the first epoch is far above the others
    axes.set_xlabel("epoch; the grey line marks the model kept")
    axes.set_ylabel("negative log-likelihood (nats/token)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize=7)


def _name_states(axis: object, outcome: Outcome) -> None:
    """Write the macrostates' names at the ticks where they are few."""
    names = outcome.evaluation.sequences.lumping.names
    if len(names) <= NAMED_STATES_UP_TO:
        axis.set_ticks(range(len(names)), names, fontsize=7)  # type: ignore[attr-defined]
