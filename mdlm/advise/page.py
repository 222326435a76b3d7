"""Advice as text and as JSON."""

from __future__ import annotations

import io
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mdlm.advise.evidence import Evidence, Prediction, off_by
from mdlm.advise.measure import likelihood_gain
from mdlm.advise.rules import Advice
from mdlm.report.run_folder import write_atomically
from mdlm.report.table import interval

WIDTH = 150
LEGEND = (
    "kept: t2 of the treated data seen through these states, over t2 of the molecular dynamics. Markov: by which "
    "factor t2 of a Markov chain counted at one stride is off. baseline, LSTM: the same of sampled models, with "
    "intervals. history: how much better the best model predicts held-out data than a Markov chain, in nats per time "
    "unit; to be compared within a row only."
)


def write(advice: Advice, command: str, directory: Path) -> list[Path]:
    """Write ``advise.json`` and ``advise.txt``."""
    directory.mkdir(parents=True, exist_ok=True)
    files = {"advise.json": _json(advice, command), "advise.txt": as_text(advice, command)}
    for name, text in files.items():
        write_atomically(directory / name, lambda path, text=text: path.write_text(text))  # type: ignore[misc]
    return [directory / name for name in files]


def as_text(advice: Advice, command: str) -> str:
    """The table, the advice, why, and what to type."""
    console = Console(file=io.StringIO(), width=WIDTH)
    show(advice, command, console)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def show(advice: Advice, command: str, console: Console) -> None:
    """Print it."""
    data = advice.data
    if data.n_events is not None:
        level = (
            f"level from lag {data.plateau_lag:g} on" if not math.isnan(data.plateau_lag) else "not level with the lag"
        )
        console.print(
            Text(
                f"Data: {data.duration:.4g} {data.time_unit}, {data.n_events} slow events at lag {data.lag_time:g} "
                f"{data.time_unit}, t2 {interval(data.t2)} {data.time_unit} ({level})"
            ),
            soft_wrap=True,
        )
    if advice.evidence:
        console.print(_table(advice))
        console.print(Text(LEGEND, style="dim"))
    console.print()
    console.print(Text(advice.headline, style="bold"), soft_wrap=True)
    for reason in advice.reasons:
        console.print(Text(f"- {reason}"), soft_wrap=True)
    if advice.choice is not None:
        console.print(Text(f"\n{command}"), soft_wrap=True)


def _table(advice: Advice) -> Table:
    table = Table()
    for heading in ("partition", "recrossing"):
        table.add_column(heading)
    for heading in ("stride", "states", "events", "kept", "Markov", "baseline", "LSTM", "history"):
        table.add_column(heading, justify="right")
    table.add_column("", overflow="fold", style="dim")
    for one in advice.evidence:
        choice = one.choice
        style = "bold" if choice == advice.choice else ""
        table.add_row(choice.partition, choice.recrossing, str(choice.stride), *_cells(one), one.problem, style=style)
    return table


def _cells(one: Evidence) -> list[str]:
    if not one.n_states:
        return [""] * 7
    if not math.isfinite(one.share):
        return [str(one.n_states), str(one.n_events), *[""] * 5]
    gain = likelihood_gain(one.likelihoods)
    return [
        str(one.n_states),
        str(one.n_events),
        f"{one.share:.2f}",
        f"{off_by(one.memoryless):.3g}x",
        _error(one.simple),
        _error(one.small),
        "" if math.isnan(gain) else f"{gain:.3g}",
    ]


def _error(prediction: Prediction | None) -> str:
    return "" if prediction is None else interval(prediction.error)


def _json(advice: Advice, command: str) -> str:
    decided = advice.choice is not None
    content = {"decided": decided, "command": command if decided else None, **asdict(advice)}
    content["evidence"] = [{**asdict(one), "predicted_error": asdict(one.error)} for one in advice.evidence]
    return json.dumps(_finite(content), indent=1, allow_nan=False)


def _finite(value: Any) -> Any:  # noqa: ANN401
    """JSON has no NaN and no infinity; both become null."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
