"""What Hydra finds of mdlm: a sweeper that leaves the checking to the launcher, and the launchers of studies.

Hydra takes plugins from this top-level package only, and imports all of it at every start: so nothing heavy here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


class Design(BasicSweeper):  # type: ignore[misc]  # Hydra carries no types
    """Hydra's own grid of comma-separated values.

    A study's launcher composes and checks every cell itself, all before the first of them runs, so what Hydra does
    beforehand (compose each one, 0.1 s, and write into the sweep's folder) is left out for it.
    """

    def sweep(self, arguments: list[str]) -> Any:  # noqa: ANN401
        """See `hydra.plugins.sweeper.Sweeper.sweep`."""
        if not isinstance(self.launcher, StudyLauncher):
            return super().sweep(arguments)
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        (cells,) = self.split_arguments(overrides, None)
        return self.launcher.launch(cells, 0)


class StudyLauncher(Launcher):  # type: ignore[misc]
    """Hands the cells of a sweep to `mdlm.cli_launch`."""

    def __init__(self, action: str, **settings: Any) -> None:  # noqa: ANN401
        self.action = action
        self.settings: Mapping[str, Any] = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """See `hydra.plugins.launcher.Launcher.setup`."""
        self.hydra_context, self.config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """See `hydra.plugins.launcher.Launcher.launch`; the results are in the cells' folders."""
        from mdlm.cli_launch import launch

        settings: Any = OmegaConf.to_container(OmegaConf.create(dict(self.settings)), resolve=True)
        launch(self.hydra_context.config_loader, self.config, job_overrides, self.action, settings)
        return []


class LocalLauncher(StudyLauncher):
    """A pool of processes on this machine; see `mdlm.study.local`."""


class SlurmLauncher(StudyLauncher):
    """Jobs of a Slurm cluster; see `mdlm.study.slurm`."""
