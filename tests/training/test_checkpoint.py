import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mdlm.training import checkpoint

TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([3], dtype=torch.int64), "c": torch.tensor(0.5)}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoint" / "last.safetensors"


def test_tensors_and_description_come_back_as_they_were(path):
    description = {"n_states": 3, "history": [{"loss": 0.1 + 0.2}], "identity": {"x": None}}
    checkpoint.write(path, TENSORS, description)
    tensors, read = checkpoint.read(path)
    assert read == description
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert torch.equal(tensors[name], tensor)
        assert tensors[name].dtype == tensor.dtype
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_transposed_or_half_precision_tensor_is_no_problem(path):
    tensors = {"a": TENSORS["a"].T, "b": TENSORS["a"].bfloat16(), "empty": torch.zeros(0, 3)}
    checkpoint.write(path, tensors, {})
    for name, tensor in checkpoint.read(path)[0].items():
        assert torch.equal(tensor, tensors[name])


def test_dying_while_writing_leaves_the_old_one(path, monkeypatch):
    checkpoint.write(path, TENSORS, {"epoch": 1})

    def half(tensors, file, metadata):
        file.write_bytes(b"half of it")
        raise OSError("no space left")

    monkeypatch.setattr(checkpoint, "save_file", half)
    with pytest.raises(OSError, match="no space left"):
        checkpoint.write(path, {"a": torch.zeros(1)}, {"epoch": 2})
    assert checkpoint.read(path)[1] == {"epoch": 1}
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_dying_at_the_last_moment_leaves_the_old_one(path, monkeypatch):
    def dies(*_):
        raise KeyboardInterrupt

    checkpoint.write(path, TENSORS, {"epoch": 1})
    monkeypatch.setattr(checkpoint.os, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.write(path, TENSORS, {"epoch": 2})
    assert checkpoint.read(path)[1] == {"epoch": 1}
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_what_a_killed_process_left_is_cleared_away(path):
    path.parent.mkdir()
    (path.parent / f".{path.name}.12345.tmp").write_bytes(b"half of it")
    (path.parent / "mine.tmp").write_text("not ours")
    checkpoint.write(path, TENSORS, {})
    assert sorted(file.name for file in path.parent.iterdir()) == [path.name, "mine.tmp"]


def damage(path, how):
    content = path.read_bytes()
    if how == "empty":
        path.write_bytes(b"")
    elif how == "truncated":
        path.write_bytes(content[:-8])
    elif how == "text":
        path.write_text("these are not the weights you are looking for")
    elif how == "one bit":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif how == "another program's":
        save_file(TENSORS, path)
    elif how == "no description":
        save_file(TENSORS, path, metadata={"format": "pt"})
    elif how == "no json":
        save_file(TENSORS, path, metadata={"description": "{", "checksum": ""})


@pytest.mark.parametrize(
    "how", ["empty", "truncated", "text", "one bit", "another program's", "no description", "no json"]
)
def test_a_damaged_file_is_refused_by_name(path, how):
    checkpoint.write(path, TENSORS, {"epoch": 1})
    damage(path, how)
    with pytest.raises(ValueError, match=r"^checkpoint .*last.safetensors is damaged \(.*\); delete it"):
        checkpoint.read(path)


def test_a_missing_file_is_refused_by_name(path):
    with pytest.raises(ValueError, match=r"^checkpoint .*last.safetensors is missing; delete"):
        checkpoint.read(path)


def test_an_optimiser_goes_on_where_it_was():
    """Adam forgets over 1000 steps; without its averages the next step would be another."""

    def trained(n_steps, saved=None):
        weight = torch.nn.Parameter(torch.ones(3))
        optimiser = torch.optim.AdamW([weight], lr=0.1)
        if saved is not None:
            checkpoint.restore_optimiser(optimiser, saved)
            weight.data = saved["weight"]
        start = 0 if saved is None else 3
        for step in range(start, start + n_steps):
            weight.grad = torch.from_numpy(np.random.default_rng(step).normal(size=3).astype(np.float32))
            optimiser.step()
        return weight.detach(), {"weight": weight.detach().clone(), **checkpoint.optimiser_tensors(optimiser)}

    _, saved = trained(3)
    assert torch.equal(trained(5)[0], trained(2, saved)[0])


def test_weights_of_another_version_are_refused_by_name(path):
    model = torch.nn.Linear(2, 1)
    weights = {"optimiser.0.exp_avg": torch.ones(1), "weight": torch.tensor([[1.0, 2.0]]), "bias": torch.tensor([3.0])}
    checkpoint.load_weights(model, weights, path)
    assert model.weight.tolist() == [[1.0, 2.0]]
    del weights["bias"]
    with pytest.raises(ValueError, match=r'^checkpoint \S+ is of another version of mdlm \(Missing key.*"bias"'):
        checkpoint.load_weights(model, weights, path)
