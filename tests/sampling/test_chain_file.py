"""Chains on a disk: written piece by piece, and the same bit for bit after any kill."""

import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from mdlm.model.gru import GRUConfig
from mdlm.model.lstm import LSTMConfig
from mdlm.model.markov import MarkovConfig
from mdlm.model.transformer import TransformerConfig
from mdlm.sampling import drawing
from mdlm.sampling.chain_file import ChainFile, Progressed
from mdlm.sampling.sampling import Sampling

HELD_OUT = [np.random.default_rng(3).integers(5, size=400)]
SETTINGS = Sampling(n_chains=12, chain_length=900, prompt_length=7, sampling_temperature=1.0)


class Killed(Exception):
    pass


def model(config=None):
    torch.manual_seed(0)
    made = (config or LSTMConfig(embedding=4, hidden=16, layers=1, dropout=0.0)).build(5).eval()
    if isinstance(config, MarkovConfig):
        made.count(HELD_OUT)
    return made


def killed_at(n_tokens):
    """A progress that stops the sampling once so many tokens are drawn."""

    def progress(done, total, note=""):
        if done >= n_tokens:
            raise Killed

    return progress


def file_of(path, **changes):
    return replace(ChainFile(path / "c.npy", (3, 10), np.dtype(np.uint8), "mine"), **changes)


@pytest.mark.parametrize(
    ("config", "engine"),
    [
        (LSTMConfig(embedding=4, hidden=16, layers=2, dropout=0.0), "auto"),
        (LSTMConfig(embedding=4, hidden=16, layers=2, dropout=0.0), "graph"),
        (GRUConfig(embedding=4, hidden=16, layers=1, dropout=0.0), "auto"),
        (GRUConfig(embedding=4, hidden=16, layers=1, dropout=0.0), "torch"),
        (TransformerConfig(width=8, heads=2, layers=2, window=6, dropout=0.0), "auto"),
        (MarkovConfig(order=3), "auto"),
    ],
)
def test_chains_taken_up_again_and_again_are_those_of_one_go(config, engine, tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "SAVE_EVERY_S", 0.0)
    settings = replace(SETTINGS, engine=engine)
    whole = settings.draw(model(config), HELD_OUT, seed=4)
    path = tmp_path / "chains.npy"
    drawn = []
    for n_frames in (256, 512):
        with pytest.raises(Killed):
            settings.draw(model(config), HELD_OUT, 4, killed_at(12 * n_frames), path)
        assert not path.exists()
    found = settings.draw(model(config), HELD_OUT, 4, lambda done, total, note="": drawn.append(done), path)
    assert drawn == [12 * 768, 12 * 900]  # it went on where it was
    assert isinstance(found.chains, np.memmap)
    assert np.array_equal(found.chains, whole.chains)
    assert found.chains.dtype == whole.chains.dtype == np.uint8
    assert np.array_equal(np.load(path), whole.chains)


def test_finished_chains_are_not_drawn_again(tmp_path):
    path = tmp_path / "chains.npy"
    first = SETTINGS.draw(model(), HELD_OUT, 4, path=path)
    again = SETTINGS.draw(model(), HELD_OUT, 4, killed_at(0), path)
    assert np.array_equal(first.chains, again.chains)
    assert again.seconds == first.seconds


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 5},
        {"settings": replace(SETTINGS, chain_length=901)},
        {"settings": replace(SETTINGS, n_chains=11)},
        {"settings": replace(SETTINGS, sampling_temperature=1.1)},
        {"settings": replace(SETTINGS, prompt_length=6)},
        {"settings": replace(SETTINGS, engine="torch")},
        {"config": LSTMConfig(embedding=4, hidden=17, layers=1, dropout=0.0)},
        {"forbid": True},
    ],
)
@pytest.mark.parametrize("finished", [False, True])
def test_chains_of_another_model_seed_or_setting_are_not_taken_up(change, finished, tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "SAVE_EVERY_S", 0.0)
    path = tmp_path / "chains.npy"
    if finished:
        SETTINGS.draw(model(), HELD_OUT, 4, path=path)
    else:
        with pytest.raises(Killed):
            SETTINGS.draw(model(), HELD_OUT, 4, killed_at(12 * 512), path)
    other = model(change.get("config"))
    if "forbid" in change:
        other.forbid(torch.eye(5, dtype=torch.bool))
    settings, seed = change.get("settings", SETTINGS), change.get("seed", 4)
    drawn = []
    found = settings.draw(other, HELD_OUT, seed, lambda done, total, note="": drawn.append(done), path)
    assert drawn[0] == 256 * settings.n_chains
    assert np.array_equal(found.chains, settings.draw(other, HELD_OUT, seed).chains)


