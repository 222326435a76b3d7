import json
import logging
import multiprocessing
import os
import re
import shutil
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from mdlm import __version__
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
        assert_same(store.result("trajectories", "chain", IDENTITY, compute), made())
    assert compute.calls == 1


def test_pieces_keep_their_type_and_order(tmp_path):
    pieces = tuple(np.full((1, 1), number, dtype=np.float32) for number in range(1200))
    store = Store(tmp_path)
    for _ in range(2):
        found = store.result("trajectories", "many", {}, lambda: Trajectory(pieces, 1.0, "reduced", ("x",)))
        assert [piece.item() for piece in found.pieces] == list(range(1200))
        assert {piece.dtype for piece in found.pieces} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    "change", [{"code": "abd"}, {"fields": {"seed": 1, "wells": {"x": (1.0, 2.0)}}}, {"system": "ring"}, {"more": None}]
)
def test_another_identity_is_another_file(tmp_path, change):
    store = Store(tmp_path)
    assert_same(store.result("trajectories", "chain", IDENTITY, Compute(0)), made(0))
    assert_same(store.result("trajectories", "chain", IDENTITY | change, Compute(1)), made(1))
    assert len(list(tmp_path.glob("*.safetensors"))) == 2


def test_the_order_of_an_identity_does_not_matter(tmp_path):
    compute, store = Compute(), Store(tmp_path)
    store.result("trajectories", "chain", IDENTITY, compute)
    store.result("trajectories", "chain", dict(reversed(IDENTITY.items())), compute)
    assert compute.calls == 1


def test_the_same_identity_in_another_stage_is_another_file(tmp_path):
    store = Store(tmp_path)
    assert store.result("features", "chain", {}, lambda: "described") == "described"
    assert store.result("partition", "chain", {}, lambda: "states") == "states"
    assert store.result("features", "chain", {}, lambda: "never computed") == "described"


def test_a_file_is_called_by_stage_part_and_digest_and_says_what_made_it(tmp_path):
    store = Store(tmp_path)
    store.result("partition", "kmeans", IDENTITY, lambda: (1, 2))
    (file,) = tmp_path.glob("*.safetensors")
    assert re.fullmatch(r"partition-kmeans-[0-9a-f]{20}\.safetensors", file.name)
    with safe_open(file, framework="np") as opened:
        record = json.loads(opened.metadata()["mdlm"])
    assert (record["stage"], record["part"], record["version"]) == ("partition", "kmeans", __version__)
    assert record["identity"] == json.loads(json.dumps(IDENTITY))
    age = datetime.now(UTC) - datetime.fromisoformat(record["created"])
    assert timedelta(0) <= age < timedelta(minutes=1)
    assert file.stat().st_mode & 0o777 == file.with_suffix(".lock").stat().st_mode & 0o777


def test_a_hit_is_a_use(tmp_path):
    store = Store(tmp_path)
    path = store.path("trajectories", "chain", IDENTITY)
    store.result("trajectories", "chain", IDENTITY, Compute())
    os.utime(path, (0, 0))
    store.result("trajectories", "chain", IDENTITY, Compute())
    assert time.time() - path.stat().st_mtime < 60


def test_what_is_not_worth_a_file_gets_none(tmp_path):
    store, compute = Store(tmp_path), Compute()
    for _ in range(2):
        store.result("features", "x", {}, compute, is_kept=lambda result: result.n_frames > 10**6)
    assert compute.calls == 2
    assert left(tmp_path) == []


@dataclass(frozen=True)
class Mine:
    """Of a user's own module."""

    values: tuple[float, ...]


@dataclass(frozen=True)
class Recomputing:
    """Cannot be built from its own fields."""

    value: int

    def __post_init__(self):
        object.__setattr__(self, "value", self.value + 1)
        if self.value > 1:
            raise ZeroDivisionError("a user's class may raise anything")


