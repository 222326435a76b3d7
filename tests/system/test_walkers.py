import subprocess
import sys

import numpy as np
import pytest

from mdlm.system import walkers
from mdlm.system.four_state import FourState
from mdlm.system.four_state_overdamped import FourStateOverdamped

COMMON = {
    "lag_time": 200.0,
    "friction": 1.0,
    "beta": 9.5,
    "wall": 1e-4,
    "width": 0.8,
    "time_step": 0.01,
    "save_every": 10,
    "n_walkers": 4,
    "n_steps": 40_000,
    "seed": 7,
}


def build(kind, **changes):
    fields = COMMON | ({"mass": 1.0} if kind is FourState else {}) | changes
    return kind(**fields)


both = pytest.mark.parametrize("kind", [FourState, FourStateOverdamped])


def same_bits(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one.pieces, other.pieces, strict=True))


@both
def test_the_number_of_threads_changes_no_bit(kind):
    one = build(kind, n_threads=1).trajectories()
    assert same_bits(one, build(kind, n_threads=2).trajectories())
    assert same_bits(one, build(kind, n_threads=None).trajectories())


@both
@pytest.mark.parametrize("chunk_steps", [1, 70, 9_999])
def test_the_size_of_a_chunk_changes_no_bit(kind, chunk_steps, monkeypatch):
    whole = build(kind).trajectories()
    monkeypatch.setattr(walkers, "CHUNK_STEPS", chunk_steps)
    assert same_bits(whole, build(kind).trajectories())


@both
def test_a_walker_does_not_depend_on_how_many_others_there_are(kind):
    few = build(kind, n_walkers=2, n_steps=20_000).trajectories()
    many = build(kind).trajectories()
    assert all(np.array_equal(a, b) for a, b in zip(few.pieces, many.pieces, strict=False))


@both
def test_a_longer_run_begins_as_the_shorter_one(kind):
    short, long = build(kind).trajectories(), build(kind, n_steps=80_000).trajectories()
    for piece, continued in zip(short.pieces, long.pieces, strict=True):
        assert np.array_equal(piece, continued[: len(piece)])


@both
def test_saving_less_often_saves_the_same_motion(kind):
    often, seldom = build(kind).trajectories(), build(kind, save_every=20).trajectories()
    for piece, thin in zip(often.pieces, seldom.pieces, strict=True):
        assert np.array_equal(piece[1::2], thin)


@both
def test_walkers_and_seeds_all_differ(kind):
    pieces = [*build(kind).trajectories().pieces, *build(kind, seed=8).trajectories().pieces]
    assert len({piece.tobytes() for piece in pieces}) == 8


@both
def test_the_header_tells_what_comes(kind):
    system = build(kind)
    trajectories = system.trajectories()
    assert trajectories.lengths == system.header.lengths == (1000,) * 4
    assert trajectories.columns == system.header.columns == ("x", "y")
    assert trajectories.frame_time == system.header.frame_time == pytest.approx(0.1)
    assert trajectories.time_unit == system.header.time_unit == "reduced"
    assert {(piece.dtype, piece.shape[1]) for piece in trajectories.pieces} == {(np.dtype(np.float32), 2)}


def test_identity_holds_what_decides_the_trajectories_and_not_the_threads():
    identity = build(FourState, n_threads=2).identity()
    assert identity == build(FourState, n_threads=1, lag_time=5.0).identity()
    assert identity.keys() == COMMON.keys() - {"lag_time"} | {"mass"}


@both
def test_progress_never_goes_back_and_ends_at_the_total(kind, monkeypatch):
    monkeypatch.setattr(walkers, "CHUNK_STEPS", 3_000)
    seen = []
    build(kind).trajectories(lambda done, total, note="": seen.append((done, total, note)))
    done = [entry[0] for entry in seen]
    assert done == sorted(done)
    assert len(done) == 4 * 4
    assert {entry[1] for entry in seen} == {40_000} == {done[-1]}
    assert all(entry[2].endswith(" M steps/s") for entry in seen)


def test_an_interrupt_stops_the_walkers_at_their_next_chunk(monkeypatch):
    monkeypatch.setattr(walkers, "CHUNK_STEPS", 10)
    chunks = []

    def interrupt(done, total, note=""):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        walkers.run_walkers(
            lambda rng: np.zeros(1),
            lambda rng, state, block: chunks.append(len(block)),
            n_walkers=3,
            n_frames=100_000,
            n_columns=1,
            save_every=1,
            seed=0,
            n_threads=2,
            progress=interrupt,
        )
    assert len(chunks) <= 3, "at most what was already handed to the pool"


@both
@pytest.mark.parametrize("seed", range(5))
def test_a_time_step_that_diverges_is_reported_and_gives_no_trajectory(kind, seed):
    """Whichever way a walker leaves: by an overflow, or by an exponential that vanishes and divides."""
    with pytest.raises(ValueError, match=r"^time_step \(5\) gives non-finite values; take a smaller one$"):
        build(kind, time_step=5.0, seed=seed).trajectories()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"time_step": 0.0}, r"^time_step \(0\.0\) must be positive and finite$"),
        ({"time_step": float("nan")}, r"^time_step \(nan\) must be positive and finite$"),
        ({"save_every": 0}, r"^save_every \(0\) must be positive and finite$"),
        ({"n_walkers": -1}, r"^n_walkers \(-1\) must be positive and finite$"),
        ({"n_steps": 0}, r"^n_steps \(0\) must be positive and finite$"),
        (
            {"n_steps": 41},
            r"^n_steps \(41\) must be a multiple of n_walkers x save_every \(40\), so that .*$",
        ),
        ({"seed": -3}, r"^seed \(-3\) must not be negative$"),
        ({"n_threads": 0}, r"^n_threads \(0\) must be at least 1, or null for every core$"),
        ({"friction": -1.0}, r"^friction \(-1\.0\) must be positive and finite$"),
        ({"beta": 0.0}, r"^beta \(0\.0\) must be positive and finite$"),
        ({"width": 0.0}, r"^width \(0\.0\) must be at least 0\.2$"),
        ({"wall": -1e-4}, r"^wall \(-0\.0001\) must be positive and finite$"),
    ],
)
@both
def test_every_bad_field_is_named_in_one_line(kind, changes, message):
    with pytest.raises(ValueError, match=message):
        build(kind, **changes)


def test_describing_a_run_needs_no_compiler():
    """A command line that only checks a configuration must not wait for numba, scipy or deeptime."""
    script = (
        "import sys\n"
        "import mdlm.system.chain, mdlm.system.four_state_overdamped\n"
        "import mdlm.partition.wells, mdlm.partition.grid, mdlm.partition.labels\n"
        "import mdlm.features.columns, mdlm.recrossing.keep\n"
        "from mdlm.system.four_state import FourState\n"
        f"FourState(mass=1.0, **{COMMON}).header\n"
        "assert not {'numba', 'scipy', 'deeptime'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
