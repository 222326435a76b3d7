import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from mdlm.build import ConfigError, build, flat
from mdlm.experiment import Experiment
from mdlm.model.config import ModelConfig
from mdlm.model.lstm import LSTMConfig
from mdlm.partition.grid import Grid
from mdlm.partition.labels import Labels
from mdlm.system.base import System

CONF = Path(__file__).parent.parent / "conf"
GROUPS = (
    "features",
    "partition",
    "recrossing",
    "tokens",
    "macrostates",
    "model",
    "training",
    "sampling",
    "system",
    "kinetics",
    "baselines",
    "tracking",
)
OPTIONS = sorted((path.parent.name, path.stem) for group in GROUPS for path in (CONF / group).glob("*.yaml"))
EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))

LSTM = {"_target_": "mdlm.model.lstm.LSTMConfig", "embedding": 4, "hidden": 8, "layers": 1, "dropout": 0.0}
GRID = {"_target_": "mdlm.partition.grid.Grid", "low": -1.0, "high": 1.0, "n_bins": 4}


@dataclass(frozen=True)
class Inner:
    """For a test of nesting."""

    path: Path
    values: tuple[float, ...]
    name: str | None = None


@dataclass(frozen=True)
class Outer:
    """For a test of nesting."""

    inner: Inner
    model: ModelConfig
    many: dict[str, list[int]]

    def __post_init__(self):
        if not self.many:
            raise ValueError("many ({}) must name something")


def mine(name, /, **values):
    return {"_target_": f"{__name__}.{name}", **values}


TRUSTED = ("mdlm", __name__)


def composed(*overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return OmegaConf.to_container(compose("config", list(overrides)), resolve=True, throw_on_missing=True)


@pytest.fixture(scope="module")
def plain():
    """The configuration of `mdlm train` as it is without overrides."""
    return composed()


def test_a_tree_becomes_objects_with_converted_values():
    inner = mine("Inner", path="some/where", values=[1, "2.5"])
    built = build(mine("Outer", inner=inner, model=LSTM | {"hidden": "16"}, many={"a": [1, 2.0]}), TRUSTED)
    expected_inner = Inner(Path("some/where"), (1.0, 2.5), None)
    assert built == Outer(expected_inner, LSTMConfig(4, 16, 1, 0.0), {"a": [1, 2]})
    assert isinstance(built.inner.values, tuple)
    assert isinstance(built.model.hidden, int)


def test_what_has_no_target_stays_as_it_is():
    assert build({"a": [1, {"b": None}], "c": "x"}) == {"a": [1, {"b": None}], "c": "x"}
    assert build([LSTM, 3]) == [LSTMConfig(4, 8, 1, 0.0), 3]


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (LSTM | {"hidden": "many"}, "model.hidden ('many'): input should be a valid integer, unable to parse"),
        (LSTM | {"hidden": 1.5}, "model.hidden (1.5): input should be a valid integer, got a number with a fractional"),
        (LSTM | {"hidden": None}, "model.hidden (None): input should be a valid integer"),
        (LSTM | {"hidden": 0}, "model.hidden (0) must be at least 1"),
        (LSTM | {"hiden": 8}, "model.hiden is no option of LSTMConfig; did you mean hidden?"),
        (LSTM | {"q": 8}, "model.q is no option of LSTMConfig; there are anchor, embedding, hidden, layers, dropout"),
        ({k: v for k, v in LSTM.items() if k != "layers"}, "model.layers is missing"),
        (LSTM | {"_target_": "os.system"}, "model._target_ (os.system) must lie in mdlm"),
        (LSTM | {"_target_": "mdlm_evil.X"}, "model._target_ (mdlm_evil.X) must lie in mdlm"),
        (LSTM | {"_target_": "LSTM"}, "model._target_ (LSTM) must lie in mdlm"),
        (LSTM | {"_target_": None}, "model._target_ (None) must lie in mdlm"),
        (LSTM | {"_target_": "mdlm.model.none.X"}, "model._target_ (mdlm.model.none.X) cannot be imported: No module"),
        (LSTM | {"_target_": "mdlm.model.lstm.X"}, "model._target_ (mdlm.model.lstm.X) cannot be imported: module"),
        (
            LSTM | {"_target_": "mdlm.model.lstm_model.LSTM"},
            "model._target_ (mdlm.model.lstm_model.LSTM) must be a dataclass",
        ),
        (LSTM | {"_target_": "mdlm.build.build"}, "model._target_ (mdlm.build.build) must be a dataclass"),
        # a union of one number and one for each feature: neither pydantic's name of the member, nor only the first
        (GRID | {"low": "left"}, "model.low ('left'): input should be a valid number"),
        (GRID | {"low": [0, "left"]}, "model.low.1 ('left'): input should be a valid number"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_its_place(node, message):
    with pytest.raises(ConfigError, match="^" + re.escape(message)) as raised:
        build({"model": node})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inner": mine("Inner", path="x", values=[1, "q"])}, "inner.values.1 ('q'): input should be a valid number"),
        ({"inner": mine("Inner", path="x", values=[], name=3)}, "inner.name (3): input should be a valid string"),
        ({"inner": mine("Inner", path="x")}, "inner.values is missing"),
        ({"inner": {"path": "x"}}, "inner.values is missing"),
        ({"many": {"a": [1], "b": [2, "x"]}}, "many.b.1 ('x'): input should be a valid integer"),
        ({"many": {}}, "many ({}) must name something"),
        ({"model": GRID}, "model (Grid(low=-1.0, high=1.0, n_bins=4)): input should be"),
        ({"model": "lstm"}, "model ('lstm'): input should be"),
        ({"model": {k: v for k, v in LSTM.items() if k != "_target_"}}, "model._target_ is missing"),
    ],
)
def test_the_place_inside_nested_parts_is_named(changes, message):
    fields = {"inner": mine("Inner", path="x", values=[1]), "model": LSTM, "many": {"a": [1]}} | changes
    with pytest.raises(ConfigError, match="^" + re.escape(message)) as raised:
        build(mine("Outer", **fields), TRUSTED)
    assert "\n" not in str(raised.value)


