"""`mdlm cache`: what it lists, and what it deletes."""

import os
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock, Timeout
from safetensors.numpy import save_file

from mdlm.cache import entries, prune
from mdlm.store import Store

LOADED = "import sys; from mdlm.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
DAY = 86400


@pytest.fixture
def filled(tmp_path):
    """A folder whose cache holds four results, last used 0, 10, 20 and 40 days ago."""
    store = Store(tmp_path / "outputs" / "cache")
    results = [("trajectories", "chain", 40), ("features", "tica", 20), ("partition", "kmeans", 10)]
    for stage, part, age in [*results, ("partition", "grid", 0)]:
        store.result(stage, part, {"age": age}, lambda: np.zeros(1000))
        used = time.time() - age * DAY
        os.utime(store.path(stage, part, {"age": age}), (used, used))
    for lock in store.directory.glob("*.lock"):
        lock.unlink()
    return tmp_path


def cache(folder):
    return folder / "outputs" / "cache"


def left(folder):
    """Stage and part of each result that is there."""
    return {"-".join(file.name.split("-")[:2]) for file in cache(folder).glob("*.safetensors")}


ALL = {"trajectories-chain", "features-tica", "partition-kmeans", "partition-grid"}


@pytest.mark.parametrize("words", [[], ["list"], ["--directory", "outputs/cache"]])
def test_the_table_shows_each_result_in_the_order_of_the_stages(words, mdlm, filled):
    ended = mdlm("cache", *words, cwd=filled)
    assert (ended.code, ended.err) == (0, "")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in ended.out.splitlines() if "│" in line]
    shown = [f"{row[0]}-{row[1]}" for row in rows]
    assert shown == ["trajectories-chain", "features-tica", "partition-grid", "partition-kmeans"]
    for row in rows:
        (file,) = cache(filled).glob(f"{row[0]}-{row[1]}-{row[4]}.safetensors")
        status = file.stat()
        assert row[2] == f"{status.st_size / 1000:.3g} kB"
        assert row[3] == time.strftime("%Y-%m-%d %H:%M", time.localtime(status.st_mtime))
    total = sum(file.stat().st_size for file in cache(filled).iterdir())
    assert ended.out.splitlines()[-1] == f"4 results, {total / 1000:.3g} kB, in outputs/cache"


def test_an_empty_cache_is_no_error(mdlm, tmp_path):
    for words in ([], ["list"]):
        assert mdlm("cache", *words, cwd=tmp_path).out == "outputs/cache holds nothing yet; `mdlm train` fills it\n"
    ended = mdlm("cache", "prune", "--all", cwd=tmp_path)
    assert (ended.code, ended.out) == (0, "deleted 0 results, 0 B, in outputs/cache\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], ALL),
        (["--older-than", "30d"], ALL - {"trajectories-chain"}),
        (["--older-than", "2w"], ALL - {"trajectories-chain", "features-tica"}),
        (["--older-than", "100h"], {"partition-grid"}),
        (["--older-than", "1.5d"], {"partition-grid"}),
        (["--older-than", "60m"], {"partition-grid"}),
        (["--older-than", "50d"], ALL),
        (["--stage", "partition"], {"trajectories-chain", "features-tica"}),
        (["--stage", "recrossing"], ALL),
        (["--stage", "partition", "--older-than", "5d"], ALL - {"partition-kmeans"}),
        (["--all"], set()),
    ],
)
def test_prune_deletes_what_is_chosen(words, expected, mdlm, filled):
    words = ["cache", "prune", *words]
    rehearsed = mdlm(*words, "--dry-run", cwd=filled)
    assert left(filled) == ALL
    ended = mdlm(*words, cwd=filled)
    assert (ended.code, ended.err) == (0, "")
    assert left(filled) == expected
    assert re.search(rf"^deleted {len(ALL - expected)} results?, ", ended.out, re.MULTILINE)
    assert rehearsed.out.replace("would delete", "deleted") == ended.out


