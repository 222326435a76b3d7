"""Features that are made of others, as they are put together on the command line."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from mdlm.build import build
from mdlm.features.columns import Columns
from mdlm.features.coordinates import Coordinates
from mdlm.features.standard import Standard
from mdlm.features.tica import Tica
from mdlm.features.torsions import Torsions

CONF = Path(__file__).parent.parent.parent / "conf"


def composed(*overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = OmegaConf.to_container(compose("config", list(overrides)), resolve=True, throw_on_missing=True)
    return build(config["features"])


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["features=tica"], Tica(of=Coordinates(), lag_time=200, n_components=2)),
        (["features=tica_torsions"], Tica(of=Torsions(), lag_time=200, n_components=2)),
        (["features=standard"], Standard(of=Coordinates())),
        (["features=tica", "features@features.of=torsions"], Tica(of=Torsions(), lag_time=200, n_components=2)),
        (
            ["features=tica", "features@features.of=torsions", "features.of.angles=[psi]", "features.n_components=1"],
            Tica(of=Torsions(angles=("psi",)), lag_time=200, n_components=1),
        ),
        (
            ["features=tica_torsions", "features@features.of=x"],
            Tica(of=Columns(columns=("x",)), lag_time=200, n_components=2),
        ),
        (["features=tica", "system=chain"], Tica(of=Coordinates(), lag_time=10, n_components=2)),
        (
            ["features=tica", "features@features.of=standard", "features@features.of.of=torsions"],
            Tica(of=Standard(of=Torsions()), lag_time=200, n_components=2),
        ),
        (
            ["features=standard", "features@features.of=tica", "features.of.scaling=kinetic_map"],
            Standard(of=Tica(of=Coordinates(), lag_time=200, n_components=2, scaling="kinetic_map")),
        ),
    ],
)
def test_what_is_inside_is_chosen_on_the_command_line(overrides, expected):
    assert composed(*overrides) == expected
