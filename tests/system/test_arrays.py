import numpy as np
import pytest

from mdlm.system import arrays, paths
from mdlm.system.arrays import Arrays


def system(path, **changes):
    given = tuple(map(str, path)) if isinstance(path, list) else str(path)
    return Arrays(**{"lag_time": 10.0, "path": given, "frame_time": 0.5, "time_unit": "ns"} | changes)


@pytest.fixture
def numbers():
    """Features of shape (n_frames, n_features), different for each seed."""
    return lambda n_frames, n_features=2, seed=0: np.random.default_rng(seed).normal(size=(n_frames, n_features))


def same(trajectory, expected):
    for piece, numbers in zip(trajectory.pieces, expected, strict=True):
        assert piece.dtype == np.float32
        np.testing.assert_array_equal(piece, np.asarray(numbers, np.float32))


def test_a_file_of_two_dimensions_is_one_trajectory(tmp_path, numbers):
    np.save(tmp_path / "a.npy", numbers(30))
    made = system(tmp_path / "a.npy")
    header = made.header
    assert (header.columns, header.lengths, header.frame_time, header.time_unit) == (("f1", "f2"), (30,), 0.5, "ns")
    trajectory = made.trajectories()
    assert trajectory.header == header
    same(trajectory, [numbers(30)])


def test_a_file_of_one_dimension_is_one_feature(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(5))
    made = system(tmp_path / "a.npy", columns=("distance",))
    assert made.header.columns == ("distance",)
    same(made.trajectories(), [[[0], [1], [2], [3], [4]]])


def test_a_file_of_three_dimensions_is_several_trajectories(tmp_path, numbers):
    several = np.stack([numbers(7, 3, seed) for seed in range(4)])
    np.save(tmp_path / "a.npy", several)
    assert system(tmp_path / "a.npy").header.lengths == (7,) * 4
    same(system(tmp_path / "a.npy").trajectories(), several)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_npz_file_holds_one_trajectory_per_array_in_its_own_order(tmp_path, numbers, save):
    pieces = [numbers(5 + seed, 2, seed) for seed in range(12)]  # arr_10 comes after arr_9
    save(tmp_path / "a.npz", *pieces)
    assert system(tmp_path / "a.npz").header.lengths == tuple(range(5, 17))
    same(system(tmp_path / "a.npz").trajectories(), pieces)


def test_files_are_joined_but_trajectories_are_not(tmp_path, numbers):
    np.save(tmp_path / "run2.npy", numbers(4, seed=2))
    np.save(tmp_path / "run10.npy", numbers(5, seed=10))
    np.savez(tmp_path / "more.npz", numbers(6, seed=11))
    same(system(tmp_path / "run*.npy").trajectories(), [numbers(4, seed=2), numbers(5, seed=10)])
    both = [tmp_path / "more.npz", tmp_path / "run2.npy"]
    same(system(both).trajectories(), [numbers(6, seed=11), numbers(4, seed=2)])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8, np.uint64, ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_kind_of_real_number_is_read(tmp_path, dtype, order):
    values = np.array([[1, 2], [3, 4], [5, 6]], dtype=dtype, order=order)
    np.save(tmp_path / "a.npy", values)
    same(system(tmp_path / "a.npy").trajectories(), [[[1, 2], [3, 4], [5, 6]]])


