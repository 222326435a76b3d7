import io
import math

import numpy as np
import pytest

from mdlm import data
from mdlm.features.torsions import Torsions
from mdlm.kinetics.estimate import markov_state_model, model_timescales
from mdlm.kinetics.events import slow_sides
from mdlm.macrostates.own import Own
from mdlm.partition.periodic import Periodic
from mdlm.recrossing.keep import Keep
from mdlm.stages import Stages
from mdlm.store import Store
from mdlm.system.alanine_dipeptide_mdshare import AlanineDipeptideMdshare

SYSTEM = AlanineDipeptideMdshare(lag_time=10.0)
FILE = data.ALANINE_DIPEPTIDE.file_name


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    """An empty data directory, and no network."""
    monkeypatch.setenv("MDLM_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("pooch.retrieve", _nobody_answers)
    return tmp_path


def _nobody_answers(*arguments, **options):
    raise OSError("no network")


def angles(*lengths, scale=1.0):
    rng = np.random.default_rng(0)
    return [(scale * rng.uniform(-math.pi, math.pi, (length, 2))).astype(np.float32) for length in lengths]


def test_the_published_file_is_read_from_the_data_directory(directory):
    pieces = angles(50, 40, 30)
    np.savez(directory / FILE, *pieces)
    assert SYSTEM.header.lengths == (50, 40, 30)
    trajectory = SYSTEM.trajectories()
    assert trajectory.header == SYSTEM.header
    assert (trajectory.frame_time, trajectory.time_unit, trajectory.columns) == (1.0, "ps", ("phi", "psi"))
    for piece, expected in zip(trajectory.pieces, pieces, strict=True):
        np.testing.assert_array_equal(piece, expected)
        assert piece.dtype == np.float32
    assert SYSTEM.truth() is None


def test_a_file_of_ones_own_goes_before_the_published_one(directory):
    np.savez(directory / FILE, *angles(50))
    np.savez_compressed(directory / "own.npz", *angles(20, 20))
    own = AlanineDipeptideMdshare(lag_time=10.0, path=directory / "own.npz")
    assert own.header.lengths == (20, 20)
    assert own.trajectories().lengths == (20, 20)


def test_the_order_of_trajectories_is_that_of_the_file(directory):
    pieces = angles(*range(10, 22))
    np.savez(directory / FILE, *pieces)
    assert SYSTEM.header.lengths == tuple(range(10, 22))
    assert SYSTEM.trajectories().lengths == tuple(range(10, 22))


def test_the_content_of_the_file_and_not_its_place_names_a_cached_result(directory):
    np.savez(directory / FILE, *angles(20))
    np.savez(directory / "own.npz", *angles(20))
    own = AlanineDipeptideMdshare(lag_time=5.0, path=directory / "own.npz")
    assert own.identity() == SYSTEM.identity()
    np.savez(directory / "own.npz", *angles(21))
    assert own.identity() != SYSTEM.identity()


def test_the_header_reads_no_array(directory):
    """Another byte far into the array: reading it would show that its checksum is wrong."""
    np.savez(directory / FILE, *angles(20_000))
    content = bytearray((directory / FILE).read_bytes())
    content[100_000] ^= 1
    (directory / FILE).write_bytes(content)
    assert SYSTEM.header.lengths == (20_000,)
    with pytest.raises(ValueError, match=r"^path \(.*\) cannot be read: Bad CRC-32"):
        SYSTEM.trajectories()


def npz(*arrays):
    buffer = io.BytesIO()
    np.savez(buffer, *arrays)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>not found</html>", "must be an npz file of phi and psi: File is not a zip file"),
        (npz(np.zeros((5, 2), np.float32))[:100], "must be an npz file of phi and psi: File is not a zip file"),
        (npz(np.zeros((5, 3), np.float32)), "must be an npz file of phi and psi: arr_0.npy is float32 of shape (5, 3)"),
        (npz(np.zeros(5, np.float32)), "must be an npz file of phi and psi: arr_0.npy is float32 of shape (5,)"),
        (npz(np.zeros((5, 2), int)), "must be an npz file of phi and psi: arr_0.npy is int64 of shape (5, 2)"),
        (npz(), "holds no trajectory"),
    ],
)
def test_a_file_of_something_else_is_refused_before_anything_is_read(content, message, directory):
    (directory / FILE).write_bytes(content)
    with pytest.raises(ValueError, match=r"^path \(.*\) ") as raised:
        _ = SYSTEM.header
    assert str(raised.value).startswith(f"path ({directory / FILE}) {message}")
    assert "\n" not in str(raised.value)


def test_degrees_are_refused(directory):
    np.savez(directory / FILE, *angles(20), *angles(20, scale=180 / math.pi))
    with pytest.raises(ValueError, match=r"^path \(.*\): trajectory 1 holds 1\d\d(\.\d+)?; angles lie in \[-pi, pi\]$"):
        SYSTEM.trajectories()


def test_an_angle_that_is_none_is_refused(directory):
    (piece,) = angles(20)
    piece[3, 1] = np.nan
    np.savez(directory / FILE, piece)
    with pytest.raises(ValueError, match=r"^trajectory 0 holds nan at frame 3, column psi"):
        SYSTEM.trajectories()


def test_a_path_that_leads_nowhere_is_refused(directory):
    with pytest.raises(ValueError, match=r"^path \(.*none.npz\) must be an existing file, or null for the published"):
        _ = AlanineDipeptideMdshare(lag_time=10.0, path=directory / "none.npz").header


def test_without_a_network_a_run_ends_in_one_line_before_it_begins(mdlm, directory):
    ended = mdlm("train", "system=alanine_dipeptide_mdshare", "hydra.run.dir=run", cwd=directory)
    assert ended.code == 1
    assert ended.error.startswith(f"{FILE} is not in {directory} and cannot be fetched (no network); get it from https")
    assert not list(directory.rglob("checkpoint"))


def test_the_community_set_has_its_known_timescales_on_a_grid(shared_data, tmp_path):
    """1438, 67 and 36 ps: 36 x 36 bins of phi and psi, lag 10 ps."""
    system = AlanineDipeptideMdshare(lag_time=10.0, path=shared_data / "alanine_dipeptide" / FILE)
    assert system.header.lengths == (250_000,) * 3
    features = Torsions(angles=("phi", "psi"), as_angles=True)
    stages = Stages(system, features, Periodic(n_bins=36), Keep(), Own(), 0.1, 0.1, Store(tmp_path / "cache"))
    model = markov_state_model(stages.reference, 10.0)
    times = model_timescales(model, 10.0, 3, slow_sides(model))
    np.testing.assert_allclose(times, [1438, 67, 36], rtol=0.05)
