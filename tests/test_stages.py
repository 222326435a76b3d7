from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from mdlm import stages as module
from mdlm.build import build
from mdlm.features.base import Features, FittedFeatures, SelectedColumns
from mdlm.features.coordinates import Coordinates
from mdlm.macrostates.own import Own
from mdlm.macrostates.partitioned import Partitioned
from mdlm.partition.base import Discretiser, Partition
from mdlm.progress import silent
from mdlm.recrossing.base import Recrossing, Treatment
from mdlm.recrossing.coring import Coring
from mdlm.recrossing.keep import Keep
from mdlm.stages import Stages
from mdlm.store import Store
from mdlm.system.base import System
from mdlm.trajectory import Header, Trajectory

DONE = Counter()
"""What the parts below have been asked to do."""


@dataclass(frozen=True, kw_only=True)
class Walk(System):
    seed: int = 0

    @property
    def header(self):
        return Header(("x", "y"), (60,) * 10, 0.5, "ps")

    def trajectories(self, progress=silent):
        DONE["simulated"] += 1
        steps = np.random.default_rng(self.seed).normal(size=(10, 60, 2))
        return Trajectory(tuple(np.cumsum(steps, axis=1)), 0.5, "ps", columns=("x", "y"))


@dataclass(frozen=True)
class Scaled(FittedFeatures):
    mean: np.ndarray

    def transform(self, trajectory):
        DONE["transformed"] += 1
        return replace(
            trajectory, pieces=tuple(piece[:, :1] - self.mean for piece in trajectory.pieces), columns=("x",)
        )


@dataclass(frozen=True, kw_only=True)
class Centred(Features):
    power: int = 1

    def header_of(self, header):
        return replace(header, columns=("x",))

    def fit(self, train):
        DONE["described"] += 1
        return Scaled(np.concatenate(train.pieces)[:, 0].mean() ** self.power)


@dataclass(frozen=True)
class Side(Discretiser):
    above: float

    def states(self, frames):
        return (frames[:, 0] > self.above).astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class Halves(Partition):
    above: float

    def check(self, header):
        pass

    def fit(self, train):
        DONE["partitioned"] += 1
        return Side(train.columns, ("below", "above"), self.above)


@dataclass(frozen=True)
class Flipped(Treatment):
    state: int

    def treat(self, states, described):
        DONE["treated"] += 1
        return replace(states, pieces=tuple(np.where(piece == 0, self.state, piece) for piece in states.pieces))

    def leading(self, states, described):
        return tuple(range(len(states.pieces)))


@dataclass(frozen=True, kw_only=True)
class Flip(Recrossing):
    state: int
    also: tuple[Partition, ...] = ()

    def check(self, header, partition):
        pass

    def fit(self, discretiser, train):
        DONE["fitted a treatment"] += 1
        return Flipped(self.state)


@pytest.fixture(autouse=True)
def _nothing_done():
    DONE.clear()


@pytest.fixture
def stages(tmp_path):
    """Makes stages of the parts above on one store, with some of them replaced."""

    def of(**changes):
        parts = {"system": Walk(lag_time=1.0), "features": Centred(), "partition": Halves(above=0.0)}
        parts["macrostates"] = Own()
        fractions = {"validation_fraction": 0.1, "test_fraction": 0.2}
        return Stages(**parts | {"recrossing": Flip(state=1)} | fractions | changes, store=Store(tmp_path / "cache"))

    return of


@pytest.fixture
def read(monkeypatch):
    """Stages whose files have been read."""
    found, original = [], Store._checked

    def checked(store, path):
        result = original(store, path)
        found.append(path.name.partition("-")[0])
        return result

    monkeypatch.setattr(Store, "_checked", checked)
    return found


def everything(stages):
    """All there is, as bytes and text."""
    clocked = [stages.trajectories]
    for split in (stages.parts, stages.described, stages.states, stages.treated):
        clocked += [split.train, split.validation, split.test]
    arrays = [[(piece.dtype, piece.shape, piece.tobytes()) for piece in part.pieces] for part in clocked]
    clocks = [(part.frame_time, part.time_unit) for part in clocked]
    fitted = (stages.discretiser, stages.fitted_features, repr(stages.effect))  # NaN is not NaN
    judged = ([piece.tobytes() for piece in stages.reference.pieces], stages.lumping.of_state.tolist())
    return arrays, clocks, fitted, judged


