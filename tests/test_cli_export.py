"""`mdlm export`: sampled chains as movies of training frames."""

import shutil

import mdtraj
import numpy as np
import pytest
import yaml

from mdlm.build import build
from mdlm.kinetics.estimate import markov_state_model
from mdlm.kinetics.events import slow_sides

SYSTEMS = """\
from dataclasses import dataclass
import numpy as np
from mdlm.system.base import System
from mdlm.trajectory import Header, Trajectory

NAMES = ("ACE1-C", "ALA2-N", "ALA2-CA", "ALA2-C", "NME3-N")

@dataclass(frozen=True, kw_only=True)
class Plane(System):
    # Two wells at x = -1 and 1.
    @property
    def header(self):
        return Header(("x", "y"), (2000,) * 10, 0.5, "ns")
    def hops(self, rng):
        return np.cumsum(rng.random(2000) < 0.01) % 2
    def trajectories(self, progress=None):
        rng = np.random.default_rng(0)
        pieces = tuple(self.frames(self.hops(rng), rng).astype(np.float32) for _ in range(10))
        return Trajectory(pieces, 0.5, "ns", self.header.columns)
    def frames(self, hops, rng):
        return np.stack([2.0 * hops - 1, 0.0 * hops], axis=1) + 0.2 * rng.normal(size=(len(hops), 2))

@dataclass(frozen=True, kw_only=True)
class Molecule(Plane):
    # Two shapes, told apart by their first column, which is of no atom.
    @property
    def header(self):
        columns = tuple(f"{name}.{axis}" for name in NAMES for axis in "xyz")
        return Header(("shape", *columns), (2000,) * 10, 0.5, "ns")
    def frames(self, hops, rng):
        atoms = np.random.default_rng(1).normal(size=(2, 15))[hops] + 0.02 * rng.normal(size=(len(hops), 15))
        return np.concatenate([2.0 * hops[:, None] - 1, atoms], axis=1)
"""
COMMON = ["partition=wells", "macrostates=own", "model=markov", "tracking=none", "kinetics.n_resamples=20"]
CHAINS = ["sampling.n_chains=5", "sampling.chain_length=700", "kinetics.n_lags=3"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, mdlm):
    """A folder with finished runs of two systems of a user's own: ``plane``, ``dwell`` and ``molecule``."""
    folder = tmp_path_factory.mktemp("export")
    conf = folder / "conf"
    (conf / "system").mkdir(parents=True)
    (conf / "systems_of_an_export_test.py").write_text(SYSTEMS)
    for name, wells in (("plane", "{x: [-1, 1], y: [0, 0]}"), ("molecule", "{shape: [-1, 1]}")):
        target = f"systems_of_an_export_test.{name.capitalize()}"
        (conf / "system" / f"{name}.yaml").write_text(f"# {name}\n_target_: {target}\nlag_time: 10\nwells: {wells}\n")
    runs = {
        "plane": ["system=plane", "recrossing=coring", "stride=2", "recrossing.residence_time=5"],
        "dwell": ["system=plane", "tokens=dwell"],
        "molecule": ["system=molecule", "features=x", "features.columns=[shape]"],
    }
    for name, words in runs.items():
        ended = mdlm("train", "--config-dir", "conf", *words, *COMMON, *CHAINS, f"hydra.run.dir={name}", cwd=folder)
        assert ended.code == 0, ended.err
    return folder


@pytest.fixture
def export(mdlm, folder):
    """Call `mdlm export` there."""
    return lambda *words: mdlm("export", "--config-dir", "conf", *words, cwd=folder)


def stages(folder, run):
    """The stages of a run, built from its configuration; after an export the classes can be imported."""
    config = yaml.safe_load((folder / run / "config.yaml").read_text())
    config["cache_dir"] = str(folder / config["cache_dir"])
    return build(config, {"mdlm", "systems_of_an_export_test"}).stages()


def sampled(folder, run, chain):
    with np.load(folder / run / "sampled.npz") as file:
        if "decoded_states" in file:
            return np.split(file["decoded_states"], np.cumsum(file["decoded_lengths"])[:-1])[chain]
    return np.load(folder / run / "chains.npy")[chain]


