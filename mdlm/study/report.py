"""One self-contained page that says what a study found."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from mdlm import __version__
from mdlm.report.run_folder import write_atomically
from mdlm.study.across_seeds import combinations
from mdlm.study.analysis import Analysis
from mdlm.study.claims import CLAIMS, RULES
from mdlm.study.figures import draw_study

CAPTIONS = {
    "effects": "Effect of each level against the first of its factor, averaged equally over all other factors.",
    "interactions": "Marginal means of pairs of factors, the clearest interactions first. Parallel lines: none.",
    "grid": "Every combination of levels, mean over the seeds. Hatched: no decided run, or not part of the "
    "design; rows and columns without any decided run are left out.",
    "cost": "Error against the seconds of training and sampling. Nothing beats the numbered cells in both.",
    "seeds": "Every decided run; none lies below the data-limited floor. Bars join one combination of levels.",
}


def write_report(analysis: Analysis, signed: Analysis | None, directory: Path, name: str) -> list[Path]:
    """Write table, figures, numbers and the page.

    Args:
        analysis: What the page is about.
        signed: The same of the signed ratio, for which way t2 goes; None leaves that out.
        directory: Filled with ``report.html``, ``effects.json``, ``runs.parquet``, ``runs.csv`` and ``figures/``.
        name: Of the study.

    Returns:
        The files, the page first, and the directory of the figures where there are any.
    """
    from jinja2 import Environment, StrictUndefined

    drawn = draw_study(analysis, directory / "figures")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"number": _number, "p": _p, "percent": _percent, "factor": _factor, "times": _times}
    template = environment.from_string((files("mdlm.study") / "report.html.j2").read_text(encoding="utf-8"))
    text = template.render(
        a=analysis,
        signed=signed,
        name=name,
        version=__version__,
        claims=CLAIMS,
        rules=RULES,
        quantity=analysis.response.quantity,
        headline=headline(analysis),
        figures={name: _inline(path, name) for name, path in drawn.items()},
        captions=CAPTIONS,
        excluded=(excluded := _excluded(analysis)),
        reasons=Counter((row["status"], row["reason"]) for row in excluded).most_common(),
        combinations=combinations(analysis.table),
        exp=math.exp,
    )
    page, numbers = directory / "report.html", directory / "effects.json"
    write_atomically(page, lambda path: path.write_text(text, encoding="utf-8"))
    write_atomically(numbers, lambda path: path.write_text(json.dumps(as_numbers(analysis), indent=2) + "\n"))
    figures = directory / "figures"
    return [page, numbers, *analysis.table.write(directory), *([figures] if drawn else [])]


def headline(analysis: Analysis) -> list[str]:
    """The finding in a few sentences."""
    effects = analysis.effects
    if effects is None:
        return [analysis.undecided]
    sentences = []
    for ranked in analysis.ranking:
        test = next(term for term in effects.terms if term.name == ranked.factor)
        if test.conclusion != "matters":
            continue
        pairs = [c for c in effects.contrasts if c.factor == ranked.factor]
        widest = max(pairs, key=lambda contrast: abs(contrast.estimate.value))
        sentences.append(f"{widest.sentence(analysis.response.quantity)} (p {_p(test.p_holm, '= ')}, Holm)")
    open_factors = [t.name for t in effects.terms if ":" not in t.name and t.conclusion != "matters"]
    if open_factors:
        sentences.append(f"undecided, no effect seen beyond the scatter of the runs: {', '.join(open_factors)}")
    found = [term.name for term in effects.terms if ":" in term.name and term.conclusion == "matters"]
    if found:
        sentences.append(f"the effect of one depends on the other: {', '.join(found)}")
    return sentences


def as_numbers(analysis: Analysis) -> dict[str, Any]:
    """Everything the page says, for a machine; null where there is no finite number."""
    effects = analysis.effects
    found: dict[str, Any] = {
        "response": analysis.response.name,
        "runs": analysis.table.counts,
        "undecided": analysis.undecided,
        "claims": [asdict(claim) for claim in analysis.claims],
        "across_seeds": [asdict(combination) for combination in combinations(analysis.table)],
        "notes": analysis.notes,
    }
    if effects is not None:
        found |= {
            "terms": [asdict(term) | {"conclusion": term.conclusion} for term in effects.terms],
            "means": [asdict(mean) for mean in effects.means],
            "contrasts": [asdict(contrast) for contrast in effects.contrasts],
            "ranking": [asdict(ranked) for ranked in analysis.ranking],
            "mixed": [asdict(mixed) for mixed in analysis.mixed],
            "checks": [asdict(check) for check in analysis.checks],
            "sensitivity": [asdict(one) for one in analysis.sensitivity],
        }
    return dict(_finite(found))


def _finite(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _excluded(analysis: Analysis) -> list[dict[str, Any]]:
    """Every row that is not analysed, with its levels and the reason."""
    table, names = analysis.table, (*analysis.table.factors, *analysis.table.replicates)
    rows = table.rows[~analysis.response.analysed]
    found = []
    for record in rows.to_dict("records"):
        reason = record.get("reason") or record.get("verdict") or "no finite number"
        levels = " ".join(f"{name}={record[name]}" for name in names)
        found.append({"levels": levels, "status": record["status"], "reason": reason})
    return sorted(found, key=lambda row: (row["status"], row["reason"]))


def _inline(path: Path, name: str) -> str:
    """An SVG as it goes into a page: without its XML head, names of its own, and a label for screen readers."""
    from markupsafe import Markup

    text = path.read_text(encoding="utf-8")
    text = text[text.index("<svg") :].replace("<svg ", f'<svg role="img" aria-label="{CAPTIONS[name]}" ', 1)
    for head in ('id="', "url(#", 'href="#'):
        text = text.replace(head, f"{head}{name}-")
    return Markup(text)


def _number(value: float) -> str:
    return "unbounded" if math.isinf(value) else "–" if math.isnan(value) else f"{value:.3g}"


def _p(value: float, equals: str = "") -> str:
    return "< 0.0001" if value < 1e-4 else f"{equals}{value:.2g}"


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{100 * value:.0f} %"


def _factor(logarithm: float) -> str:
    return _number(math.inf if logarithm > 700 else math.exp(logarithm))


def _times(logarithm: float) -> str:
    """What something is multiplied or divided by."""
    return f"/ {_factor(-logarithm)}" if logarithm < 0 else f"× {_factor(logarithm)}"
