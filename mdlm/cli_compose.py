"""Hydra's part of a design: from the overrides of a cell to its configuration, without composing every cell.

What Hydra composes is a list of files, merged in order, with values set on top. Two kinds of overrides change so little
of it that the result is known, exactly, without composing again:

- a *value*, such as ``training.batch_size=32``: it is set on a configuration that was composed before;
- a *plain option*, such as ``model=lstm``: it exchanges one file, which brings no others along but for parts of its own
  (``partition=pcca`` its microstates), and so changes what stands under the name of its group and nothing else.

So a design is composed once per option of the group that has most of them, each time with an option of every group that
was not there before, instead of once per combination of options. Everything else is left to Hydra.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig


@dataclass(frozen=True)
class _Words:
    """The overrides of a cell, sorted.

    Attributes:
        given: All of them.
        options: The plain options, by their group.
        values: The values, by their name.
    """

    given: tuple[str, ...]
    options: dict[str, str]
    values: dict[str, str]

    @property
    def alike(self) -> object:
        """The same for cells that differ in values and plain options only."""
        own = {*self.options.values(), *self.values.values()}
        return tuple(text for text in self.given if text not in own), frozenset(self.options), frozenset(self.values)

    @property
    def combination(self) -> object:
        """The same for cells that differ in values only."""
        return self.alike, frozenset(self.options.values())

    def exchanged(self, options: Mapping[str, str]) -> _Words:
        """With other options of some groups."""
        new = {self.options[group]: text for group, text in options.items()}
        return _Words(tuple(new.get(own, own) for own in self.given), {**self.options, **options}, self.values)


@dataclass(frozen=True)
class _Composed:
    """What Hydra composed.

    Attributes:
        config: Without Hydra's own part.
        choices: The option of every group.
    """

    config: DictConfig
    choices: dict[str, str]

    @cached_property
    def references(self) -> dict[str, str]:
        """The parts that refer to others, as texts."""
        from omegaconf import OmegaConf

        unresolved: Any = OmegaConf.to_container(self.config)
        return {str(part): text for part, value in unresolved.items() if "${" in (text := repr(value))}

    def within(self, group: str) -> list[str]:
        """Names of the choices that fill the place of a group and its parts, ``partition@partition.micro``."""
        return [key for key in self.choices if _place(key) == group]


@dataclass(frozen=True)
class _Kind:
    """Cells that are alike, and what they share.

    Attributes:
        words: Of the one that was composed first.
        composed: That one.
        holding: A composed one for every option that was met.
        resolved: By a part, and by the options and values that may decide it.
    """

    words: _Words
    composed: _Composed
    holding: dict[str, _Composed]
    resolved: dict[object, Any]


class _Combination:
    """Cells that differ in values only: every part is taken from a composed one that holds its option."""

    def __init__(self, kind: _Kind, options: Mapping[str, _Composed]) -> None:
        self.kind, self.options = kind, options
        self.choices: dict[str, str] = {}
        for group in map(_place, kind.composed.choices):
            held = options.get(group, kind.composed)
            self.choices |= {key: held.choices[key] for key in held.within(group)}
        own = {part: held.references.get(part) for part, held in options.items()}
        self.references = {part: text for part, text in (kind.composed.references | own).items() if text}
        self.deciding: dict[object, dict[str, list[str]]] = {}

    def plain(self, words: _Words, parsed: Callable[[str], Override]) -> dict[str, Any]:
        """All of it, resolved, with the values of a cell."""
        from omegaconf import OmegaConf

        given, resolved = words.options | words.values, self.kind.resolved
        keys = {part: (part, *(given[name] for name in names)) for part, names in self._deciding(words).items()}
        missing = [part for part, key in keys.items() if key not in resolved]
        if missing:
            for name, text in words.values.items():
                OmegaConf.update(self.config, name, parsed(text).value())
        for part in missing:
            resolved[keys[part]] = _resolved(self.config, part)
        return {part: resolved[key] for part, key in keys.items()}

    @cached_property
    def config(self) -> DictConfig:
        """All parts together; values are set in it."""
        from omegaconf import open_dict

        config = deepcopy(self.kind.composed.config)
        with open_dict(config):
            for group, held in self.options.items():
                if held is not self.kind.composed:
                    config[group] = held.config[group]
        return config

    def _deciding(self, words: _Words) -> dict[str, list[str]]:
        """For every part the groups and values that may decide it: its own, and those of parts that it refers to."""
        referring = {name: text for name, text in words.values.items() if "${" in text}
        key = tuple(referring.values())
        if key not in self.deciding:
            texts = dict(self.references)
            for name, text in referring.items():
                texts[_place(name)] = texts.get(_place(name), "") + text
            affected = {name: _varying(texts, _place(name)) for name in (*words.options, *words.values)}
            parts = map(str, self.kind.composed.config)
            self.deciding[key] = {part: [name for name in affected if part in affected[name]] for part in parts}
        return self.deciding[key]


class _ReadOnce:
    """Hydra's files, each read once; Hydra itself reads them all again for every configuration, half of its time."""

    def __init__(self, repository: Any) -> None:  # noqa: ANN401
        self.repository = repository
        self.read: dict[str, Any] = {}

    def load_config(self, config_path: str) -> Any:  # noqa: ANN401
        """A file; one that is not there may yet be, as Hydra adds the folders of its search path late."""
        if config_path not in self.read and (found := self.repository.load_config(config_path)) is not None:
            self.read[config_path] = found
        return self.read.get(config_path)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self.repository, name)

    def __deepcopy__(self, memo: dict[int, Any]) -> _ReadOnce:
        """Itself: Hydra copies what it reads from, not to change it, which would be to forget what was read."""
        return self