def test_a_users_own_class_is_read_where_its_module_is_trusted(tmp_path):
    store = Store(tmp_path, trusted=frozenset({__name__}))
    for value in (1.0, 2.0):
        assert store.result("partition", "mine", {}, lambda value=value: Mine((value,))) == Mine((1.0,))


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (Mine((1.0,)), "is neither of mdlm nor of a part's own module"),
        (Recomputing(0), "a user's class may raise anything"),
        ({"a": {1, 2}}, "a set cannot be stored"),
    ],
)
def test_what_cannot_be_stored_is_returned_all_the_same_with_a_warning(tmp_path, caplog, result, reason):
    trusted = frozenset() if isinstance(result, Mine) else frozenset({__name__})
    assert Store(tmp_path, trusted).result("partition", "mine", {}, lambda: result) is result
    assert "partition of mine is not cached: " in caplog.text
    assert reason in caplog.text
    assert left(tmp_path) == []


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
        save_file({"weights": np.zeros(3)}, path, metadata={"mdlm": '{"epoch": 3}'})
    elif how in ("other values", "other names", "another class"):
        with safe_open(path, framework="np") as file:
            arrays = {name: file.get_tensor(name) for name in sorted(file.keys())}
            record = file.metadata()["mdlm"]
        if how == "other values":
            arrays = {name: array + 1 for name, array in arrays.items()}
        elif how == "other names":
            arrays = dict(zip(arrays, reversed(arrays.values()), strict=True))
        else:
            record = record.replace("mdlm.trajectory:Trajectory", "mdlm.trajectory:Clocked")
        save_file(arrays, path, metadata={"mdlm": record})
    elif how == "another identity's":
        other = Store(path.parent / "other")
        other.result("trajectories", "chain", {"seed": 9}, Compute(9))
        shutil.copy(other.path("trajectories", "chain", {"seed": 9}), path)


@pytest.mark.parametrize(
    "how",
    [
        *("empty", "truncated", "one bit", "text", "another program's", "another description"),
        *("other values", "other names", "another class", "another identity's"),
    ],
)
def test_a_damaged_or_foreign_file_is_computed_again_with_a_warning(tmp_path, caplog, how):
    compute, store = Compute(), Store(tmp_path)
    store.result("trajectories", "chain", IDENTITY, compute)
    damage(store.path("trajectories", "chain", IDENTITY), how)
    with caplog.at_level(logging.WARNING):
        assert_same(store.result("trajectories", "chain", IDENTITY, compute), made())
    assert compute.calls == 2
    assert caplog.text.count(f"cache file {store.path('trajectories', 'chain', IDENTITY)} is damaged (") == 1
    caplog.clear()
    assert_same(store.result("trajectories", "chain", IDENTITY, compute), made())
    assert compute.calls == 2
    assert not caplog.text


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whichever_bit_flips_the_result_is_right(data):
    with tempfile.TemporaryDirectory() as directory:
        store = Store(Path(directory))
        store.result("trajectories", "chain", IDENTITY, Compute())
        path = store.path("trajectories", "chain", IDENTITY)
        content = bytearray(path.read_bytes())
        bit = data.draw(st.integers(0, 8 * len(content) - 1))
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        assert_same(store.result("trajectories", "chain", IDENTITY, Compute()), made())


def left(directory):
    """All but the lock, which is no result."""
    return sorted(path.name for path in directory.iterdir() if path.suffix != ".lock")


def test_a_failed_computation_leaves_nothing(tmp_path):
    def fails():
        raise RuntimeError("blew up")

    store = Store(tmp_path)
    with pytest.raises(RuntimeError, match="blew up"):
        store.result("trajectories", "chain", IDENTITY, fails)
    assert left(tmp_path) == []
    assert_same(store.result("trajectories", "chain", IDENTITY, Compute()), made())


def test_dying_while_writing_leaves_nothing(tmp_path, monkeypatch):
    def half(arrays, file, metadata):
        Path(file).write_bytes(b"half of it")
        raise SafetensorError("no space left")

    store = Store(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("safetensors.numpy.save_file", half)
        with pytest.raises(OSError, match=r"no space left.*trajectories-chain-"):
            store.result("trajectories", "chain", IDENTITY, Compute())
    assert left(tmp_path) == []
    assert_same(store.result("trajectories", "chain", IDENTITY, Compute()), made())


def test_what_a_killed_writer_left_is_cleared_away(tmp_path):
    store = Store(tmp_path)
    path = store.path("trajectories", "chain", IDENTITY)
    (tmp_path / f".{path.name}.12345.tmp").write_bytes(b"half of it")
    (tmp_path / ".of-another.safetensors.12345.tmp").write_bytes(b"being written")
    store.result("trajectories", "chain", IDENTITY, Compute())
    assert left(tmp_path) == [".of-another.safetensors.12345.tmp", path.name]


def ask(directory, barrier, answers):
    """In a process of its own: note the call, take some time."""

    def compute():
        with (directory / "calls").open("a") as file:
            file.write("x")
        time.sleep(0.5)
        return made()

    barrier.wait()
    answers.put(Store(directory).result("trajectories", "chain", IDENTITY, compute).pieces[0].tobytes())


def test_eight_processes_that_ask_at_once_compute_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(8), context.Queue()
    processes = [context.Process(target=ask, args=(tmp_path, barrier, answers)) for _ in range(8)]
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
    store.result("trajectories", "chain", IDENTITY, Compute())
    ((name, there),) = names
    assert name.endswith(".tmp")
    assert not there