@pytest.mark.parametrize("draw", ["nearest", "random"])
@pytest.mark.parametrize("run", ["plane", "dwell"])
def test_the_path_of_a_plane_goes_through_training_frames_of_the_sampled_states(run, draw, export, folder):
    ended = export(f"run={run}", "chain=3", "frames=40:90", f"draw={draw}", f"output={run}-{draw}.npz", "seed=4")
    assert ended.code == 0, ended.err
    assert ended.out.split() == [f"{run}-{draw}.npz", f"{run}-{draw}.png"]
    path, found = sampled(folder, run, 3)[40:90], stages(folder, run)
    frames, states = np.concatenate(found.parts.train.pieces), np.concatenate(found.treated.train.pieces)
    with np.load(folder / f"{run}-{draw}.npz") as file:
        np.testing.assert_array_equal(file["states"], path)
        token_time = 1.0 if run == "plane" else 0.5  # ns
        np.testing.assert_allclose(file["times"], token_time * np.arange(40, 90))
        for frame, state in zip(file["frames"], path, strict=True):
            (numbers,) = np.nonzero((frames == frame).all(axis=1))
            assert (states[numbers] == state).any()


@pytest.mark.parametrize("run", ["plane", "dwell"])
def test_chains_of_mdlm_sample_are_shown_instead_of_the_runs_own(run, mdlm, export, folder, tmp_path):
    out = tmp_path / ("more.npy" if run == "plane" else "more.npz")
    ended = mdlm("sample", f"run={run}", "n_chains=7", f"out={out}", "--config-dir", "conf", cwd=folder)
    assert ended.code == 0, ended.err
    ended = export(f"run={run}", "chain=6", "frames=0:90", f"sampled={out}", f"output={tmp_path / 'path.npz'}")
    assert ended.code == 0, ended.err
    loaded = np.load(out)
    chain = loaded[6] if run == "plane" else loaded[loaded.files[6]]
    np.testing.assert_array_equal(np.load(tmp_path / "path.npz")["states"], chain[:90])


def test_a_movie_of_a_molecule_shows_training_frames_of_the_sampled_states(export, folder):
    ended = export("run=molecule", "chain=1", "frames=0:200", "output=movies/m.xtc")
    assert (ended.code, ended.out.split()) == (0, ["movies/m.xtc", "movies/m.pdb"])
    movie = mdtraj.load(folder / "movies" / "m.xtc", top=folder / "movies" / "m.pdb")
    assert [str(atom) for atom in movie.topology.atoms] == ["ACE1-C", "ALA2-N", "ALA2-CA", "ALA2-C", "NME3-N"]
    np.testing.assert_allclose(movie.time, 500 * np.arange(200))  # ps
    found, path = stages(folder, "molecule"), sampled(folder, "molecule", 1)[:200]
    assert set(path) == {0, 1}
    frames, states = np.concatenate(found.parts.train.pieces), np.concatenate(found.treated.train.pieces)
    training = mdtraj.Trajectory(frames[:, 1:].reshape(len(frames), -1, 3), movie.topology)
    for number, state in list(enumerate(path))[::8]:
        distances = mdtraj.rmsd(training, movie, number)
        assert states[distances.argmin()] == state
        assert distances.min() < 0.002  # nm, the precision of the file


