"""Folding events, free-energy profile F(Q) and Q(t) of the structure-based WW domain, or of another protein.

Simulates ``system=ww_domain`` (or takes it from the cache), prints what it saw and draws two PNGs into a folder. Q is
the fraction of native contacts; folding is entering the folded core, Q > 0.7, after the unfolded one, Q < 0.3. The
times are those of a model with native bias, and not physical.

Usage: ``python scripts/ww_domain_profile.py FOLDER [override ...]``, for example ``. system.n_steps=3_000_000``
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from mdlm.build import build
from mdlm.report.style import DATA, STYLE
from mdlm.system.go_model import folding_events, fraction_native, free_energy_profile
from mdlm.system.ww_domain import WWDomain
from mdlm.trajectory import FloatArray

CONF = Path(__file__).parent.parent / "conf"
UNFOLDED_BELOW, FOLDED_ABOVE = 0.3, 0.7
N_SHOWN = 4  # trajectories of Q(t)


def main(folder: Path, overrides: list[str]) -> None:
    """Print events, populations and barriers, and draw the figures."""
    with initialize_config_dir(str(CONF.resolve()), version_base="1.3"):
        config = OmegaConf.to_container(compose("config", ["system=ww_domain", *overrides]), resolve=True)
    run = build(config)
    system = run.system
    assert isinstance(system, WWDomain)
    trajectories = run.stages().trajectories
    q = [fraction_native(piece, system.model) for piece in trajectories.pieces]
    events = [folding_events(values, UNFOLDED_BELOW, FOLDED_ABOVE) for values in q]
    n_folding = sum(len(found.folding) for found in events)
    n_unfolding = sum(len(found.unfolding) for found in events)
    together, unit = np.concatenate(q), trajectories.time_unit
    values, profile = free_energy_profile(together, len(system.model.contacts))
    folded = float((together > (UNFOLDED_BELOW + FOLDED_ABOVE) / 2).mean())
    print(f"{len(system.model.beads)} beads, {len(system.model.contacts)} native contacts")
    print(f"{len(q)} trajectories, {trajectories.duration:,.0f} {unit} in total")
    print(f"folding events: {n_folding}; unfolding events: {n_unfolding}; folded (Q > 0.5): {folded:.2f} of the time")
    between = (values >= UNFOLDED_BELOW) & (values <= FOLDED_ABOVE)
    top = profile[between].max()
    out, back = (top - profile[side].min() for side in (values < UNFOLDED_BELOW, values > FOLDED_ABOVE))
    print(f"barrier in F(Q): {out:.1f} kT from the unfolded side, {back:.1f} kT from the folded side")
    draw(folder, q, values, profile, trajectories.frame_time, unit)


def draw(folder: Path, q: list[FloatArray], fractions: FloatArray, profile: FloatArray, time: float, unit: str) -> None:
    """F(Q) and Q(t) of the first trajectories, each a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(4, 3))
        seen = np.isfinite(profile)
        axes.plot(fractions[seen], profile[seen], "o-", color=DATA, markersize=2)
        axes.set(xlabel="fraction of native contacts Q", ylabel="F(Q) (kT)", xlim=(0, 1))
        figure.savefig(folder / "free_energy.png")
        plt.close(figure)
        shown = q[:N_SHOWN]
        figure, rows = plt.subplots(len(shown), squeeze=False, sharex=True, sharey=True, figsize=(6, 1.2 * len(shown)))
        for row, values in zip(rows[:, 0], shown, strict=True):
            row.plot(time * np.arange(len(values)), values, color=DATA, linewidth=0.5)
            row.axhline(UNFOLDED_BELOW, color="grey", linewidth=0.5)
            row.axhline(FOLDED_ABOVE, color="grey", linewidth=0.5)
            row.set(ylim=(0, 1), ylabel="Q")
        rows[-1, 0].set_xlabel(f"time ({unit})")
        figure.savefig(folder / "folding.png")
        plt.close(figure)
    print(f"wrote {folder / 'free_energy.png'} and {folder / 'folding.png'}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2:])
