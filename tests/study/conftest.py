"""Synthetic studies with known effects."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from mdlm.study.tidy import StudyTable

LEVELS = {
    "partition": ("wells", "pcca", "grid n_bins=10", "kmeans", "grid n_bins=30"),
    "recrossing": ("keep", "coring"),
    "stride": (1, 10, 100, 1000, 10000),
    "model": ("lstm", "transformer"),
}
N_STATES = {"wells": 4, "pcca": 4, "grid n_bins=10": 10, "kmeans": 100, "grid n_bins=30": 30}


@pytest.fixture(scope="session")
def factorial():
    """Every combination of the levels with some seeds: 500 rows with the default of five seeds, without results."""

    def make(levels=None, n_seeds=5):
        levels = LEVELS if levels is None else levels
        rows = pd.DataFrame(product(*levels.values(), range(n_seeds)), columns=[*levels, "seed"])
        return rows.assign(status="finished", reason="", verdict="too fast by 2x [1.9, 2.1]", run="somewhere")

    return make


@pytest.fixture(scope="session")
def with_errors():
    """Write logarithmic errors into a table: a sample too fast by exp(error), with an interval of a half width."""

    def fill(rows, errors, half_width=0.01, factors=tuple(LEVELS)):
        errors = np.asarray(errors, dtype=float)
        ends = {"": 0.0, "_low": -half_width, "_high": half_width}
        metrics = {f"t2_ratio_to_data{end}": np.exp(-errors + shift) for end, shift in ends.items()}
        rows = rows.assign(**metrics, train_seconds=np.linspace(1, 9, len(rows)), sample_seconds=0.5)
        if "partition" in rows:
            rows = rows.assign(n_states=rows["partition"].map(N_STATES).fillna(4.0))
        return StudyTable(rows, tuple(name for name in factors if name in rows), ("seed",))

    return fill
