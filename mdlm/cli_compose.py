"""Hydra's part of a design: from the overrides of a cell to its configuration, without composing every cell.

What Hydra composes is a list of files, merged in order, with values set on top. Two kinds of overrides change so little
of it that the result is known, exactly, without composing again:

- a *value*, such as ``training.batch_size=32``: it is set on a configuration that was composed before;
- a *plain option*, such as ``model=lstm``: it exchanges one file, which brings no others along, and so changes what
  stands under the name of its group and nothing else.

So a design is composed as often as the group with the most options has some, each time with options of all groups that
were not seen before, instead of once per combination of options. Everything else is left to Hydra.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
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


class _Composed:
    """The configuration of a combination.

    Attributes:
        config: Without Hydra's own part; values are set in it.
        choices: The option of every group.
    """

    def __init__(self, config: DictConfig, choices: dict[str, str], values: Collection[str]) -> None:
        self.config, self.choices = config, choices
        affected = {name: _varying(config, {_part(name)}) for name in values}
        self.deciding = {part: [name for name in values if part in affected[name]] for part in config}
        self.resolved: dict[object, Any] = {}
        """By a part and the values that may decide it: cells share what is the same in them."""

    def plain(self, values: Mapping[str, str], parsed: Callable[[str], Override]) -> dict[str, Any]:
        """All of it, resolved, with these values."""
        from omegaconf import OmegaConf

        keys = {part: (part, *(values[name] for name in names)) for part, names in self.deciding.items()}
        missing = [part for part, key in keys.items() if key not in self.resolved]
        if missing:
            for name, text in values.items():
                OmegaConf.update(self.config, name, parsed(text).value())
        for part in missing:
            self.resolved[keys[part]] = _resolved(self.config, part)
        return {str(part): self.resolved[key] for part, key in keys.items()}


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


class Composer:
    """Composes the cells of a design, and others; its loader reads every file once from then on."""

    def __init__(self, loader: ConfigLoader, master: DictConfig, design: Sequence[Sequence[str]] = ()) -> None:
        from hydra.core.override_parser.overrides_parser import OverridesParser

        self.repository: Any = _ReadOnce(loader.repository)  # Hydra has only one loader
        loader.repository = self.repository
        self.loader, self.master, self.design = loader, master, design
        self._parsed = cache(OverridesParser.create(config_loader=loader).parse_override)
        self._is_value, self._is_plain_option = cache(self._sets_a_value), cache(self._exchanges_one_file)
        self.composed: dict[object, _Composed] = {}
        self.first: dict[object, _Words] = {}
        """Of the cells that are alike, the one that was composed first, where others can be made of it."""
        self.holding: dict[object, dict[str, _Words]] = {}
        """By the cells that are alike and an option: which composed ones have it."""

    def __call__(self, overrides: Sequence[str]) -> tuple[dict[str, Any], dict[str, str]]:
        """Resolved configuration, without Hydra's own part and the study's, and the choice of every group."""
        words = self._sorted(overrides)
        composed = self._composed(words)
        return composed.plain(words.values, self._parsed), composed.choices

    def _sorted(self, overrides: Sequence[str]) -> _Words:
        options = {self._parsed(text).key_or_group: text for text in overrides if self._is_plain_option(text)}
        values = {self._parsed(text).key_or_group: text for text in overrides if self._is_value(text)}
        rest = {text for text in overrides if text not in {*options.values(), *values.values()}}
        touched = {_part(self._parsed(text).key_or_group) for text in rest}  # there the order may count
        return _Words(tuple(overrides), options, {k: text for k, text in values.items() if _part(k) not in touched})

    def _composed(self, words: _Words) -> _Composed:
        """The configuration of a cell but for its values, which are all set anew."""
        if words.combination not in self.composed:
            first = self.first.get(words.alike)
            config, choices = self._from_hydra(words) if first is None else self._assembled(words, first)
            if first is None and not self._has_files_named_by_options(words):
                self.first[words.alike] = words
            self.composed[words.combination] = _Composed(config, choices, words.values)
        return self.composed[words.combination]

    def _assembled(self, words: _Words, first: _Words) -> tuple[DictConfig, dict[str, str]]:
        """From the first configuration of its kind, and from others that hold the options it does not."""
        from omegaconf import open_dict

        new = {group: text for group, text in words.options.items() if text != first.options[group]}
        composed = self._composed(first)
        config, choices = deepcopy(composed.config), dict(composed.choices)
        for group, text in new.items():
            other = self._with_option(first, group, text)
            choices[group] = other.choices[group]
            with open_dict(config):
                config[group] = other.config[group]
        return config, choices

    def _with_option(self, first: _Words, group: str, text: str) -> _Composed:
        """A configuration with this option and, of every other group, one that no configuration holds yet."""
        holding = self.holding.setdefault(first.alike, dict.fromkeys(first.options.values(), first))
        if text not in holding:
            options = self._options.get(first.alike, {})
            unseen = {own: [option for option in given if option not in holding] for own, given in options.items()}
            words = first.exchanged({own: given[0] for own, given in unseen.items() if given} | {group: text})
            self.composed[words.combination] = _Composed(*self._from_hydra(words), words.values)
            holding |= {option: words for option in words.options.values() if option not in holding}
        return self.composed[holding[text].combination]

    @cached_property
    def _options(self) -> dict[object, dict[str, list[str]]]:
        """Those of every group in the design, by the cells that are alike; known once Hydra has found its folders."""
        found: dict[object, dict[str, list[str]]] = {}
        for words in map(self._sorted, self.design):
            for group, text in words.options.items():
                found.setdefault(words.alike, {}).setdefault(group, []).append(text)
        return {
            alike: {group: list(dict.fromkeys(texts)) for group, texts in own.items()} for alike, own in found.items()
        }

    def _from_hydra(self, words: _Words) -> tuple[DictConfig, dict[str, str]]:
        from omegaconf import open_dict

        config = self.loader.load_sweep_config(self.master, list(words.given))
        choices = {str(group): str(option) for group, option in config.hydra.runtime.choices.items()}
        with open_dict(config):
            del config["hydra"]
        return config, {group: option for group, option in choices.items() if "/" not in group}

    def _sets_a_value(self, text: str) -> bool:
        """Whether an override changes one number or word, and not the choice of an option."""
        override = self._parsed(text)
        key, is_scalar = override.key_or_group, isinstance(override.value(), bool | int | float | str)
        return _is_change(override) and is_scalar and not self.repository.group_exists(key)

    def _exchanges_one_file(self, text: str) -> bool:
        """Whether an override chooses a file that fills the place of its group, and brings no other files along."""
        override = self._parsed(text)
        group, option = override.key_or_group, override.value()
        if not (_is_change(override) and isinstance(option, str) and self.repository.group_exists(group)):
            return False
        found = self.repository.load_config(f"{group}/{option}") if "/" not in group else None
        return found is not None and not found.defaults_list and found.header["package"] is None

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

    return override.type == OverrideType.CHANGE and override.package is None and _part(override.key_or_group) != "hydra"


def _part(key: str) -> str:
    """The part of a configuration that a name leads into."""
    return key.partition(".")[0]


def _varying(config: DictConfig, changed: set[str]) -> set[str]:
    """The changed parts of a configuration and those that may refer to them, be it by way of others."""
    from omegaconf import OmegaConf

    unresolved: Any = OmegaConf.to_container(config)
    texts = {str(part): text for part, value in unresolved.items() if "${" in (text := repr(value))}
    varying = changed | {
        part for part, text in texts.items() if re.search(r"\$\{[^}]*\$\{", text)
    }  # to what, is unknown
    while more := {part for part in texts.keys() - varying if any(name in texts[part] for name in varying)}:
        varying |= more
    return varying


def _resolved(config: DictConfig, part: Any) -> Any:  # noqa: ANN401
    """One part of a configuration with all that it refers to."""
    from omegaconf import OmegaConf

    found = config[part]
    is_nested = OmegaConf.is_config(found)
    return OmegaConf.to_container(found, resolve=True, throw_on_missing=True) if is_nested else found