def read_once(loader: ConfigLoader) -> None:
    """Let a loader keep the files it has read."""
    if not isinstance(loader.repository, _ReadOnce):
        loader.repository = _ReadOnce(loader.repository)


class Composer:
    """Composes the cells of a design, and others; its loader reads every file once from then on."""

    def __init__(self, loader: ConfigLoader, master: DictConfig, design: Sequence[Sequence[str]] = ()) -> None:
        from hydra.core.override_parser.overrides_parser import OverridesParser

        read_once(loader)  # Hydra has only one loader
        self.repository: Any = loader.repository
        self.loader, self.master, self.design = loader, master, design
        self._parsed = cache(OverridesParser.create(config_loader=loader).parse_override)
        self._is_value, self._is_plain_option = cache(self._sets_a_value), cache(self._fills_one_place)
        self._sorted = cache(self._sort)
        self.combinations: dict[object, _Combination] = {}
        self.kinds: dict[object, _Kind] = {}

    def __call__(self, overrides: Sequence[str]) -> tuple[dict[str, Any], dict[str, str]]:
        """Resolved configuration, without Hydra's own part and the study's, and the choice of every group."""
        words = self._sorted(tuple(overrides))
        if words.combination not in self.combinations:
            kind = self._kind(words)
            options = {group: self._holding(kind, group, text) for group, text in words.options.items()}
            self.combinations[words.combination] = _Combination(kind, options)
        combination = self.combinations[words.combination]
        return combination.plain(words, self._parsed), combination.choices

    def _sort(self, overrides: tuple[str, ...]) -> _Words:
        within = {_place(package) for text in overrides if (package := self._parsed(text).package)}
        plain = [text for text in overrides if self._is_plain_option(text)]
        options = {group: text for text in plain if (group := self._parsed(text).key_or_group) not in within}
        values = {self._parsed(text).key_or_group: text for text in overrides if self._is_value(text)}
        rest = {text for text in overrides if text not in {*options.values(), *values.values()}}
        touched = {_place(self._parsed(text).key_or_group) for text in rest}  # there the order may count
        return _Words(overrides, options, {k: text for k, text in values.items() if _place(k) not in touched})

    def _kind(self, words: _Words) -> _Kind:
        """That of a cell; cells whose options decide together on files are alike to none of another combination."""
        if words.alike in self.kinds:
            return self.kinds[words.alike]
        composed = self._from_hydra(words)
        kind = _Kind(words, composed, dict.fromkeys(words.options.values(), composed), {})
        if not self._has_files_named_by_options(words):
            self.kinds[words.alike] = kind
        return kind

    def _holding(self, kind: _Kind, group: str, text: str) -> _Composed:
        """A composed one with this option; a new one also has, of every other group, an option that none had."""
        if text not in kind.holding:
            options = self._options.get(kind.words.alike, {})
            unmet = {own: [option for option in given if option not in kind.holding] for own, given in options.items()}
            words = kind.words.exchanged({own: given[0] for own, given in unmet.items() if given} | {group: text})
            kind.holding.update(dict.fromkeys(words.options.values(), self._from_hydra(words)) | kind.holding)
        return kind.holding[text]

    @cached_property
    def _options(self) -> dict[object, dict[str, list[str]]]:
        """Those of every group in the design, by the cells that are alike; known once Hydra has found its folders."""
        found: dict[object, dict[str, list[str]]] = {}
        for words in map(self._sorted, map(tuple, self.design)):
            for group, text in words.options.items():
                found.setdefault(words.alike, {}).setdefault(group, []).append(text)
        return {
            alike: {group: list(dict.fromkeys(texts)) for group, texts in own.items()} for alike, own in found.items()
        }

    def _from_hydra(self, words: _Words) -> _Composed:
        from omegaconf import open_dict

        config = self.loader.load_sweep_config(self.master, list(words.given))
        choices = {str(group): str(option) for group, option in config.hydra.runtime.choices.items()}
        with open_dict(config):
            del config["hydra"]
        return _Composed(config, {group: option for group, option in choices.items() if "/" not in group})

    def _sets_a_value(self, text: str) -> bool:
        """Whether an override changes one number or word, and not the choice of an option."""
        override = self._parsed(text)
        key, is_scalar = override.key_or_group, isinstance(override.value(), bool | int | float | str)
        return _is_change(override) and is_scalar and not self.repository.group_exists(key)

    def _fills_one_place(self, text: str) -> bool:
        """Whether an override chooses a file that fills the place of its group, as do the files it brings along."""
        override = self._parsed(text)
        group, option = override.key_or_group, override.value()
        if not (_is_change(override) and isinstance(option, str) and self.repository.group_exists(group)):
            return False
        return "/" not in group and self._stays_inside(f"{group}/{option}")

    def _stays_inside(self, path: str) -> bool:
        """Whether a file, and all it brings along, stay where it is put: it may name another, or one for a part."""
        found = self.repository.load_config(path)
        if found is None or found.header["package"] is not None:
            return False
        return all(default.is_self() or self._is_inside(default, path) for default in found.defaults_list)

    def _is_inside(self, default: Any, path: str) -> bool:  # noqa: ANN401
        """Whether an entry of a file's defaults list stays where that file is put."""
        from hydra.core.default_element import ConfigDefault, GroupDefault

        if isinstance(default, ConfigDefault):
            other, package = f"{path.rpartition('/')[0]}/{default.path}", ""
            inside = default.package is None and "/" not in str(default.path)
        elif isinstance(default, GroupDefault):
            other, package = f"{str(default.group).lstrip('/')}/{default.value}", default.package or "_global_"
            inside = not default.override and str(default.group).startswith("/") and isinstance(default.value, str)
        else:
            return False
        return inside and not package.startswith("_") and "${" not in other and self._stays_inside(other)

    def _has_files_named_by_options(self, words: _Words) -> bool:
        """Whether the options of some groups decide together on a file: ``defaults: [part: ${model}_${tokens}]``."""
        from hydra.types import RunMode

        hydra = self.master.hydra
        given = [*hydra.overrides.hydra, *words.given]
        files = self.loader.compute_defaults_list(hydra.job.config_name, given, RunMode.RUN).defaults
        lists = [getattr(self.repository.load_config(file.config_path), "defaults_list", "${") for file in files]
        return any("${" in str(further) for further in lists)


