"""From plain configuration to objects: the one place where configured values become typed, checked dataclasses."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import inspect
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, get_type_hints

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

Location = tuple[int | str, ...]
TARGET = "_target_"


class ConfigError(ValueError):
    """A configured value that cannot be used; the message names the field, what was given, what is allowed."""


def build(node: Any, trusted: Collection[str] = ("mdlm",), path: str = "") -> Any:  # noqa: ANN401
    """Build the object a configuration describes, children first.

    A mapping with a ``_target_`` becomes an instance of that dataclass; its values are converted to, and checked
    against, the annotated types, then by the class itself.

    Args:
        node: Plain dicts, lists and scalars.
        trusted: Top-level modules a ``_target_`` may come from, so that a configuration file from elsewhere
            cannot run just anything.
        path: Where ``node`` sits in the whole configuration, for error texts.

    Raises:
        ConfigError: In one line: which field, what was given, what is allowed.
    """
    if isinstance(node, list):
        return [build(value, trusted, f"{path}[{number}]") for number, value in enumerate(node)]
    if not isinstance(node, Mapping):
        return node
    built = {k: build(v, trusted, f"{path}.{k}" if path else str(k)) for k, v in node.items() if k != TARGET}
    if TARGET not in node:
        return built
    return _validated(_find(node[TARGET], trusted, path), built, path)


def _find(target: str, trusted: Collection[str], path: str) -> type:
    """The dataclass a ``_target_`` names."""
    field = _join(path, TARGET)
    module, _, name = str(target).rpartition(".")
    if module.split(".")[0] not in trusted:
        raise ConfigError(f"{field} ({target}) must lie in {' or '.join(sorted(trusted))}")
    try:
        found = _imported(module, name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{field} ({target}) cannot be imported: {error}") from error
    if not (isinstance(found, type) and dataclasses.is_dataclass(found)):
        raise ConfigError(f"{field} ({target}) must be a dataclass")
    return found


@cache
def _imported(module: str, name: str) -> Any:  # noqa: ANN401
    return getattr(importlib.import_module(module), name)


def _validated(target: type, values: dict[str, Any], path: str) -> Any:  # noqa: ANN401
    """An instance of ``target``, or the first thing wrong with its values."""
    from pydantic import PydanticUserError, ValidationError

    known = [field.name for field in dataclasses.fields(target) if field.init]
    for name in values:
        if name not in known:
            raise ConfigError(f"{_join(path, name)} is no option of {target.__name__}{suggestion(name, known)}")
    for name, kind in _type_hints(target).items():
        if isinstance(values.get(name), bool) and kind in (int, float):  # Python would take it for 0 or 1
            raise ConfigError(f"{_join(path, name)} ({values[name]}) must be a number")
    try:
        return _adapter(target).validate_python(values)
    except ValidationError as error:
        location, first = _clearest(error.errors(include_url=False), values)
        where = _join(path, *location)
        if first["type"] == "value_error":
            raise ConfigError(_join(where, str(first["ctx"]["error"]))) from None  # it begins with the field's name
        if first["type"] == "missing":
            raise ConfigError(f"{where} is missing") from None
        raise ConfigError(f"{where} ({first['input']!r}): {_lower_first(first['msg'])}") from None
    except TypeError:
        for name, kind in _type_hints(target).items():
            if inspect.isabstract(kind) and isinstance(values.get(name), dict):
                raise ConfigError(f"{_join(path, name, TARGET)} is missing") from None
        raise
    except PydanticUserError as error:
        raise ConfigError(
            f"{_join(path, TARGET)} ({target.__name__}) has fields that cannot be checked: {error}"
        ) from error


@cache
def _adapter(target: type) -> TypeAdapter[Any]:
    """What checks values against a dataclass; making one takes longer than all its checks."""
    from pydantic import ConfigDict, TypeAdapter, with_config

    return TypeAdapter(with_config(ConfigDict(arbitrary_types_allowed=True))(target))


@cache
def _type_hints(target: type) -> dict[str, Any]:
    return get_type_hints(target)


def _clearest(errors: Sequence[ErrorDetails], values: Mapping[str, Any]) -> tuple[Location, ErrorDetails]:
    """Of all that is wrong with the first wrong field, the innermost, and where it is."""
    field = errors[0]["loc"][:1]
    located = [(_existing(error, values), error) for error in errors if error["loc"][:1] == field]
    return max(located, key=lambda pair: len(pair[0]))


def _existing(error: ErrorDetails, values: Any) -> Location:  # noqa: ANN401
    """An error's location without pydantic's names for the members of a union."""
    location = error["loc"]
    if len(location) < 2 or error["type"] == "missing":
        return location
    existing: Location = ()
    for part in location:
        try:
            values = values[part]
        except (TypeError, KeyError, IndexError):
            continue
        existing += (part,)
    return existing


def suggestion(name: str, known: Collection[str]) -> str:
    """What may have been meant, or all there is.

    Example:
        >>> suggestion("strides", ["stride", "seed"])
        '; did you mean stride?'
        >>> suggestion("q", ["stride", "seed"])
        '; there are stride, seed'
    """
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(known)}"


def flat(config: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Every leaf of a nested configuration under its dotted name.

    Example:
        >>> flat({"model": {"hidden": 64}, "stride": 1})
        {'model.hidden': 64, 'stride': 1}
    """
    leaves: dict[str, Any] = {}
    for key, value in config.items():
        name = _join(path, key)
        leaves.update(flat(value, name) if isinstance(value, Mapping) and value else {name: value})
    return leaves


def _join(*parts: str | int) -> str:
    return ".".join(str(part) for part in parts if part != "")


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
