"""Features of features on the command line."""

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

CONF = Path(__file__).parents[2] / "conf"


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["features=tica"], Tica(of=Coordinates(), lag_time=200, n_components=2)),
        (["features=tica", "features@features.of=y"], Tica(of=Columns(columns=("y",)), lag_time=200, n_components=2)),
        (
            ["features=tica_torsions", "features.of.angles=[chi1]", "features.lag_time=5"],
            Tica(of=Torsions(angles=("chi1",)), lag_time=5, n_components=2),
        ),
        (
            ["features=standard", "features@features.of=tica", "features@features.of.of=torsions"],
            Standard(of=Tica(of=Torsions(), lag_time=200, n_components=2)),
        ),
    ],
)
def test_inner_features_are_chosen_like_outer_ones(overrides, expected):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = OmegaConf.to_container(compose("config", overrides), resolve=True)
    assert build(config["features"]) == expected