def test_an_event_contains_its_crossing_and_the_margin(export, folder):
    """The N-th change of side that lasts, through all chains; noise apart the crossing is where the state changes."""
    lag = 10
    words = ["run=plane", "event=2", "draw=random"]
    assert export(*words, "margin=0", "output=event.npz").code == 0
    assert export(*words, "margin=7", "output=wide.npz").code == 0
    found = stages(folder, "plane")
    codes = slow_sides(markov_state_model(found.reference, 10)).codes
    with np.load(folder / "event.npz") as event, np.load(folder / "wide.npz") as wide:
        side = codes[event["states"]]
        assert (side[: lag // 2].mean() > 0.5) != (side[-(lag // 2) :].mean() > 0.5)
        assert wide["times"][0] == max(0, event["times"][0] - 7)
        assert len(wide["times"]) <= len(event["times"]) + 14
        assert set(event["times"]) < set(wide["times"])


def test_there_are_as_many_events_as_the_verdict_counts(export, folder):
    error = export("run=plane", "event=100000").error
    metrics = yaml.safe_load((folder / "plane" / "metrics.json").read_text())
    n_events = int(metrics["n_slow_events_sampled"])
    assert f"event (100000) must be one of those of the sampled chains, 0..{n_events - 1}" in error
    assert export("run=plane", f"event={n_events - 1}", "output=last.csv").code == 0
    assert f"event ({n_events})" in export("run=plane", f"event={n_events}").error


def test_without_more_words_the_first_chain_begins_in_the_runs_folder(export, folder):
    ended = export("run=plane")
    assert ended.out.split() == ["plane/chain0_0-500.csv", "plane/chain0_0-500.png"]
    first = (folder / "plane" / "chain0_0-500.csv").read_text()
    assert export("run=plane", "frames=0:500", "chain=0").code == 0
    assert (folder / "plane" / "chain0_0-500.csv").read_text() == first


def test_a_pruned_cache_is_filled_again(export, folder):
    assert export("run=plane", "output=before.csv").code == 0
    ended = export("run=plane", "output=after.csv", "cache_dir=elsewhere")
    assert (ended.code, ended.err) == (0, "")
    assert (folder / "before.csv").read_text() == (folder / "after.csv").read_text()
    assert list((folder / "elsewhere").glob("trajectories-*.safetensors"))


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], "run is missing"),
        (["run="], "run must be the folder"),
        (["run=nowhere"], "run (nowhere) must be the folder of a finished run; it has no config.yaml"),
        (["run=unfinished"], "run (unfinished) must be the folder of a finished run; it has no sampled.npz"),
        (["run=damaged"], "sampled.npz is damaged"),
        (["run=plane", "sampled=plane/config.yaml"], "sampled: plane/config.yaml is damaged or no file of chains"),
        (["run=plane", "sampled=none.npy"], "none.npy"),
        (["run=plane", "sampled=decimal.npy"], "sampled: decimal.npy holds no chains of states"),
        (["run=other"], "its partition had 3 states"),
        (["run=labels"], "its system gives state labels and no coordinates; there is nothing to show"),
        (["run=plane", "chain=5"], "chain (5) must be one of the run's sampled chains, 0..4"),
        (["run=plane", "chain=-1"], "chain (-1) must be at least 0"),
        (["run=plane", "frames=0:701"], "frames (0:701) must be a part of 0:700"),
        (["run=plane", "frames=7:7"], "frames (7:7) must be a part of 0:700"),
        (["run=plane", "frames=7"], "frames (7) must be the first frame and the one after the last, such as 0:500"),
        (["run=plane", "output=movie.xtc"], "output (movie.xtc) must end in .csv, .npy, .npz, .png for columns x, y"),
        (["run=molecule", "output=m.mp4"], "output (m.mp4) must end in .xtc, .trr, .dcd, .pdb for a molecule"),
        (["run=plane", "output=file/a.csv"], "file"),
        (["run=plane", "draw=best"], "draw (best) must be one of nearest, random"),
        (["run=plane", "seed=-1"], "seed (-1) must be at least 0"),
        (["run=plane", "event=0", "chain=1"], "event (0) has its own chain and frames; leave out chain"),
        (["run=plane", "event=first"], "event (first) must be a whole number"),
        (["run=plane", "frame=0:5"], "frame is no field of mdlm export; did you mean frames?"),
        (["run=plane", "--fast"], "--fast"),
        (["run=plane", "--config-dir", "nowhere"], "--config-dir (nowhere) must be an existing directory"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(words, named, export, folder, finished):
    if not (folder / "labels").exists():
        (folder / "file").touch()
        np.save(folder / "decimal.npy", np.zeros((5, 700)))
        shutil.copytree(finished[0] / "run", folder / "labels")
        for name in ("unfinished", "damaged", "other"):
            shutil.copytree(folder / "plane", folder / name)
        (folder / "unfinished" / "sampled.npz").unlink()
        (folder / "damaged" / "sampled.npz").write_bytes(b"PK\x03\x04 and no more")
        with np.load(folder / "plane" / "sampled.npz") as file:
            np.savez(folder / "other" / "sampled.npz", **(dict(file) | {"state_names": np.array(["a", "b", "c"])}))
    before = set(folder.rglob("*"))
    ended = export(*words)
    assert ended.code != 0
    assert ended.out == ""
    assert named in ended.error
    assert {file for file in folder.rglob("*") if file.suffix != ".lock"} <= before


def test_a_users_own_system_needs_its_folder(mdlm, folder):
    error = mdlm("export", "run=plane", cwd=folder).error
    assert "system._target_ (systems_of_an_export_test.Plane) must lie in mdlm" in error


def test_help_explains(mdlm, tmp_path):
    text = mdlm("export", "--help", cwd=tmp_path).out
    for field in ("run", "chain", "frames", "event", "margin", "draw", "seed", "output", "cache_dir"):
        assert f"\n  {field}=" in text
