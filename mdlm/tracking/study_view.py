"""The table and charts of one study on MLflow's page, kept there as a saved view."""

from __future__ import annotations

import base64
import json
import time
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mdlm.tracking.base import FACTOR_TAG, KIND_TAG, REPORT, STUDY_TAG

if TYPE_CHECKING:
    from mlflow.entities import Run, RunData
    from mlflow.tracking import MlflowClient

SAVED_VIEW = "mlflow.sharedViewState."
"""MLflow keeps a saved view as the experiment's tag of this name, followed by the view's key."""

ERROR = "slow_timescale_log_error"
LIKELIHOOD = "nll_nats_per_frame"  # per frame, so that strides compare
RATIO = "t2_ratio_to_data"
RESPONSES = (
    *(ERROR, RATIO, f"{RATIO}_low", f"{RATIO}_high", "t2_ratio_floor_factor"),
    *("mfpt_log_error_rms", "population_tv_distance", LIKELIHOOD, "train_seconds", "sample_seconds"),
)
"""Metrics that are columns, as soon as a run has them."""

MLFLOW_SECTION = "Model metrics"


def studies(client: MlflowClient, experiment_id: str) -> dict[str, list[Run]]:
    """The cells of every study of an MLflow experiment, studies in the order of their names."""
    found = defaultdict(list)
    for run in _pages(client, experiment_id, f"tags.{STUDY_TAG} LIKE '%'"):
        if run.data.tags.get(KIND_TAG) != REPORT:
            found[run.data.tags[STUDY_TAG]].append(run)
    return {name: found[name] for name in sorted(found)}


def _pages(client: MlflowClient, experiment_id: str, wanted: str) -> Iterator[Run]:
    """All runs that a filter lets through: the store gives them in pages."""
    token = None
    while True:
        page = client.search_runs([experiment_id], wanted, max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def save_view(client: MlflowClient, experiment_id: str, study: str, runs: Iterable[Run]) -> str:
    """Save a study's view in its MLflow experiment, unless it is there as it should be.

    Returns:
        Address of the study's table below that of the server, ``#/experiments/...``.
    """
    key = f"study-{study}"
    tags = client.get_experiment(experiment_id).tags
    state = view_state(study, [run.data for run in runs])
    before = _opened(tags.get(SAVED_VIEW + key))
    if before.get("state") != state:
        now = int(time.time() * 1000)
        dates = {"createdAt": before.get("createdAt", now), "updatedAt": now}
        value = json.dumps({"name": f"study {study}", "state": _packed(state), **dates})
        client.set_experiment_tag(experiment_id, SAVED_VIEW + key, value)
    return f"#/experiments/{experiment_id}/runs?viewStateShareKey={quote(key)}&workflowType=machine_learning"


def view_state(study: str, runs: Sequence[RunData]) -> dict[str, Any]:
    """What MLflow's page is to show of a study, in the words of that page.

    Args:
        study: Its name.
        runs: Of its runs; those tagged ``factor.NAME`` say what varies.

    Returns:
        Filter, order, columns and charts.
    """
    factors = sorted({tag for run in runs for tag in run.tags if tag.startswith(FACTOR_TAG)})
    factors.sort(key=lambda tag: tag == FACTOR_TAG + "seed")  # last: it is a replicate
    widths = {_column("tags", name): 7 * len(name) + 24 for name in factors}  # as wide as their headings
    widths |= {_column("metrics", name): 110 for name in RESPONSES} | {_column("tags", "verdict"): 400}
    return {
        "searchFilter": f"tags.{STUDY_TAG} = '{study}'",
        "orderByKey": _column("metrics", ERROR),
        "orderByAsc": True,
        "selectedColumns": list(widths),
        "columnOrder": list(widths),
        "columnWidths": widths,
        "runsHiddenMode": "SHOW_ALL",
        "hideEmptyCharts": True,
        "isAccordionReordered": True,  # else the sections are sorted by name
        **_charts([name for name in factors if any(name in run.params for run in runs)]),
    }


def _charts(factors: Sequence[str]) -> dict[str, Any]:
    """The charts, and the sections they are in: MLflow adds its own of all metrics, which is closed at first."""
    parallel = {"type": "PARALLEL", "selectedParams": list(factors), "selectedMetrics": [ERROR], "showAllRuns": True}
    charts: dict[str, list[dict[str, Any]]] = {
        **({"choices and error": [parallel]} if factors else {}),
        "error, likelihood and cost": [
            {"type": "BAR", "metricKey": ERROR},
            {"type": "BAR", "metricKey": RATIO},
            {"type": "SCATTER", **_axes(LIKELIHOOD, ERROR)},
            {"type": "SCATTER", **_axes("train_seconds", ERROR)},
        ],
        MLFLOW_SECTION: [],
    }
    common = {"deleted": False, "isGenerated": False}
    return {
        "compareRunCharts": [
            {"uuid": f"{name} {n}", "metricSectionId": name, "runsCountToCompare": 100, **common, **chart}
            for name, section in charts.items()
            for n, chart in enumerate(section)
        ],
        "compareRunSections": [
            {"uuid": name, "name": name, "display": bool(section), "columns": min(len(section), 2) or 3, **common}
            for name, section in charts.items()
        ],
    }


def _axes(x: str, y: str) -> dict[str, Any]:
    return {"xaxis": {"key": x, "type": "METRIC"}, "yaxis": {"key": y, "type": "METRIC"}}


def _column(kind: str, name: str) -> str:
    return f"{kind}.`{name}`"


def _packed(state: dict[str, Any]) -> str:
    """As MLflow's page packs it."""
    return "deflate;" + base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()


def _opened(value: str | None) -> dict[str, Any]:
    """A saved view with its state unpacked; empty where there is none or it cannot be read."""
    try:
        view: dict[str, Any] = json.loads(value or "{}")
        packed = view.get("state", "").removeprefix("deflate;")
        return view | {"state": json.loads(zlib.decompress(base64.b64decode(packed)))} if packed else {}
    except (ValueError, AttributeError, zlib.error):
        return {}
