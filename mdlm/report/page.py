"""The report of a run: one HTML page that needs nothing else, neither a network nor a script."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdlm.report.captions import CAPTIONS
from mdlm.report.run_folder import write_atomically
from mdlm.report.table import kinetics_rows, words

if TYPE_CHECKING:
    from mdlm.outcome import Outcome

TEMPLATE = "page.html"
WIDE = ("traces", "mfpt", "surfaces", "dwell", "autocorrelation", "chapman_kolmogorov", "partition")  # of many panels
LARGEST_VECTOR = 400_000  # bytes; a larger figure goes into the page as a bitmap


def write_page(outcome: Outcome) -> Path:
    """Write ``report.html`` into the outcome's folder, from the figures in it or, where there are none, drawn first."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    folder = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = Markup((folder / "page.css").read_text())
    text = environment.get_template(TEMPLATE).render(style=style, **_content(outcome))
    page = outcome.directory / "report.html"
    write_atomically(page, lambda path: path.write_text(text, encoding="utf-8"))
    return page


def _content(outcome: Outcome) -> dict[str, Any]:
    """All that the template shows."""
    import yaml

    from mdlm.fingerprint import made_with

    evaluation, c = outcome.evaluation, outcome.evaluation.comparison
    headings, rows = kinetics_rows(outcome)
    return {
        "title": _title(outcome),
        "verdict": outcome.verdict,
        "kind": _kind(outcome.verdict),
        "verdicts": [f"t{k}: {said}" for k, said in enumerate(c.verdicts, start=2)],
        "behind": outcome.behind,
        "judged_at": f"{c.lag_time:g} {c.time_unit}",
        "confidence": f"{c.confidence:.0%}",
        "reference_source": c.reference_source,
        "min_events": c.min_events,
        "headings": headings,
        "rows": rows,
        **_beside(outcome),
        "words": words(outcome).splitlines(),
        "notes": evaluation.notes,
        "figures": _figures(outcome),
        "command": outcome.command,
        "seed": outcome.config.get("seed"),
        "made_with": made_with(),
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "config": yaml.safe_dump(dict(outcome.config), sort_keys=False, allow_unicode=True),
        "metrics": sorted(outcome.metrics.items()),
        "costs": _costs(outcome),
    }


def _beside(outcome: Outcome) -> dict[str, Any]:
    """The baselines, and what history gains, as far as they were asked for."""
    from mdlm.report.baseline_table import against_model, baseline_rows

    learning, comparison = outcome.learning, outcome.evaluation.comparison
    found: dict[str, Any] = {"baselines": [], "against_model": "", "memory": ()}
    if learning and learning.baselines:
        nll = learning.metrics["nll_nats_per_frame"]
        model = (comparison.t2_ratio_to_data, nll, comparison.sampled.n_events)
        found["baselines"] = baseline_rows(learning.baselines, model)
        found["against_model"] = against_model(learning.baselines, model, outcome.metrics["t2_ratio_floor_factor"])
    if learning and learning.context:
        found["memory"] = learning.context.sentences()
    return found


def _title(outcome: Outcome) -> str:
    if outcome.learning is None:
        return "Evaluation of state sequences"
    names = [_option(outcome.config.get(part)) for part in ("model", "system")]
    return f"{names[0]} on {names[1]}"


def _option(part: Any) -> str:  # noqa: ANN401
    """The option a part of the configuration was made from, by the module of its class."""
    return str(part["_target_"]).split(".")[-2] if isinstance(part, dict) and "_target_" in part else "?"


def _kind(verdict: str) -> str:
    """Which of the three outcomes a verdict is, for its colour; the words always say it too.

    Example:
        >>> _kind("undecided: 3 events in the data (10 needed)"), _kind("too fast by 2x [1.8, 2.2]")
        ('undecided', 'off')
    """
    if verdict.startswith("undecided"):
        return "undecided"
    return "within" if verdict.startswith("within") and "; but " not in verdict else "off"


def _figures(outcome: Outcome) -> list[dict[str, str]]:
    """Every figure with its caption, as it stands in the page."""
    directory = outcome.directory / "figures"
    if not directory.is_dir():
        from mdlm.report.figures import draw_all

        draw_all(outcome, directory)
    found = []
    for name, (title, caption) in CAPTIONS.items():
        bitmap, vector = directory / f"{name}.png", directory / f"{name}.svg"
        if bitmap.is_file():
            small = vector.is_file() and vector.stat().st_size <= LARGEST_VECTOR
            found.append(
                {
                    "title": title,
                    "caption": caption,
                    "source": _inlined(vector if small else bitmap),
                    "width": "wide" if name in WIDE else "",
                }
            )
    return found


def _inlined(path: Path) -> str:
    kind = "svg+xml" if path.suffix == ".svg" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _costs(outcome: Outcome) -> list[tuple[str, str]]:
    """What it took, as far as it is known."""
    m = outcome.metrics
    wanted = (
        ("train_seconds", "Training", "{:,.1f} s"),
        ("sample_seconds", "Sampling", "{:,.1f} s"),
        ("sample_tokens_per_second", "Sampling speed", "{:,.0f} tokens/s"),
        ("n_parameters", "Parameters of the model", "{:,.0f}"),
        ("n_training_tokens", "Training tokens", "{:,.0f}"),
    )
    return [(label, form.format(m[name])) for name, label, form in wanted if name in m]