def _is_change(override: Override) -> bool:
    """Whether an override is of the plain form ``NAME=VALUE``, and not of Hydra's own settings."""
    from hydra.core.override_parser.types import OverrideType

    return (
        override.type == OverrideType.CHANGE and override.package is None and _place(override.key_or_group) != "hydra"
    )


def _place(key: str) -> str:
    """The part of a configuration that a name leads into, be it ``partition.micro`` or ``tica@partition.micro``."""
    return key.rpartition("@")[2].partition(".")[0]


def _varying(texts: Mapping[str, str], changed: str) -> set[str]:
    """A changed part and those that may refer to it, be it by way of others.

    Args:
        texts: Of the parts that refer to others.
        changed: A part.
    """
    varying = {changed, *(part for part, text in texts.items() if re.search(r"\$\{[^}]*\$\{", text))}  # perhaps to it
    while more := {part for part in texts.keys() - varying if any(name in texts[part] for name in varying)}:
        varying |= more
    return varying


def _resolved(config: DictConfig, part: Any) -> Any:  # noqa: ANN401
    """One part of a configuration with all that it refers to."""
    from omegaconf import OmegaConf

    found = config[part]
    is_nested = OmegaConf.is_config(found)
    return OmegaConf.to_container(found, resolve=True, throw_on_missing=True) if is_nested else found