def test_a_kill_between_the_last_frame_and_the_name_loses_nothing(tmp_path):
    file = file_of(tmp_path)
    file.take_up()
    file.write(0, np.arange(30).reshape(3, 10))
    file.save(Progressed(10, 2.0))
    file.path.rename(file.part)  # as it was before
    assert file.take_up().n_frames == 10
    assert file.read().tolist() == np.arange(30).reshape(3, 10).tolist()


@pytest.mark.parametrize("damage", ["no state", "cut state", "short part", "no part"])
def test_what_is_not_whole_is_begun_again(damage, tmp_path):
    file = file_of(tmp_path)
    file.take_up()
    file.write(0, np.ones((3, 4), int))
    file.save(Progressed(4, 2.0, (torch.ones(2),)))
    assert file.take_up().n_frames == 4
    if damage == "no state":
        file.state.unlink()
    elif damage == "cut state":
        file.state.write_bytes(file.state.read_bytes()[:-3])
    elif damage == "short part":
        file.part.write_bytes(file.part.read_bytes()[:-1])
    else:
        file.part.unlink()
    assert file.take_up() == Progressed()
    assert np.load(file.part).sum() == 0


def test_half_a_file_never_has_the_name_of_the_whole(tmp_path):
    file = file_of(tmp_path)
    file.take_up()
    for first in range(9):
        file.write(first, np.zeros((3, 1), int))
        file.save(Progressed(first + 1, 1.0))
        assert not file.path.exists()
    file.write(9, np.zeros((3, 1), int))
    file.save(Progressed(10, 1.0))
    assert file.path.exists()
    assert not file.part.exists()


def test_a_disk_without_room_is_named_before_anything_is_drawn(tmp_path):
    with pytest.raises(ValueError, match=r"^n_chains x chain_length \(3 x 10{20}\) takes 3{0}.* GB left$"):
        file_of(tmp_path, shape=(3, 10**20)).take_up()
    assert list(tmp_path.iterdir()) == []


PROGRAM = textwrap.dedent(
    """
    import sys, numpy as np, torch
    from pathlib import Path
    from mdlm.model.lstm import LSTMConfig
    from mdlm.sampling import drawing
    from mdlm.sampling.sampling import Sampling
    drawing.SAVE_EVERY_S = 0.05
    torch.manual_seed(0)
    model = LSTMConfig(embedding=4, hidden=16, layers=1, dropout=0.0).build(5)
    held_out = [np.random.default_rng(3).integers(5, size=400)]
    settings = Sampling(30, int(sys.argv[2]), 7, 1.0)
    begun = []
    def progress(done, total, note=""):
        begun or print(done // 30, flush=True)
        begun.append(done)
    settings.draw(model, held_out, 4, progress, Path(sys.argv[1]))
    """
)


def test_a_killed_process_is_taken_up_by_the_next_one_bit_for_bit(tmp_path):
    length = 40_000
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "chains.npy"), str(length)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "256\n"
    state = tmp_path / "chains.npy.state"
    deadline = time.monotonic() + 60
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert (tmp_path / "chains.npy.part").exists()
    assert not (tmp_path / "chains.npy").exists()
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(ended.stdout.split()[0]) > 256
    config = LSTMConfig(embedding=4, hidden=16, layers=1, dropout=0.0)
    whole = replace(SETTINGS, n_chains=30, chain_length=length).draw(model(config), HELD_OUT, 4)
    assert np.array_equal(np.load(tmp_path / "chains.npy"), whole.chains)
