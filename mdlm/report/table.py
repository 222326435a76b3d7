"""The one table a run ends with."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from mdlm.kinetics.comparison import Interval

if TYPE_CHECKING:
    from mdlm.outcome import Learning, Outcome

WIDTH = 110
FROM_A_MODEL = ("all MD", "training data", "Markov chain", "model")
FROM_ELSEWHERE = ("reference", "training part", "Markov chain", "sampled")  # headings where no model is known
IMPOSSIBLE = "zero, since held-out data hold a jump that the model rules out"


def show(outcome: Outcome) -> None:
    """Print the table on stdout."""
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    _print(console, outcome)


def as_text(outcome: Outcome) -> str:
    """The table as plain text."""
    console = Console(file=io.StringIO(), width=WIDTH)
    _print(console, outcome)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def _print(console: Console, outcome: Outcome) -> None:
    console.print(_everything(outcome))
    # A path must stay whole, however narrow the terminal.
    console.print(Text(f"Results: {outcome.directory}\nAll runs side by side: mdlm ui"), soft_wrap=True)


def _everything(outcome: Outcome) -> Group:
    evaluation = outcome.evaluation
    rows: list[RenderableType] = [_kinetics(outcome), Text(), *_beside(outcome)]
    rows.append(Text(f"Verdict: {outcome.verdict}", style="bold"))
    rows += [Text(f"  t{number}: {said}") for number, said in enumerate(evaluation.comparison.verdicts, start=2)]
    rows += [Text(f"  {said}") for said in outcome.behind]
    rows += [Text(f"Note: {note}") for note in evaluation.notes]
    rows += [Text(), Text(words(outcome))]
    return Group(*rows)


def _beside(outcome: Outcome) -> list[RenderableType]:
    """The baselines and what history gains, as far as they were asked for."""
    from mdlm.report.baseline_table import against_model, baseline_table

    learning, comparison = outcome.learning, outcome.evaluation.comparison
    rows: list[RenderableType] = []
    if learning and learning.baselines:
        nll = learning.metrics["nll_nats_per_frame"]
        model = (comparison.t2_ratio_to_data, nll, comparison.sampled.n_events)
        said = against_model(learning.baselines, model, outcome.metrics["t2_ratio_floor_factor"])
        rows += [baseline_table(learning.baselines, model), Text(said), Text()]
    if learning and learning.context:
        rows += [*map(Text, learning.context.sentences()), Text()]
    return rows


def _kinetics(outcome: Outcome) -> Table:
    """Timescales and events, side by side."""
    c = outcome.evaluation.comparison
    title = f"Slow kinetics at lag {c.lag_time:g} {c.time_unit}, {c.confidence:.0%} intervals"
    table = Table(title=title, title_justify="left", title_style="bold")
    headings, rows = kinetics_rows(outcome)
    table.add_column("")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def kinetics_rows(outcome: Outcome) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Headings, and rows that begin with their name: truth, data, Markov chain at one stride, model."""
    c, metrics = outcome.evaluation.comparison, outcome.metrics
    known = c.t2_ratio_to_truth is not None
    headings = FROM_ELSEWHERE if outcome.learning is None else FROM_A_MODEL
    rows = []
    for index, data in enumerate(c.data.timescales):
        markov = Interval(c.markov_timescales[index], math.nan, math.nan)
        cells = (c.reference_timescales[index], data, markov, c.sampled.timescales[index])
        rows.append((f"t{index + 2} ({c.time_unit})", *map(interval, cells)))
    if c.data.timescales:
        markov_ratio = interval(Interval(metrics["markov_t2_ratio_to_data"], math.nan, math.nan))
        rows.append(("t2 / data", "", "1", markov_ratio, interval(c.t2_ratio_to_data)))
        rows.append(("data-limited floor", "", interval(c.floor.ratios[0]), "", ""))
    if c.t2_ratio_to_truth is not None:
        data_ratio = c.data.timescales[0].value / c.reference_timescales[0].value
        rows.append(("t2 / truth", "1", f"{data_ratio:.2f}", "", interval(c.t2_ratio_to_truth)))
    rows.append(("slow events", "", str(c.data.n_events), "", str(c.sampled.n_events)))
    rows.append((f"length ({c.time_unit})", "", f"{c.data.duration:,.0f}", "", f"{c.sampled.duration:,.0f}"))
    return ("truth" if known else headings[0], *headings[1:]), rows


def words(outcome: Outcome) -> str:
    """Likelihood, differences and costs, as far as they are known."""
    m, learning = outcome.metrics, outcome.learning
    mfpt = m["mfpt_log_error_rms"]
    differences = (
        f"Sampled against data: populations differ by {m['population_tv_distance']:.3f} (total variation), "
        + (f"first-passage times by a factor of {math.exp(mfpt):.2f} (rms)" if math.isfinite(mfpt) else "no passages")
    )
    entropy = f"Markov entropy rate {m['markov_entropy_rate_nats_per_token']:.5f} (training data)"
    if learning is None:
        return differences
    nll = m["nll_nats_per_token"]
    held_out = f"{nll:.5f} nats/token held out" if math.isfinite(nll) else IMPOSSIBLE
    return f"Likelihood: {held_out}; {entropy}\n{differences}\n{_costs(learning)}"


def _costs(learning: Learning) -> str:
    m, curve = learning.metrics, learning.curve
    how = f", {curve.batching}" + (" read both ways in time" if m.get("read_backwards") else "")
    how += f", best epoch {curve.best_epoch}" if curve.history else ""
    return f"Training: {m['train_seconds']:.1f} s{how}; sampling: {m['sample_tokens_per_second'] / 1e3:.0f} k tokens/s"


def interval(value: Interval) -> str:
    """A value with its bounds, three figures each.

    Example:
        >>> interval(Interval(8531.2, 8394.0, 8668.0)), interval(Interval(0.977, 0.9, 1.06))
        ('8530 [8390, 8670]', '0.977 [0.9, 1.06]')
    """
    if math.isnan(value.value):
        return "not estimated"
    if math.isnan(value.low) or math.isnan(value.high):
        return number(value.value)
    return f"{number(value.value)} [{number(value.low)}, {number(value.high)}]"


def number(value: float) -> str:
    """Three significant figures, without an exponent where people would not write one.

    Example:
        >>> number(8531.2), number(0.03412), number(float("inf"))
        ('8530', '0.0341', 'never seen')
    """
    if math.isinf(value):
        return "never seen"
    if 1000 <= abs(value) < 1e7:
        digits = int(math.log10(abs(value))) - 2
        return f"{round(value, -digits):.0f}"
    return f"{value:.3g}"