def test_prune_without_a_choice_says_how_to_choose(mdlm, filled):
    assert "--older-than, --stage or --all" in mdlm("cache", "prune", cwd=filled).out


def test_what_a_run_has_used_just_now_is_not_old(mdlm, filled):
    store = Store(cache(filled))
    store.result("trajectories", "chain", {"age": 40}, lambda: pytest.fail("it is there"))
    mdlm("cache", "prune", "--older-than", "1d", cwd=filled)
    assert left(filled) == {"trajectories-chain", "partition-grid"}


def test_a_result_that_a_process_holds_stays_with_its_files(mdlm, filled):
    path = Store(cache(filled)).path("features", "tica", {"age": 20})
    being_written = path.with_name(f".{path.name}.123.tmp")
    being_written.touch()
    with FileLock(path.with_suffix(".lock")):
        ended = mdlm("cache", "prune", "--all", cwd=filled)
        assert left(filled) == {"features-tica"}
        assert being_written.exists()
        assert path.with_suffix(".lock").exists()
    assert "deleted 3 results" in ended.out
    assert re.search(r"^left 1 result, .* kB, that a running process holds$", ended.out, re.MULTILINE)
    assert mdlm("cache", "prune", "--all", cwd=filled).code == 0
    assert list(cache(filled).iterdir()) == []


