"""Checkpoints: tensors and their JSON description in one safetensors file, replaced atomically."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

OPTIMISER = "optimiser."
POSITION = "position."
MEAN = "mean."


def write(path: Path, tensors: Mapping[str, Tensor], description: Mapping[str, Any]) -> None:
    """Write tensors and a JSON-able description under a temporary name, then rename; one process per directory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):  # of a killed process
        leftover.unlink(missing_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    metadata = {"description": json.dumps(description), "checksum": _checksum(contiguous)}
    try:
        save_file(contiguous, temporary, metadata=metadata)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write` wrote.

    Raises:
        ValueError: The file is missing, is no checkpoint, or is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata()
            description = json.loads(metadata["description"])
        if _checksum(tensors) != metadata["checksum"]:
            raise ValueError("its checksum does not match")
    except FileNotFoundError:
        raise ValueError(f"checkpoint {path} is missing; delete its directory to start again") from None
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"checkpoint {path} is damaged ({error}); delete it to start again") from error
    return tensors, description


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    total = hashlib.blake2b(digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def refuse_other(directory: Path, identity: Mapping[str, Any]) -> None:
    """Raise `ValueError` where a folder's checkpoints, counted models' too, belong to another configuration."""
    for name in ("last.safetensors", "best.safetensors"):
        if (directory / name).exists():
            _, description = read(directory / name)
            check_identity(directory / name, description["identity"], identity)


def check_identity(path: Path, was: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise `ValueError` naming every setting in which two identities differ; ``was`` has been read from ``path``."""
    now = json.loads(json.dumps(now))  # as it will be read back: tuples are lists
    changed = [
        f"{name} was {was.get(name)!r}, is {now.get(name)!r}"
        for name in sorted({*now, *was})
        if was.get(name) != now.get(name)
    ]
    if changed:
        raise ValueError(
            f"checkpoint {path} belongs to another configuration ({'; '.join(changed)}); "
            "give this run a directory of its own or delete that one"
        )


def check_vocabulary(path: Path, was: Sequence[str], now: Sequence[str]) -> None:
    """Raise `ValueError` where a checkpoint's tokens are not those of the data at hand."""
    if len(was) != len(now):
        difference = f"{len(was)} tokens, not {len(now)}"
    else:
        changed = [f"token {n} was {a!r}, is {b!r}" for n, (a, b) in enumerate(zip(was, now, strict=True)) if a != b]
        if not changed:
            return
        difference = changed[0] if len(changed) == 1 else f"{changed[0]}, and {len(changed) - 1} more"
    raise ValueError(
        f"checkpoint {path} belongs to another vocabulary ({difference}); "
        "give this run a directory of its own or delete that one"
    )


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Give a model its own among the tensors of a checkpoint.

    Raises:
        ValueError: They are not those of this model: the checkpoint is another version's.
    """
    try:
        model.load_state_dict(_weights(tensors))
    except RuntimeError as error:
        why = "; ".join(line.strip() for line in str(error).splitlines()[1:])
        raise ValueError(f"checkpoint {path} is of another version of mdlm ({why}); train again") from error


def _weights(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The model's own among a checkpoint's tensors."""
    return {name: tensor for name, tensor in tensors.items() if not name.startswith((OPTIMISER, POSITION, MEAN))}


def optimiser_tensors(optimiser: Optimizer) -> dict[str, Tensor]:
    """The optimiser's running averages under flat names."""
    return {
        f"{OPTIMISER}{parameter}.{name}": value
        for parameter, values in optimiser.state_dict()["state"].items()
        for name, value in values.items()
    }


def restore_optimiser(optimiser: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimiser_tensors` took out."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith(OPTIMISER):
            parameter, entry = name.removeprefix(OPTIMISER).split(".")
            state.setdefault(int(parameter), {})[entry] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