def test_chunks_and_large_sets_give_the_same_numbers(tmp_path, numbers, monkeypatch):
    np.savez(tmp_path / "a.npz", numbers(25), numbers(10, seed=1))
    monkeypatch.setattr(arrays, "CHUNK_FRAMES", 10)
    monkeypatch.setattr(paths, "IN_MEMORY", 0)
    seen = []
    same(
        system(tmp_path / "a.npz").trajectories(lambda done, total, note="": seen.append((done, total))),
        [numbers(25), numbers(10, seed=1)],
    )
    assert seen == [(10, 35), (20, 35), (25, 35), (35, 35)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": None}, r"path is missing: give path=FILE \(or a pattern, or a list\)$"),
        ({"frame_time": None}, "frame_time is missing: give frame_time=TIME between frames$"),
        ({"time_unit": None}, "time_unit is missing: give time_unit=UNIT of every time, such as ps$"),
        ({"time_unit": ""}, "time_unit is missing: give time_unit=UNIT of every time, such as ps$"),
        ({"path": None, "frame_time": None, "time_unit": None}, "path, frame_time, time_unit are missing: give path="),
        ({"path": "nope*.npy"}, r"path \(nope\*.npy\) matches no file"),
        ({"columns": ("phi",)}, r"columns \(phi\) must be 2 names: .*a.npy has so many$"),
    ],
)
def test_wrong_fields_are_named(tmp_path, numbers, changes, message):
    np.save(tmp_path / "a.npy", numbers(5))
    fields = {"lag_time": 1.0, "path": str(tmp_path / "a.npy"), "frame_time": 1.0, "time_unit": "ps"}
    with pytest.raises(ValueError, match=f"^{message}"):
        Arrays(**fields | changes).header  # noqa: B018


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frame_time": 0.0}, r"frame_time \(0.0\) must be positive and finite"),
        ({"columns": ("phi", "phi")}, r"columns \(phi, phi\) must name each feature once"),
    ],
)
def test_fields_check_themselves(changes, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        system("a.npy", **changes)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.float64(3), r"path: .*a.npy has shape \(\); a trajectory is \(n_frames, n_features\)"),
        (np.zeros((2, 2, 2, 2)), r"path: .*a.npy has shape \(2, 2, 2, 2\); a trajectory is"),
        (np.zeros((0, 2)), r"path: .*a.npy has shape \(0, 2\); a trajectory is"),
        (np.array(["a", "b"]), "path: .*a.npy must hold real numbers"),
        (np.zeros(3, complex), "path: .*a.npy must hold real numbers"),
        (np.array([None, 1]), "path: .*a.npy cannot be read: "),
    ],
)
def test_what_is_no_trajectory_is_refused(tmp_path, values, message):
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(ValueError, match=f"^{message}") as raised:
        system(tmp_path / "a.npy").header  # noqa: B018
    assert "\n" not in str(raised.value)


def test_all_trajectories_have_the_same_features(tmp_path, numbers):
    np.savez(tmp_path / "a.npz", first=numbers(5), second=numbers(5, 3))
    with pytest.raises(ValueError, match=r"^path: .*a.npz\[second\] has 3 features and .*a.npz\[first\] has 2; all"):
        system(tmp_path / "a.npz").header  # noqa: B018


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused(tmp_path, numbers, monkeypatch, wrong):
    monkeypatch.setattr(arrays, "CHUNK_FRAMES", 4)
    values = numbers(20)
    values[13, 1] = wrong
    np.savez(tmp_path / "a.npz", numbers(5), values)
    with pytest.raises(
        ValueError, match=rf"^path: .*a.npz\[arr_1\] holds {wrong} at frame 13, column psi; every value"
    ):
        system(tmp_path / "a.npz", columns=("phi", "psi")).trajectories()


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.99])
def test_a_file_that_was_cut_off_is_refused_before_anything_is_read(tmp_path, numbers, name, kept):
    path = tmp_path / name
    (np.save if name == "a.npy" else np.savez)(path, numbers(500))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ValueError, match=rf"^path: .*{name} cannot be read: "):
        system(path).header  # noqa: B018


def test_a_damaged_array_is_refused(tmp_path, numbers):
    path = tmp_path / "a.npz"
    np.savez(path, numbers(500))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^path: .*a.npz\[arr_0\] cannot be read: "):
        system(path).trajectories()


def test_another_kind_of_file_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("1, 2\n")
    with pytest.raises(ValueError, match=r"^path: .*a.csv cannot be read: its name must end in .npy or .npz$"):
        system(tmp_path / "a.csv").header  # noqa: B018


def test_an_empty_archive_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz")
    with pytest.raises(ValueError, match=r"^path \(.*a.npz\) holds no array"):
        system(tmp_path / "a.npz").header  # noqa: B018


def test_the_contents_and_not_the_names_are_the_identity(tmp_path, numbers):
    np.save(tmp_path / "a.npy", numbers(5))
    np.save(tmp_path / "b.npy", numbers(5))
    identity = system(tmp_path / "a.npy").identity()
    assert system(tmp_path / "b.npy").identity() == identity
    assert system(tmp_path / "b.npy", frame_time=1.0).identity() != identity
    assert system(tmp_path / "b.npy", columns=("x", "y")).identity() != identity
    np.save(tmp_path / "b.npy", numbers(5, seed=1))
    assert system(tmp_path / "b.npy").identity() != identity


def test_the_alanine_set_is_read_as_it_is(shared_data):
    path = shared_data / "alanine_dipeptide" / "alanine-dipeptide-3x250ns-backbone-dihedrals.npz"
    made = system(path, columns=("phi", "psi"), frame_time=1.0, time_unit="ps")
    assert made.header.lengths == (250_000,) * 3
    with np.load(path) as file:
        same(made.trajectories(), [file[f"arr_{number}"] for number in range(3)])
