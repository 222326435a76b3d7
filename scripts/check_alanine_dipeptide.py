"""Simulate alanine dipeptide long enough to measure the timescales of phi and psi at 450 K, and compare.

Usage: ``python scripts/check_alanine_dipeptide.py [TOTAL_NS] [DIRECTORY]`` (50 ns: about ten minutes on two cores)

Two ways that share nothing but the angles: a Markov state model on bins of phi and psi at several lags, and the rate of
crossings between a core on either side of phi = 0. Errors are one standard error, by bootstrap over trajectories for
the former, of the number of crossings for the latter. It ends with exit code 1 where phi or psi is off by more than a
quarter; 50 ns know phi to a fifth only, so that happens by chance as well.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from mdlm.build import build
from mdlm.features.torsions import Torsions
from mdlm.kinetics.counts import count_matrix
from mdlm.kinetics.msm import reversible_transition_matrix
from mdlm.kinetics.timescales import implied_timescales
from mdlm.partition.periodic import Periodic
from mdlm.progress import bar
from mdlm.trajectory import Dtraj, FloatArray, IntArray, Trajectory

ROOT = Path(__file__).parent.parent
LENGTH_PS = 1000
LAGS_PS = (1, 2, 5, 10, 15, 20)
JUDGED_LAGS_PS = {"psi": 5, "phi": 15}
EXPECTED_PS = {"phi": (74.0, 74.0), "psi": (7.0, 10.0)}
EXPECTED_ERROR = 0.16  # of phi's, relative: one standard error of the run it was measured in
TOLERANCE = 0.25
N_BINS = 24
N_RESAMPLES = 40
CORES = ((-150.0, -40.0), (40.0, 75.0))  # degrees of phi, well inside each basin


def main(total_ns: float, directory: Path) -> int:
    """Simulate, print both estimates, and return the exit code."""
    angles = simulate(total_ns, directory)
    states = Periodic(n_bins=N_BINS).fit(angles).assign(angles)
    print(f"{angles.duration / 1000:g} ns, {states.n_states} of {N_BINS**2} cells visited")
    print("Markov state model (ps):")
    found: dict[str, tuple[float, float]] = {}
    for lag in LAGS_PS:
        times, errors = timescales(states, lag)
        print(f"  lag {lag:>2}: " + "  ".join(f"{t:6.2f} ± {e:.2f}" for t, e in zip(times, errors, strict=True)))
        for number, name in enumerate(("phi", "psi")):
            if JUDGED_LAGS_PS[name] == lag:
                found[name] = (times[number], errors[number])
    crossings(angles)
    wrong = 0
    for name, (low, high) in EXPECTED_PS.items():
        inside = low * (1 - TOLERANCE) <= found[name][0] <= high * (1 + TOLERANCE)
        wrong += not inside
        within = "within" if inside else "NOT within"
        print(f"{name}: {found[name][0]:.1f} ± {found[name][1]:.1f} ps, {within} 25 % of {low:g} to {high:g} ps")
    expected = EXPECTED_PS["phi"][0]
    apart = (found["phi"][0] - expected) / np.hypot(found["phi"][1], EXPECTED_ERROR * expected)
    print(f"phi is {apart:+.1f} standard errors of both measurements away: below 2 it may be chance, run longer")
    return int(wrong > 0)


def simulate(total_ns: float, directory: Path) -> Trajectory:
    """Phi and psi of every frame, radians."""
    import yaml

    node = yaml.safe_load((ROOT / "conf" / "system" / "alanine_dipeptide.yaml").read_text())
    del node["defaults"]
    n_trajectories = max(2, round(1000 * total_ns / LENGTH_PS))
    system = build(
        node | {"n_trajectories": n_trajectories, "trajectory_length_ps": LENGTH_PS, "directory": str(directory)}
    )
    with bar("simulating") as progress:
        trajectories = system.trajectories(progress).check()
    return Torsions(as_angles=True).fit(trajectories).transform(trajectories)


def timescales(states: Dtraj, lag: float) -> tuple[FloatArray, FloatArray]:
    """The three slowest implied timescales and their standard errors, ps."""
    counts = [count_matrix([piece], states.n_states, states.lag_frames(lag)) for piece in states.pieces]
    rng = np.random.default_rng(0)

    def estimate(weights: IntArray) -> FloatArray:
        counted = sum(weight * count for weight, count in zip(weights, counts, strict=True))
        return implied_timescales(reversible_transition_matrix(np.asarray(counted)).matrix, lag, 3)

    drawn = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=N_RESAMPLES)
    samples = np.array([estimate(weights) for weights in drawn])
    return estimate(np.ones(len(counts), dtype=np.int64)), samples.std(axis=0, ddof=1)


def crossings(angles: Trajectory) -> None:
    """Rates between the two cores of phi, and the relaxation time they make."""
    left, visits, time_in = 0, np.zeros(2), np.zeros(2)
    for piece in angles.pieces:
        phi = np.degrees(piece[:, 0])
        core = np.full(len(phi), -1)
        for number, (low, high) in enumerate(CORES):
            core[(phi > low) & (phi < high)] = number
        inside = np.flatnonzero(core >= 0)
        milestone = core[inside[np.maximum(np.searchsorted(inside, np.arange(len(core)), side="right") - 1, 0)]]
        time_in += np.bincount(milestone, minlength=2) * angles.frame_time
        hops = np.flatnonzero(np.diff(milestone))
        visits += np.bincount(milestone[hops], minlength=2)
        left += len(hops)
    rates = visits / time_in
    relaxation = 1 / rates.sum()
    error = relaxation**2 * np.sqrt((visits / time_in**2).sum())
    print(f"crossings of phi: {left}, {1000 * left / angles.duration:.2f} per ns; {relaxation:.1f} ± {error:.1f} ps")
    print(f"share of time beyond phi = 0: {time_in[1] / time_in.sum():.4f}")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if len(arguments) > 2:
        raise SystemExit(__doc__)
    total = float(arguments[0]) if arguments else 50.0
    raise SystemExit(main(total, Path(arguments[1]) if len(arguments) > 1 else Path("outputs/check/alanine_dipeptide")))