def test_nothing_is_deleted_without_its_lock(filled, monkeypatch):
    """A lock that was free a moment ago may be a run's by now, and two runs must never hold one result."""
    (cache(filled) / ".partition-pcca-0123456789abcdef0123.safetensors.9.tmp").touch()
    (cache(filled) / "features-tica-0123456789abcdef0123.lock").touch()
    deleted, original = [], Path.unlink

    def unlink(path, missing_ok=False):
        stem = path.name.removeprefix(".").partition(".")[0]
        with pytest.raises(Timeout):
            FileLock(cache(filled) / f"{stem}.lock", timeout=0).acquire()
        deleted.append(path)
        original(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    prune(cache(filled), lambda entry: True)
    assert {path.suffix for path in deleted} == {".safetensors", ".tmp", ".lock"}
    assert list(cache(filled).iterdir()) == []


def test_what_killed_processes_left_goes_and_a_rehearsal_leaves_it(mdlm, filled):
    path = Store(cache(filled)).path("features", "tica", {"age": 20})
    gone = "partition-pcca-0123456789abcdef0123"
    leftovers = [f".{path.name}.123.tmp", f".{gone}.safetensors.9.tmp", f"{gone}.lock", f"{path.stem}.lock"]
    for name in leftovers:
        (cache(filled) / name).touch()
    before = sorted(cache(filled).iterdir())
    assert "would delete 4 temporary and lock files" in mdlm("cache", "prune", "--dry-run", cwd=filled).out
    assert sorted(cache(filled).iterdir()) == before
    assert "deleted 4 temporary and lock files" in mdlm("cache", "prune", cwd=filled).out
    assert left(filled) == ALL
    assert {file.suffix for file in cache(filled).iterdir()} == {".safetensors"}


def test_a_truncated_file_is_shown_as_damaged_and_goes(mdlm, filled):
    path = Store(cache(filled)).path("features", "tica", {"age": 20})
    path.write_bytes(path.read_bytes()[:100])
    assert f"{path.stem.rpartition('-')[2]} (damaged)" in mdlm("cache", cwd=filled).out
    mdlm("cache", "prune", cwd=filled)
    assert left(filled) == ALL - {"features-tica"}


def test_files_foreign_to_the_cache_are_neither_listed_nor_deleted(mdlm, filled):
    theirs = cache(filled)
    digest = "0123456789abcdef0123"
    save_file({"weights": np.zeros(3)}, theirs / f"features-tica-{digest}.safetensors")
    save_file({"weights": np.zeros(3)}, theirs / "model.safetensors", metadata={"mdlm": "{}"})
    save_file({"weights": np.zeros(3)}, theirs / f"features-x-{digest}.safetensors", metadata={"mdlm": "3"})
    for name in ("notes.txt", "partition-kmeans.lock", "a.lock", ".b.tmp", f"weights-x-{digest}.safetensors"):
        (theirs / name).write_text("mine")
    (theirs / f"partition-y-{digest}.safetensors").mkdir()
    shutil.copy(Store(theirs).path("features", "tica", {"age": 20}), theirs / "copy.safetensors")
    foreign = {file.name for file in theirs.iterdir()} - {entry.path.name for entry in entries(theirs)}
    assert len(foreign) == 10
    assert "deleted 4 results" in mdlm("cache", "prune", "--all", cwd=filled).out
    assert {file.name for file in theirs.iterdir()} == foreign


def test_the_directory_is_that_of_the_environment_or_the_one_given(mdlm_process, mdlm, filled, monkeypatch):
    moved = shutil.move(cache(filled), filled / "elsewhere")
    assert "4 results" in mdlm("cache", "list", "--directory", moved, cwd=filled).out
    assert "4 results" in mdlm("cache", "--directory", moved, cwd=filled).out
    code = "import os, sys; os.environ['MDLM_CACHE_DIR'] = 'elsewhere'; from mdlm.cli import main; main(sys.argv[1:])"
    assert "4 results" in mdlm_process("cache", code=code, cwd=filled).out
    assert "deleted 4 results" in mdlm_process("cache", "prune", "--all", code=code, cwd=filled).out


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["pruen"], "'pruen'"),
        (["prune", "--older-than", "30"], "--older-than: (30) must be a number of minutes, hours, days or weeks"),
        (["prune", "--older-than", "-3d"], "--older-than"),
        (["prune", "--stage", "feature"], "--stage: invalid choice: 'feature'"),
        (["prune", "--all", "--stage", "features"], "--all deletes everything"),
        (["prune", "--all", "--older-than", "0m"], "--all deletes everything"),
        (["--all"], "belong to `mdlm cache prune`"),
        (["list", "--older-than", "3d"], "belong to `mdlm cache prune`"),
        (["--directory", "file"], "--directory (file) must be a directory"),
        (["prune", "--frobnicate"], "--frobnicate"),
    ],
)
def test_a_mistake_is_one_line_and_deletes_nothing(words, named, mdlm, filled):
    (filled / "file").touch()
    ended = mdlm("cache", *words, cwd=filled)
    assert ended.code != 0
    assert ended.out == ""
    assert named in ended.error
    assert left(filled) == ALL


def test_help_explains_and_imports_nothing_heavy(mdlm_process, tmp_path):
    ended = mdlm_process("cache", "--help", cwd=tmp_path)
    assert "Nothing is lost for good by deleting" in ended.out
    assert "mdlm cache prune --older-than 30d --dry-run" in ended.out
    loaded = mdlm_process("--help", code=LOADED, cwd=tmp_path).err
    assert not {name.partition(".")[0] for name in loaded.split()} & {"numpy", "safetensors", "rich", "filelock"}


def test_a_run_fills_the_cache_and_after_pruning_gives_the_same(mdlm, tiny, tmp_path):
    words = ["train", *tiny, "model=markov", "tracking=none", "recrossing=coring"]
    assert mdlm(*words, "hydra.run.dir=first", cwd=tmp_path).code == 0
    assert left(tmp_path) == {"trajectories-chain", "partition-labels", "recrossing-coring"}
    assert mdlm("cache", "prune", "--all", cwd=tmp_path).code == 0
    assert list(cache(tmp_path).iterdir()) == []
    assert mdlm(*words, "hydra.run.dir=second", cwd=tmp_path).code == 0
    first, second = (np.load(tmp_path / run / "chains.npy") for run in ("first", "second"))
    np.testing.assert_array_equal(first, second)