def test_each_stage_is_what_its_part_makes_of_the_stage_before(stages):
    made = stages()
    parts = Walk(lag_time=1.0).trajectories().split(0.1, 0.2)
    described = parts.map(Centred().fit(parts.train).transform)
    states = described.map(Halves(above=0.0).fit(described.train).assign)
    for found, expected in ((made.parts, parts), (made.described, described), (made.states, states)):
        for name in ("train", "validation", "test"):
            assert getattr(found, name).lengths == getattr(expected, name).lengths
            for piece, other in zip(getattr(found, name).pieces, getattr(expected, name).pieces, strict=True):
                np.testing.assert_array_equal(piece, other)
    assert [len(part.pieces) for part in (parts.train, parts.validation, parts.test)] == [7, 1, 2]
    assert {state for part in (made.treated.train, made.treated.test) for state in np.unique(part.pieces)} == {1}
    assert made.effect.n_leading == sum(range(7))
    assert made.effect.transitions_before > 0
    assert made.effect.transitions_after == 0
    assert made.effect.fraction_changed == np.mean(np.concatenate(states.train.pieces) == 0)
    assert made.effect.idempotent


def test_a_sweep_computes_each_stage_once_per_distinct_configuration_before_it(stages):
    for above in (0.0, 1.0):
        for state in (0, 1):
            everything(stages(partition=Halves(above=above), recrossing=Flip(state=state)))
    assert DONE["simulated"] == 1
    assert (DONE["described"], DONE["transformed"]) == (1, 3)
    assert DONE["partitioned"] == 2
    assert (DONE["fitted a treatment"], DONE["treated"]) == (4, 4 * 4)  # each part, and training once more


def test_a_second_run_computes_nothing_and_yields_the_same_bits(stages):
    first = everything(stages())
    DONE.clear()
    assert everything(stages()) == first
    assert not DONE


@pytest.mark.parametrize(
    ("asked", "needed"),
    [
        ("trajectories", ["trajectories"]),
        ("parts", ["trajectories"]),
        ("described", ["features"]),
        ("fitted_features", ["features"]),
        ("discretiser", ["partition"]),
        ("states", ["partition"]),
        ("treated", ["recrossing"]),
        ("effect", ["recrossing"]),
        ("reference", ["partition"]),
    ],
)
def test_a_second_run_reads_only_what_is_asked_for(asked, needed, stages, read):
    everything(stages())
    read.clear()
    warm = stages()
    for _ in range(2):
        getattr(warm, asked)
    assert read == needed


def test_a_first_run_reads_nothing_of_what_it_wrote(stages, read):
    everything(stages())
    assert read == []


def test_another_recrossing_needs_no_trajectories(stages, read):
    everything(stages())
    read.clear()
    DONE.clear()
    assert stages(recrossing=Flip(state=0)).treated
    assert sorted(read) == ["features", "partition"]
    assert DONE.keys() == {"fitted a treatment", "treated"}


def test_another_split_is_partitioned_anew_but_not_simulated(stages):
    everything(stages())
    for change in ({"validation_fraction": 0.2}, {"test_fraction": 0.1}):
        DONE.clear()
        everything(stages(**change))
        assert DONE.keys() == {"described", "transformed", "partitioned", "fitted a treatment", "treated"}


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({"system": Walk(lag_time=2.0, wells={"x": (0.0, 1.0)})}, set()),  # how it is judged, not what it is
        ({"system": Walk(lag_time=1.0, seed=1)}, {"simulated", "described", "partitioned", "fitted a treatment"}),
        ({"features": Centred(power=2)}, {"described", "partitioned", "fitted a treatment"}),
        ({"partition": Halves(above=0.5)}, {"partitioned", "fitted a treatment"}),
        ({"recrossing": Flip(state=0)}, {"fitted a treatment"}),
        ({"recrossing": Flip(state=1, also=(Halves(above=0.0),))}, {"fitted a treatment"}),
    ],
)
def test_a_changed_setting_computes_its_stage_and_all_after_it(change, again, stages):
    everything(stages())
    DONE.clear()
    everything(stages(**change))
    assert DONE.keys() - {"transformed", "treated"} == again


@pytest.mark.parametrize(
    ("name", "again"),
    [
        ("mdlm.system.base", {"simulated", "described", "partitioned", "fitted a treatment"}),
        ("mdlm.trajectory", {"described", "partitioned", "fitted a treatment"}),  # how it is split
        ("mdlm.features.base", {"described", "partitioned", "fitted a treatment"}),
        ("mdlm.partition.base", {"partitioned", "fitted a treatment"}),
        ("mdlm.recrossing.base", {"fitted a treatment"}),
        ("mdlm.recrossing.effect", {"fitted a treatment"}),
        ("mdlm.recrossing.coring", set()),
        ("mdlm.kinetics.msm", set()),
    ],
)
def test_changed_code_computes_its_stage_and_all_after_it(name, again, stages, edited):
    everything(stages())
    DONE.clear()
    edited(name)
    everything(stages())
    assert DONE.keys() - {"transformed", "treated"} == again


def files(stages, stage):
    return list(stages.store.directory.glob(f"{stage}-*.safetensors"))


