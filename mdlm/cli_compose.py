"""Hydra's part of a design: from the overrides of a cell to its configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig


class Composer:
    """Composes cells; those that differ in plain values only are composed once and changed."""

    def __init__(self, loader: ConfigLoader, master: DictConfig) -> None:
        from hydra.core.override_parser.overrides_parser import OverridesParser

        self.loader, self.master = loader, master
        self.parser = OverridesParser.create(config_loader=loader)
        self.parsed: dict[str, Override] = {}
        self.composed: dict[object, tuple[DictConfig, dict[str, str]]] = {}

    def __call__(self, overrides: Sequence[str]) -> tuple[dict[str, Any], dict[str, str]]:
        """Resolved configuration, without Hydra's own part and the study's, and the choice of every group."""
        from omegaconf import OmegaConf

        parsed = {text: self._parse(text) for text in overrides}
        changed = {o.key_or_group: o.value() for o in parsed.values() if self._is_plain_value(o)}
        rest = tuple(text for text, override in parsed.items() if override.key_or_group not in changed)
        alike = (rest, frozenset(changed))  # only the values differ, and every value is set anew
        if alike not in self.composed:
            self.composed[alike] = self._composed(overrides)
        config, choices = self.composed[alike]
        for key, value in changed.items():
            OmegaConf.update(config, key, value)
        plain: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
        return plain, choices

    def _composed(self, overrides: Sequence[str]) -> tuple[DictConfig, dict[str, str]]:
        from omegaconf import open_dict

        config = self.loader.load_sweep_config(self.master, list(overrides))
        choices = {str(group): str(option) for group, option in config.hydra.runtime.choices.items()}
        with open_dict(config):
            del config["hydra"]
        return config, {group: option for group, option in choices.items() if "/" not in group}

    def _parse(self, text: str) -> Override:
        if text not in self.parsed:
            self.parsed[text] = self.parser.parse_override(text)
        return self.parsed[text]

    def _is_plain_value(self, override: Override) -> bool:
        """Whether an override changes one number or word, and not the choice of an option."""
        from hydra.core.override_parser.types import OverrideType

        key = override.key_or_group
        is_group = self.loader.repository.group_exists(key) if hasattr(self.loader, "repository") else True
        is_scalar = isinstance(override.value(), bool | int | float | str)
        return override.type == OverrideType.CHANGE and is_scalar and not is_group and not key.startswith("hydra")
