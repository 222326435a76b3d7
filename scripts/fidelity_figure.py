"""What `scripts/fidelity.py` measured: t2 ratios of every run over the lags, drawn, and a table of how many are right.

A run is right if t2 of its sample is 0.8 to 1.25 times that of its training data at every lag from one frame to a tenth
of t2.

Usage: ``python scripts/fidelity_figure.py FILE.csv PICTURE.png``
"""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mdlm.report.style import DATA, MARKOV, MODEL, STYLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOW, HIGH = 0.8, 1.25
NAMES = {
    "lstm_slow_modes": ("LSTM, `slow_modes`", MODEL),
    "transformer_slow_modes": ("Transformer, `slow_modes`", "#CC79A7"),
    "gru_slow_modes": ("GRU, `slow_modes`", "#E69F00"),
    "lstm": ("LSTM, `none`", DATA),
    "lstm_markov": ("LSTM, `markov`", MARKOV),
    "markov": ("Markov chain", "#000000"),
    "markov_k": ("Markov chain of order 1 to 5", "#777777"),
    "semi_markov": ("semi-Markov process", "#AAAAAA"),
    "hmm": ("hidden Markov model", "#8B5A2B"),
    "exact": ("simulated much longer", "#B22222"),
    "all_data": ("all molecular dynamics", "#56B4E9"),
}
RUNGS = {
    "grid": "four_state, grid",
    "basins": "four_state, basins",
    "x_only": "four_state, x alone",
    "alanine_kmeans": "alanine dipeptide, 50 k-means",
    "alanine_sin_phi": "alanine dipeptide, 20 bins of sin(phi)",
    "alanine_simulated": "alanine dipeptide, 0.1 ps",
    "pentapeptide_kmeans": "pentapeptide, 200 k-means",
    "ww_kmeans": "WW domain, 200 k-means",
    "ww_pcca": "WW domain, PCCA+",
}


def main(file: Path, picture: Path) -> None:
    """Print the table and draw the picture."""
    rows = pd.read_csv(file)
    print("| states | model | runs | right | t2 ratios | passage times | populations, kT | training, s |")
    print("|---|---|---|---|---|---|---|---|")
    drawn: dict[str, list[tuple[str, np.ndarray, np.ndarray]]] = defaultdict(list)
    for rung, candidate in [(rung, candidate) for rung in RUNGS for candidate in NAMES]:
        found = rows[(rows["rung"] == rung) & (rows["candidate"] == candidate)]
        if len(found):
            ratios = [numbers(text) for text in found["ratios"]]
            print(f"| {RUNGS[rung]} | {NAMES[candidate][0]} | {line(found, ratios)} |")
            lags = [numbers(text) / t2 for text, t2 in zip(found["lags"], found["t2_data"], strict=True)]
            drawn[rung] += [(candidate, x, y) for x, y in zip(lags, ratios, strict=True)]
    draw(drawn, picture)


def numbers(text: object) -> np.ndarray:
    """What a cell of the file lists."""
    return np.array(str(text).split(), dtype=float)


def line(found: pd.DataFrame, ratios: Sequence[np.ndarray]) -> str:
    """How the runs of one candidate on one rung came out."""
    right = sum(bool((values >= LOW).all() and (values <= HIGH).all()) for values in ratios)
    together = np.concatenate(ratios)
    trained = found["train_seconds"].dropna()
    seconds = f"{trained.median():.0f}" if len(trained) else ""
    errors = " | ".join(median_and_worst(found[name]) for name in ("mfpt_log_error_rms", "free_energy_error_kT"))
    return f"{len(found)} | {right} | {together.min():.2f} to {together.max():.2f} | {errors} | {seconds}"


def median_and_worst(values: pd.Series[float]) -> str:
    """Of all runs; nothing where no run has any."""
    return f"{values.median():.2f}, {values.max():.2f}" if values.notna().any() else ""


def draw(drawn: dict[str, list[tuple[str, np.ndarray, np.ndarray]]], picture: Path) -> None:
    """A panel for each rung, a line for each run."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator, ScalarFormatter

    n_columns = math.ceil(math.sqrt(len(drawn)))
    n_rows = -(-len(drawn) // n_columns)
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            n_rows, n_columns, figsize=(3.1 * n_columns, 2.3 * n_rows + 0.6), sharey=True, squeeze=False
        )
        for axes, (rung, runs) in zip(panels.flat, drawn.items(), strict=False):
            axes.axhspan(LOW, HIGH, color="0.92", lw=0)
            axes.axhline(1, color="0.6", lw=0.8)
            for candidate, lags, ratios in reversed(runs):  # networks on top
                axes.plot(lags, ratios, color=NAMES[candidate][1], lw=1)
            axes.set(title=RUNGS[rung], xscale="log", yscale="log", ylim=(0.1, 2.5))
            axes.title.set_fontsize(8)
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.yaxis.set_major_locator(FixedLocator([0.1, 0.2, 0.5, 1, 2]))
            axes.yaxis.set_minor_locator(NullLocator())
            axes.yaxis.set_major_formatter(ScalarFormatter())
        for axes in panels.flat[len(drawn) :]:
            axes.set_visible(False)
        figure.supxlabel("lag / t2 of the data", fontsize=9)
        figure.supylabel("t2 of the sample / t2 of the data", fontsize=9)
        shown = [name for name in NAMES if any(name == run[0] for runs in drawn.values() for run in runs)]
        handles = [Line2D([], [], color=NAMES[name][1], label=NAMES[name][0].replace("`", "")) for name in shown]
        figure.legend(handles=handles, loc="outside upper center", ncols=-(-len(handles) // 3))
        save(figure, picture)


def save(figure: Figure, picture: Path) -> None:
    """Write a figure, and say where."""
    from matplotlib import pyplot as plt

    figure.savefig(picture)
    plt.close(figure)
    print(f"drawn: {picture}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