def test_the_place_in_a_list_is_named():
    with pytest.raises(ConfigError, match=r"^parts\[1\].hidden \(0\) must be at least 1$"):
        build({"parts": [LSTM, LSTM | {"hidden": 0}]})


def test_a_users_module_must_be_trusted_by_name():
    node = mine("Inner", path="x", values=[])
    assert build(node, TRUSTED) == Inner(Path("x"), ())
    with pytest.raises(ConfigError, match=rf"^_target_ \({__name__}.Inner\) must lie in mdlm$"):
        build(node)


def test_flat_names_every_leaf_and_keeps_empty_groups():
    assert flat({"a": {"b": {"c": 1}, "d": []}, "e": {}}) == {"a.b.c": 1, "a.d": [], "e": {}}


def test_the_default_experiment_is_built(plain):
    experiment = build(plain)
    assert isinstance(experiment, Experiment)
    for field in dataclasses.fields(Experiment):
        if field.name in GROUPS:
            assert type(getattr(experiment, field.name)).__module__.startswith(f"mdlm.{field.name}")
    assert experiment.seed == plain["seed"]
    assert isinstance(experiment.cache_dir, Path)


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_can_be_built(group, option):
    """Alone and with all the rest; every value it gives reaches the object."""
    config = composed(f"{group}={option}")
    part = build(config[group])
    assert type(part).__module__.split(".")[:2] == ["mdlm", group]
    assert set(config[group]) - {"_target_"} <= {field.name for field in dataclasses.fields(part)}
    assert getattr(build(config), group) == part


def test_the_microstates_of_pcca_are_an_option_of_their_own():
    config = composed("partition=pcca", "partition@partition.micro=labels", "partition.micro.n_states=7")
    assert build(config).partition.micro == Labels(n_states=7)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_published_grid_can_be_built(name):
    assert isinstance(build(composed(f"experiment={name}")), Experiment)


SYSTEMS = sorted(path.stem for path in (CONF / "system").glob("*.yaml"))


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_a_system_brings_can_be_replaced(system):
    """A system's own defaults for other groups must not stand in the way of a choice."""
    config = composed(f"system={system}", "features=x", "partition=grid", "macrostates=own", "recrossing=coring")
    assert type(build(config["macrostates"])).__name__ == "Own"
    assert type(build(config["partition"])) is Grid


def test_every_group_has_options():
    assert {group for group, _ in OPTIONS} == set(GROUPS)
    assert len(OPTIONS) > len(GROUPS)


@pytest.mark.parametrize(
    ("group", "key", "value", "message"),
    [
        ("system", "n_walkers", 0, "system.n_walkers (0)"),
        ("training", "learning_rate", "fast", "training.learning_rate ('fast'): input should be a valid number"),
        ("training", "precision", "half", "training.precision ('half'): input should be"),
        ("training", "device", "gpu", "training.device (gpu) must be auto, cpu, cuda or cuda:N"),
        ("sampling", "chain_lenght", 5, "sampling.chain_lenght is no option of Sampling; did you mean chain_length?"),
    ],
)
def test_a_wrong_value_in_the_whole_configuration_is_found(plain, group, key, value, message):
    with pytest.raises(ConfigError, match="^" + re.escape(message)):
        build({**plain, group: {**plain[group], key: value}})


def test_parts_without_their_target_are_missed_by_name(plain):
    for group, kind in (("system", System), ("partition", Grid.__base__), ("model", ModelConfig)):
        assert dataclasses.is_dataclass(kind)
        node = {key: value for key, value in plain[group].items() if key != "_target_"}
        with pytest.raises(ConfigError, match=rf"^{group}._target_ is missing$"):
            build({**plain, group: node})
