import logging
import multiprocessing
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from mdlm import store as module
from mdlm.store import Store
from mdlm.trajectory import Trajectory

IDENTITY = {"system": "chain", "fields": {"seed": 0, "wells": {"x": (1.0, 2.0)}}, "code": "abc"}


def made(seed=0):
    rng = np.random.default_rng(seed)
    pieces = (rng.normal(size=(7, 2)), np.array([[np.pi, -0.0]]), rng.normal(size=(20, 2))[::2])
    return Trajectory(pieces, 0.1 + 0.2, "ps", columns=("x", "y"))


class Compute:
    """Counts its calls."""

    def __init__(self, seed=0):
        self.calls, self.seed = 0, seed

    def __call__(self):
        self.calls += 1
        return made(self.seed)


def assert_same(found, expected):
    assert (found.frame_time, found.time_unit, found.columns) == (
        expected.frame_time,
        expected.time_unit,
        expected.columns,
    )
    assert len(found.pieces) == len(expected.pieces)
    for piece, other in zip(found.pieces, expected.pieces, strict=True):
        assert piece.dtype == other.dtype
        assert piece.shape == other.shape
        assert piece.tobytes() == other.tobytes()


def test_a_trajectory_is_computed_once_and_comes_back_bit_for_bit(tmp_path):
    compute, store = Compute(), Store(tmp_path / "new" / "cache")
    for _ in range(3):
        assert_same(store.trajectory("chain", IDENTITY, compute), made())
    assert compute.calls == 1


def test_pieces_keep_their_type_and_order(tmp_path):
    pieces = tuple(np.full((1, 1), number, dtype=np.float32) for number in range(1200))
    store = Store(tmp_path)
    for _ in range(2):
        found = store.trajectory("many", {}, lambda: Trajectory(pieces, 1.0, "reduced", ("x",)))
        assert [piece.item() for piece in found.pieces] == list(range(1200))
        assert {piece.dtype for piece in found.pieces} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    "change", [{"code": "abd"}, {"fields": {"seed": 1, "wells": {"x": (1.0, 2.0)}}}, {"system": "ring"}, {"more": None}]
)
def test_another_identity_is_another_file(tmp_path, change):
    store = Store(tmp_path)
    assert_same(store.trajectory("chain", IDENTITY, Compute(0)), made(0))
    assert_same(store.trajectory("chain", IDENTITY | change, Compute(1)), made(1))
    assert len(list(tmp_path.glob("*.safetensors"))) == 2


def test_the_order_of_an_identity_does_not_matter(tmp_path):
    compute, store = Compute(), Store(tmp_path)
    store.trajectory("chain", IDENTITY, compute)
    store.trajectory("chain", dict(reversed(IDENTITY.items())), compute)
    assert compute.calls == 1


def damage(path, how):
    content = path.read_bytes()
    if how == "empty":
        path.write_bytes(b"")
    elif how == "truncated":
        path.write_bytes(content[:-8])
    elif how == "one bit":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif how == "text":
        path.write_text("state 0\nstate 1\n")
    elif how == "another program's":
        save_file({"weights": np.zeros(3)}, path)
    elif how == "another description":
        save_file({"weights": np.zeros(3)}, path, metadata={"description": '{"epoch": 3}'})
    elif how == "another identity's":
        other = Store(path.parent / "other")
        other.trajectory("chain", {"seed": 9}, Compute(9))
        shutil.copy(other.path("chain", {"seed": 9}), path)


@pytest.mark.parametrize(
    "how",
    ["empty", "truncated", "one bit", "text", "another program's", "another description", "another identity's"],
)
def test_a_damaged_or_foreign_file_is_computed_again_with_a_warning(tmp_path, caplog, how):
    compute, store = Compute(), Store(tmp_path)
    store.trajectory("chain", IDENTITY, compute)
    damage(store.path("chain", IDENTITY), how)
    with caplog.at_level(logging.WARNING):
        assert_same(store.trajectory("chain", IDENTITY, compute), made())
    assert compute.calls == 2
    assert f"cache file {store.path('chain', IDENTITY)} is damaged (" in caplog.text
    caplog.clear()
    assert_same(store.trajectory("chain", IDENTITY, compute), made())
    assert compute.calls == 2
    assert not caplog.text


def left(directory):
    """All but the lock, which is no result."""
    return sorted(path.name for path in directory.iterdir() if path.suffix != ".lock")


def test_a_failed_computation_leaves_nothing(tmp_path):
    def fails():
        raise RuntimeError("blew up")

    store = Store(tmp_path)
    with pytest.raises(RuntimeError, match="blew up"):
        store.trajectory("chain", IDENTITY, fails)
    assert left(tmp_path) == []
    assert_same(store.trajectory("chain", IDENTITY, Compute()), made())


def test_dying_while_writing_leaves_nothing(tmp_path, monkeypatch):
    def half(arrays, file, metadata):
        Path(file).write_bytes(b"half of it")
        raise OSError("no space left")

    store = Store(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("safetensors.numpy.save_file", half)
        with pytest.raises(OSError, match="no space left"):
            store.trajectory("chain", IDENTITY, Compute())
    assert left(tmp_path) == []
    assert_same(store.trajectory("chain", IDENTITY, Compute()), made())


def test_what_a_killed_writer_left_is_cleared_away(tmp_path):
    store = Store(tmp_path)
    path = store.path("chain", IDENTITY)
    (tmp_path / f".{path.name}.12345.tmp").write_bytes(b"half of it")
    (tmp_path / ".of-another.safetensors.12345.tmp").write_bytes(b"being written")
    store.trajectory("chain", IDENTITY, Compute())
    assert left(tmp_path) == [".of-another.safetensors.12345.tmp", path.name]


def ask(directory, barrier, answers):
    """In a process of its own: note the call, take some time."""

    def compute():
        with (directory / "calls").open("a") as file:
            file.write("x")
        time.sleep(0.5)
        return made()

    barrier.wait()
    answers.put(Store(directory).trajectory("chain", IDENTITY, compute).pieces[0].tobytes())


def test_two_processes_that_ask_at_once_compute_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(2), context.Queue()
    processes = [context.Process(target=ask, args=(tmp_path, barrier, answers)) for _ in range(2)]
    for process in processes:
        process.start()
    found = {answers.get(timeout=60) for _ in processes}
    for process in processes:
        process.join()
    assert found == {made().pieces[0].tobytes()}
    assert (tmp_path / "calls").read_text() == "x"


def test_a_file_appears_under_its_name_only_when_it_is_whole(tmp_path, monkeypatch):
    store, names = Store(tmp_path), []
    original = module.os.replace

    def spy(source, target):
        names.append((Path(source).name, Path(target).exists()))
        original(source, target)

    monkeypatch.setattr(module.os, "replace", spy)
    store.trajectory("chain", IDENTITY, Compute())
    ((name, there),) = names
    assert name.endswith(".tmp")
    assert not there
