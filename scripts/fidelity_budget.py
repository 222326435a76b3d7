"""Error of t2 against the amount of training data, from rows of `scripts/fidelity.py`: a picture, and a table.

Where the true t2 is known: of four_state, and of twins, whose process was sampled at length (candidate ``exact``). The
error is that of the logarithm, root mean square over runs.

Usage: ``python scripts/fidelity_budget.py FILE.csv PICTURE.png``
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from fidelity_figure import HIGH, LOW, NAMES, RUNGS, save

from mdlm.report.style import DATA, STYLE

TRUTH = {RUNGS["basins"]: 8531.0, RUNGS["grid"]: 8531.0}
"""From reactive flux; see docs/fidelity.md. That of twins is the median of their ``exact`` rows."""
FROM_DATA = "t2 of the training data"


def main(file: Path, picture: Path) -> None:
    """Print the table and draw the picture."""
    rows = pd.read_csv(file)
    is_twin = rows["subset"].astype(str).str.startswith("twin")
    rows["states"] = rows["rung"].map(RUNGS) + np.where(is_twin, ", twins", "")
    is_exact = rows["candidate"] == "exact"
    truth = TRUTH | rows[is_exact].groupby("states")["t2_sampled"].median().to_dict()
    if unknown := set(rows["states"]) - set(truth):
        raise SystemExit(f"t2 of {', '.join(sorted(unknown))} is not known: rows of candidate exact are missing")
    models = rows[~is_exact]
    data = models.drop_duplicates(["rung", "subset", "overrides"]).assign(candidate=FROM_DATA)
    data["t2_sampled"] = data["t2_data"]
    every = pd.concat([models, data]).rename(columns={"candidate": "model"})
    every["error"] = np.log(every["t2_sampled"] / every["states"].map(truth))
    print("| states | model | training tokens | runs | error of t2, root mean square | mean |")
    print("|---|---|---|---|---|---|")
    for (states, model), runs in every.groupby(["states", "model"], sort=False):
        for n_tokens, error in runs.groupby("n_training_tokens")["error"]:
            line = f"{len(error)} | {np.sqrt((error**2).mean()):.2f} | {error.mean():+.2f}"
            print(f"| {states} | {NAMES.get(model, (model,))[0]} | {n_tokens:,} | {line} |")
    draw(every, picture)


def draw(every: pd.DataFrame, picture: Path) -> None:
    """A panel for each kind of states: a point for each run, a line for each model."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator, ScalarFormatter

    every_states = list(every["states"].unique())
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            1, len(every_states), figsize=(3.6 * len(every_states), 3.2), sharey=True, squeeze=False
        )
        for axes, states in zip(panels.flat, every_states, strict=True):
            axes.axhline(1, color="0.6", lw=0.8)
            axes.axhspan(LOW, HIGH, color="0.92", lw=0)
            here = every[every["states"] == states]
            for model, found in here.groupby("model", sort=False):
                name, colour = NAMES.get(model, (model, DATA))
                is_data = model == FROM_DATA
                axes.plot(
                    found["n_training_tokens"] * (0.93 if is_data else 1),
                    np.exp(found["error"]),
                    "x" if is_data else "o",
                    color=colour,
                    ms=4,
                )
                means = np.exp(found.groupby("n_training_tokens")["error"].mean())
                axes.plot(means, color=colour, lw=1, ls=":" if is_data else "-", label=name.replace("`", ""))
            sizes = np.unique(here["n_training_tokens"])
            axes.set(title=states, xscale="log", yscale="log", xlabel="training tokens, millions")
            axes.set_xlim(sizes[0] / 1.5, sizes[-1] * 1.5)
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_xticks(sizes, [f"{size / 1e6:.2g}" for size in sizes])
            axes.yaxis.set_major_locator(FixedLocator([0.2, 0.3, 0.5, 0.7, 1, 1.5]))
            axes.yaxis.set_minor_formatter(NullFormatter())
            axes.yaxis.set_major_formatter(ScalarFormatter())
        panels[0, 0].set_ylabel("t2 / true t2")
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=3)
        save(figure, picture)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