def test_columns_of_the_trajectories_are_not_stored_twice(stages):
    for _ in range(2):
        made = stages(features=Coordinates())
        assert made.fitted_features == SelectedColumns(("x", "y"))
        assert np.shares_memory(made.described.train.pieces[0], made.trajectories.pieces[0])
    assert files(made, "features") == []
    assert len(files(made, "trajectories")) == 1
    assert DONE["simulated"] == 1


def test_states_that_are_kept_are_not_stored_twice(stages):
    made = stages(recrossing=Keep())
    assert made.treated is made.states
    assert made.effect.fraction_changed == 0
    assert made.effect.transitions_before == made.effect.transitions_after > 0
    assert made.effect.idempotent
    assert files(made, "recrossing") == []


def test_macrostates_are_found_once_per_partition_and_kept(stages, read):
    judge = Partitioned(features=Centred(), partition=Halves(above=0.5))
    for above in (0.0, 1.0):
        for state in (0, 1):
            everything(stages(partition=Halves(above=above), recrossing=Flip(state=state), macrostates=judge))
    assert DONE["partitioned"] == 2 + 2  # the run's own partitions, and the macrostates' for each
    read.clear()
    DONE.clear()
    warm = stages(partition=Halves(above=1.0), macrostates=judge)
    assert warm.lumping.n_macrostates == 2
    assert sum(warm.reference.lengths) == 600
    assert read == ["macrostates"]
    assert not DONE


def test_macrostates_that_are_the_states_are_not_stored_twice(stages):
    made = stages()
    assert [piece.tobytes() for piece in made.reference.pieces[:7]] == [p.tobytes() for p in made.states.train.pieces]
    assert files(made, "macrostates") == []


def test_a_part_in_mdlm_and_one_of_a_users_own_go_together(stages):
    first = everything(stages(recrossing=Coring(residence_time=1.0, iterative=True)))
    assert everything(stages(recrossing=Coring(residence_time=1.0, iterative=True))) == first
    assert DONE["partitioned"] == 1


CONF = Path(__file__).parent.parent / "conf"
GROUPS = ("features", "partition", "recrossing")
OF_MOLECULES = {  # which no system here is
    *("contacts", "pair_distances", "torsions", "tica_distances", "tica_torsions"),
    *("phi", "psi", "rmsd", "pcca_rmsd"),
}
OPTIONS = {f"{group}={path.stem}" for group in GROUPS for path in (CONF / group).glob("*.yaml")}
NEEDS = {
    "features=standard": ["partition=kmeans"],
    "features=tica": ["partition=kmeans"],
    "partition=labels": ["system=chain"],
    "partition=sin_bins": ["features=x"],
    "recrossing=core_set_membership": ["partition=pcca"],
}
SMALL = ["system.n_walkers=10", "system.n_steps=1_000_000"]


@pytest.mark.parametrize("option", sorted(option for option in OPTIONS if option.split("=")[1] not in OF_MOLECULES))
def test_what_every_option_makes_is_read_back(option, tmp_path, caplog, read):
    needs = NEEDS.get(option, [])
    words = [option, *needs, f"cache_dir={tmp_path}", *([] if "system=chain" in needs else SMALL)]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = OmegaConf.to_container(compose("config", words), resolve=True, throw_on_missing=True)
    experiment = build(config)
    first, second = [
        (stages.trajectories, stages.fitted_features, stages.discretiser, stages.treated, stages.effect)
        for stages in (experiment.stages(), experiment.stages())
    ]
    assert repr(first) == repr(second)
    assert set(read) == {file.name.partition("-")[0] for file in tmp_path.glob("*.safetensors")}
    assert caplog.text == ""


def test_modules_of_nested_parts_may_be_read():
    assert module._modules(Coring(residence_time=1.0, iterative=True)) == {"mdlm"}
    assert module._modules(Flip(state=1)) == {__name__, "mdlm"}
    assert module._modules([{"of": (Halves(above=0.0),)}, 3, "x"]) == {__name__, "mdlm"}


def test_a_damaged_stage_is_computed_from_the_stored_one_before_it(stages, caplog):
    everything(stages())
    DONE.clear()
    (file,) = files(stages(), "recrossing")
    file.write_bytes(file.read_bytes()[:-1])
    everything(stages())
    assert "is damaged" in caplog.text
    assert DONE.keys() == {"fitted a treatment", "treated"}


def test_no_bar_is_shown_inside_another(stages, monkeypatch):
    """A terminal shows one at a time."""
    shown, open_bars = [], []

    @contextmanager
    def bar(description):
        assert not open_bars
        open_bars.append(description)
        yield silent
        shown.append(open_bars.pop())

    monkeypatch.setattr(module, "bar", bar)
    assert stages().effect
    name = __name__
    assert shown == [f"{doing} {name}" for doing in ("trajectories of", "describing:", "partitioning:", "treating:")]
    shown.clear()
    everything(stages())
    assert shown == []
