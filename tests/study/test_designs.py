"""The designs that come with the package: every cell composes, and what cannot run says why beforehand."""

import re

import numpy as np
import pytest

from mdlm.cli import conf_directory

DESIGNS = {  # cells of one seed, those that can run
    "demo": (12, 12),
    "four_state_factorial": (216, 216),
    "alanine_factorial": (72, 72),
    "ww_factorial": (24, 24),
    "zeng2021": (324, 144),
    "zeng2021_as_published": (324, 144),
    **dict.fromkeys(("fidelity_basins", "fidelity_grid", "fidelity_x"), (9, 9)),
    **dict.fromkeys(("fidelity_alanine_kmeans", "fidelity_alanine_sin_phi", "fidelity_alanine_simulated"), (9, 9)),
    **dict.fromkeys(("fidelity_pentapeptide_kmeans", "fidelity_pentapeptide_pcca"), (9, 9)),
    **dict.fromkeys(("fidelity_ww_kmeans", "fidelity_ww_pcca"), (9, 9)),
}
LEVELS = {
    "demo": {"recrossing": "keep, coring", "stride": "1, 10", "model": "lstm_plain, transformer_plain, markov"},
    "four_state_factorial": {
        "features": "coordinates, x",
        "partition": "wells, grid, pcca",
        "recrossing": "keep, coring",
        "stride": "1, 10, 100",
        "batching": "streams, windows",
        "model": "markov, lstm_plain, transformer_plain",
    },
    "zeng2021": {"residence_time": "0.1, 0.2, 0.5, 1.0, 2.0, 5.0", "stride": "1, 5, 10"},
    "zeng2021_as_published": {"window": "1, 2, 5, 10, 20, 50"},
}
TINY_DEMO = [
    "experiment=demo",
    "recrossing=keep",
    "system.n_walkers=10",
    "system.n_steps=2_000_000",
    "system.beta=4.0",  # hot: hundreds of slow events in little data
    "kinetics.lag_time=20",
    "kinetics.n_resamples=20",
    "kinetics.n_lags=3",
    "training.max_epochs=1",
    "training.batch_size=256",
    "sampling.n_chains=10",
    "sampling.chain_length=300",
    "sampling.prompt_length=20",
    "tracking=none",
    "hydra.launcher.pool.n_workers=1",
]


def helix(folder):
    """Alpha carbons of a short helix and the oxygens above them, which touch the next turn, for a Go model."""
    from math import cos, radians, sin

    lines = []
    for residue in range(6, 40):
        turn = radians(100 * (residue - 6))
        for number, (atom, above) in enumerate((("CA", 0.0), ("O", 2.0))):
            x, y, z = 2.3 * cos(turn), 2.3 * sin(turn), 1.5 * (residue - 6) + above
            serial = 2 * residue + number
            lines.append(
                f"ATOM  {serial:5d}  {atom:<3} ALA A{residue:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00           C"
            )
    file = folder / "helix.pdb"
    file.write_text("\n".join([*lines, "END", ""]))
    return file


def own_data(name, folder, request):
    """What a design asks its user to give."""
    if name.startswith(("ww", "fidelity_ww")):
        return [f"system.native={helix(folder)}"]
    if name in ("fidelity_alanine_kmeans", "fidelity_alanine_sin_phi"):
        np.savez(folder / "angles.npz", *np.zeros((3, 20_000, 2), np.float32))
        return [f"system.path={folder}/angles.npz"]
    if name.startswith("fidelity_pentapeptide"):
        data = request.getfixturevalue("shared_data") / "pentapeptide"
        return [f"system.topology={data}/pentapeptide-impl-solv.pdb", f"system.path='{data}/*.xtc'"]
    return []


def test_every_study_is_tried_here():
    studies = {path.stem for path in (conf_directory() / "experiment").glob("*.yaml") if "study:" in path.read_text()}
    assert studies == DESIGNS.keys()


@pytest.mark.parametrize("name", DESIGNS)
def test_every_cell_composes_and_those_that_cannot_run_say_why(mdlm, tmp_path, name, request):
    words = [f"experiment={name}", "seed=0", "hydra.launcher.action=plan", *own_data(name, tmp_path, request)]
    words += ["model=markov"] if name == "ww_factorial" else []
    words += ["tokens=states"] if name == "zeng2021" else []
    ended = mdlm("train", "-m", *words, cwd=tmp_path)
    assert ended.code == 0, ended.err
    n_cells, n_valid = DESIGNS[name]
    skipped = {f"{n_cells - n_valid} skipped"} if n_valid < n_cells else set()
    (counted,) = re.findall(rf"^{n_cells} cells: (.*)$", ended.out, re.MULTILINE)
    assert set(counted.split(", ")) == {f"{n_valid} new"} | skipped
    rows = {
        cells[0]: cells[1] for line in ended.out.splitlines() if len(cells := re.split(r"\s*│\s*", line)[1:-1]) == 2
    }
    for factor, levels in LEVELS.get(name, {}).items():
        assert rows[factor] == levels
    assert not (tmp_path / "outputs" / "study").exists()


def test_features_and_partitions_that_do_not_go_together_are_skipped_for_that(mdlm, tmp_path):
    """Of nine combinations an RMSD of an angle (four times) and a sine of coordinates are none."""
    one_level = ["recrossing.residence_time=1.0", "stride=1", "tokens=states", "seed=0", "model=lstm_zeng2021"]
    ended = mdlm("train", "-m", "experiment=zeng2021", *one_level, "hydra.launcher.action=plan", cwd=tmp_path)
    assert "9 cells: 4 new, 5 skipped" in ended.out
    reasons = re.findall(r"^1 cell is skipped: (.*)$", ended.err, re.MULTILINE)
    assert len(reasons) == 5
    assert sum("metric (rmsd) needs features <atom>.x" in reason for reason in reasons) == 4
    assert sum("sin_bins needs one feature, an angle in radians" in reason for reason in reasons) == 1


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["stride=1,7"], "kinetics.lag_time (200 reduced) must be a positive multiple of the frame time, 7 reduced"),
        (["stride=1", "recrossing=window_filter", "recrossing.window=20,60000"], "recrossing.window (60000) must"),
    ],
)
def test_a_lag_of_no_whole_number_of_tokens_and_a_window_wider_than_the_data_are_skipped(mdlm, tmp_path, words, reason):
    design = ["experiment=demo", "recrossing=keep", "model=markov", *words]
    ended = mdlm("train", "-m", *design, "hydra.launcher.action=plan", cwd=tmp_path)
    assert "2 cells: 1 new, 1 skipped" in ended.out
    assert f"1 cell is skipped: {reason}" in ended.err


@pytest.mark.slow
def test_a_small_demo_runs_and_runs_again_without_computing_anything(mdlm_process, tmp_path):
    first = mdlm_process("train", "-m", *TINY_DEMO, cwd=tmp_path)
    assert first.code == 0, first.err
    assert "demo: 6 done" in first.out
    cells = tmp_path / "outputs" / "study" / "demo" / "cells"
    written = {path: path.stat().st_mtime_ns for path in cells.rglob("*") if path.is_file() and path.name[0] != "."}
    assert sum(path.name == "metrics.json" for path in written) == 6
    again = mdlm_process("train", "-m", *TINY_DEMO, cwd=tmp_path)
    assert again.code == 0, again.err
    assert "demo: 6 done" in again.out
    assert {path: path.stat().st_mtime_ns for path in written} == written
