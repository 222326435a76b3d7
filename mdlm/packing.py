"""Results as arrays and plain text, and back: no pickle, so that reading a file runs none of its content."""

from __future__ import annotations

import dataclasses
import importlib
import struct
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]

NATIVE = ("b", "i", "u", "f")  # kinds of numbers that the file format knows; the others go as bytes
STORABLE = (*NATIVE, "c", "U", "S", "m", "M")


def pack(value: Any) -> tuple[dict[str, NDArray[Any]], Any]:  # noqa: ANN401
    """Take a value apart into arrays and a JSON-able description of the rest.

    Values are numpy arrays and scalars, None, bool, int, float, str, paths, and tuples, lists, dicts and dataclasses
    of these. Only what a dataclass's constructor takes is kept.

    Raises:
        TypeError: Something else is in it.

    Example:
        >>> arrays, description = pack((np.array([0, 1]), "ps"))
        >>> arrays["000000"].tolist(), unpack(arrays, description)
        ([0, 1], (array([0, 1]), 'ps'))
    """
    arrays: dict[str, NDArray[Any]] = {}
    return arrays, _packed(value, arrays)


def unpack(arrays: Arrays, description: Any, trusted: Collection[str] = ()) -> Any:  # noqa: ANN401
    """Put together what `pack` took apart, dataclasses by their constructors.

    Args:
        arrays: Of `pack`.
        description: Of `pack`.
        trusted: Top-level modules, besides mdlm, whose dataclasses may be built.

    Raises:
        ValueError: A class is of another module or no dataclass.
    """

    def whole(node: Any) -> Any:  # noqa: ANN401
        return unpack(arrays, node, trusted)

    if isinstance(description, list):
        return [whole(node) for node in description]
    if not isinstance(description, dict):
        return description
    match description:
        case {"float": text}:
            return struct.unpack(">d", bytes.fromhex(text))[0]
        case {"array": name, "dtype": dtype, "shape": shape, "scalar": scalar}:
            array = arrays[name].view(dtype).reshape(shape)
            return array[()] if scalar else array
        case {"path": text}:
            return Path(text)
        case {"tuple": nodes}:
            return tuple(whole(node) for node in nodes)
        case {"dict": pairs}:
            return {whole(key): whole(node) for key, node in pairs}
        case {"class": name, "fields": fields}:
            return _dataclass(name, trusted)(**{key: whole(node) for key, node in fields.items()})
    raise ValueError(f"{', '.join(description)} describes nothing")


def _packed(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:  # noqa: ANN401
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return {"float": struct.pack(">d", value).hex()}  # JSON knows no infinity
    if isinstance(value, np.ndarray | np.generic):
        return _packed_array(value, arrays)
    if isinstance(value, Path):
        return {"path": str(value)}
    if kind is list:
        return [_packed(item, arrays) for item in value]
    if kind is tuple:
        return {"tuple": [_packed(item, arrays) for item in value]}
    if kind is dict:
        return {"dict": [[_packed(key, arrays), _packed(item, arrays)] for key, item in value.items()]}
    if dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind) if field.init]
        fields = {name: _packed(getattr(value, name), arrays) for name in names}
        return {"class": f"{kind.__module__}:{kind.__qualname__}", "fields": fields}
    raise TypeError(f"a {kind.__name__} cannot be stored")


def _packed_array(value: NDArray[Any] | np.generic, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    array = np.asarray(value, order="C")
    dtype = array.dtype
    if dtype.kind not in STORABLE or isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"a {type(value).__name__} of {dtype} cannot be stored")
    if dtype.kind not in NATIVE or dtype.itemsize > 8 or not dtype.isnative:
        array = np.array(bytearray(array.tobytes()), np.uint8)
    name = f"{len(arrays):06d}"
    arrays[name] = array
    return {"array": name, "dtype": dtype.str, "shape": list(np.shape(value)), "scalar": isinstance(value, np.generic)}


def _dataclass(name: str, trusted: Collection[str]) -> type:
    """The dataclass that ``module:qualname`` names."""
    module, _, qualname = name.partition(":")
    if module.split(".")[0] not in {"mdlm", *trusted}:
        raise ValueError(f"class {name} is neither of mdlm nor of a part's own module")
    found: Any = importlib.import_module(module)
    for attribute in qualname.split("."):
        found = getattr(found, attribute)
    if not (isinstance(found, type) and dataclasses.is_dataclass(found) and found.__module__ == module):
        raise ValueError(f"class {name} is no dataclass of {module}")
    return found
