import shutil
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from mdlm.build import build
from mdlm.system.go_model import folding_events, fraction_native
from mdlm.system.walkers import run_walkers
from mdlm.system.ww_domain import WWDomain

CONF = Path(__file__).parent.parent.parent / "conf"
DEFAULTS = {
    "lag_time": 20.0,
    "native": "1PIN",
    "residues": (6, 39),
    "chain": None,
    "contact_cutoff": 0.60,
    "contact_form": "12-10-6",
    "thermal_energy": 1.16,
    "friction": 0.5,
    "time_step": 0.004,
    "save_every": 125,
    "n_walkers": 4,
    "n_steps": 20_000,
    "seed": 0,
}


def system(native="1PIN", **changes):
    return WWDomain(**(DEFAULTS | {"native": str(native)} | changes))


def pdb_line(kind, serial, atom, residue, chain, number, xyz, element):
    x, y, z = xyz
    return (
        f"{kind:<6}{serial:>5} {atom:<4} {residue:>3} {chain}{number:>4}    {x:8.3f}{y:8.3f}{z:8.3f}"
        f"  1.00  0.00          {element:>2}\n"
    )


def helix_pdb(chain, numbers, first_serial=1):
    """Alpha carbon, oxygen and a hydrogen of each residue of an alpha helix, in angstrom."""
    lines = []
    for place, number in enumerate(numbers):
        turn = np.radians(100) * place
        alpha = np.array([2.3 * np.cos(turn), 2.3 * np.sin(turn), 1.5 * place])
        for atom, shift, element in ((" CA", (0, 0, 0), "C"), (" O", (0, 0, 2.0), "O"), (" HA", (0, 0, 3.0), "H")):
            serial = first_serial + len(lines)
            lines.append(pdb_line("ATOM", serial, atom, "ALA", chain, number, alpha + shift, element))
    return "".join(lines) + "TER\n"


@pytest.fixture(scope="module")
def helix(tmp_path_factory):
    """Two helices, of 12 and 8 residues; a calcium ion and a water besides."""
    file = tmp_path_factory.mktemp("native") / "helix.pdb"
    others = pdb_line("HETATM", 90, "CA", "CA", "A", 101, (9, 9, 9), "CA")
    others += pdb_line("HETATM", 91, " O", "HOH", "A", 102, (7, 9, 9), "O")
    file.write_text(helix_pdb("A", range(3, 15)) + helix_pdb("B", [1, 2, 3, 4, 6, 7, 8, 9], 50) + others + "END\n")
    return file


def same_bits(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one.pieces, other.pieces, strict=True))


def test_the_header_tells_what_comes(helix):
    walkers = system(helix, residues=None)
    header, trajectory = walkers.header, walkers.trajectories()
    assert trajectory.header == header
    assert header.columns[:4] == ("ALA3-CA.x", "ALA3-CA.y", "ALA3-CA.z", "ALA4-CA.x")
    assert len(header.columns) == 36
    assert header.lengths == (40,) * 4
    assert (header.frame_time, header.time_unit) == (0.5, "model_ps")
    assert trajectory.pieces[0].dtype == np.float32


def test_the_number_of_threads_changes_no_bit(helix):
    one = system(helix, residues=None, n_threads=1).trajectories()
    assert same_bits(one, system(helix, residues=None, n_threads=2).trajectories())
    assert same_bits(one, system(helix, residues=None, n_threads=None).trajectories())
    assert not same_bits(one, system(helix, residues=None, seed=1).trajectories())


def test_a_walker_does_not_depend_on_how_many_others_there_are(helix):
    few = system(helix, residues=None, n_walkers=2, n_steps=10_000).trajectories()
    many = system(helix, residues=None).trajectories()
    assert all(np.array_equal(a, b) for a, b in zip(few.pieces, many.pieces, strict=False))


def test_what_a_step_costs_changes_the_size_of_a_chunk_and_no_bit():
    reports = {}
    for cost in (1.0, 1000.0):
        frames = run_walkers(
            lambda rng: rng.random(1),
            lambda rng, state, block: block.__setitem__(slice(None), rng.random(block.shape)),
            n_walkers=1, n_frames=8, n_columns=1, save_every=1000, seed=0, n_threads=1, step_cost=cost,
            progress=lambda done, total, note="", cost=cost: reports.setdefault(cost, []).append(done),
        )  # fmt: skip
        reports[cost].append(frames[0].tobytes())
    assert reports[1.0] == [8_000, reports[1000.0][-1]]
    assert reports[1000.0][:-1] == [2_000, 4_000, 6_000, 8_000]


def test_only_the_chosen_residues_become_beads(helix):
    beads = system(helix, residues=(4, 13)).model.beads
    assert beads == tuple(f"ALA{number}-CA" for number in range(4, 14))


def test_contacts_of_the_helix_are_those_of_its_oxygens(helix):
    """Oxygen to the fourth alpha carbon: 4.3 angstrom; alpha carbon to alpha carbon 6.2; hydrogens do not count."""
    model = system(helix, residues=None).model
    assert model.contacts.tolist() == [[i, i + 4] for i in range(8)]
    np.testing.assert_allclose(model.contact_distances, 0.62, atol=0.005)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"residues": (4, 20)}, r"^residues \(4..20\): chain A of helix.pdb lacks residue 15; it has 12 residues"),
        ({"residues": None, "chain": "B"}, r"^residues \(1..9\): chain B of helix.pdb lacks residue 5"),
        ({"chain": "C"}, r"^chain \(C\) must be one of helix.pdb's chains: A, B$"),
        ({"residues": None, "contact_cutoff": 0.2}, r"^contact_cutoff \(0.2 nm\) leaves the 12 residues without"),
    ],
)
def test_what_the_native_structure_lacks_is_said_in_one_line(helix, changes, message):
    with pytest.raises(ValueError, match=message) as raised:
        _ = system(helix, **changes).header
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"must be a PDB file or the id of a PDB entry, such as 1PIN$"),
        ("nothing of a protein\n", r"is no PDB file: it holds no atoms$"),
        (pdb_line("HETATM", 1, "CA", "CA", "A", 1, (9, 9, 9), "CA"), r"holds no amino acid with an alpha carbon$"),
    ],
)
def test_a_file_that_is_no_structure_is_refused(tmp_path, content, message):
    file = tmp_path / "other.pdb"
    if content:
        file.write_text(content)
    with pytest.raises(ValueError, match=rf"^native \({file}\) {message}") as raised:
        _ = system(file).header
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"contact_form": "6-12"}, r"^contact_form \(6-12\) must be 12-10-6 or 10-12$"),
        ({"residues": (39, 6)}, r"^residues \(39..6\) must be at least five"),
        ({"thermal_energy": 0.0}, r"^thermal_energy \(0.0\) must be positive"),
        ({"contact_cutoff": -1.0}, r"^contact_cutoff \(-1.0\) must be positive"),
        ({"friction": 0.0}, r"^friction \(0.0\) must be positive"),
        ({"n_steps": 999}, r"^n_steps \(999\) must be a multiple of"),
    ],
)
def test_nonsense_is_refused_without_a_native_structure(changes, message):
    with pytest.raises(ValueError, match=message):
        system(**changes)


def test_a_step_that_is_too_long_is_refused(helix):
    with pytest.raises(ValueError, match=r"^time_step \(0.05\) gives non-finite values"):
        system(helix, residues=None, time_step=0.05).trajectories()


def test_an_entry_that_cannot_be_fetched_is_named_with_its_address(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("no network")

    monkeypatch.setenv("MDLM_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("pooch.retrieve", fail)
    with pytest.raises(ValueError, match=r"^1PIN.pdb is not in .*https://files.rcsb.org/download/1PIN.pdb") as raised:
        _ = system("1pin").header
    assert "\n" not in str(raised.value)


def test_an_entry_in_the_data_directory_is_used(helix, tmp_path, monkeypatch):
    monkeypatch.setenv("MDLM_DATA_DIR", str(tmp_path))
    shutil.copy(helix, tmp_path / "1ABC.pdb")
    assert system("1abc", residues=None).header == system(helix, residues=None).header


def test_a_result_is_named_after_the_content_of_the_file_and_not_its_place(helix, tmp_path):
    copy, other = tmp_path / "copy.pdb", tmp_path / "other.pdb"
    shutil.copy(helix, copy)
    other.write_text(helix.read_text().replace("2.300", "2.301"))
    assert system(helix).identity() == system(copy, n_threads=3).identity()
    assert system(helix).identity() != system(other).identity()
    assert system(helix).identity() != system(helix, seed=1).identity()


@pytest.mark.parametrize("stride", [1, 10])
def test_it_runs_on_the_slowest_combinations_of_pair_distances_by_itself(helix, tmp_path, stride):
    """The lag is a whole number of frames and of strides; 12 beads have 66 distances."""
    overrides = [f"system.native={helix}", "system.residues=null", f"stride={stride}", f"cache_dir={tmp_path}"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = OmegaConf.to_container(compose("config", ["system=ww_domain", *overrides]), resolve=True)
    run = build(config)
    run.check()
    for features in (run.features, run.macrostates.features):
        assert len(features.of.header_of(run.system.header).columns) == 66
        assert len(features.header_of(run.system.header).columns) == 4
    assert type(run.partition) is type(run.macrostates.partition)
    assert type(run.partition).__name__ == "Pcca"


def test_walkers_start_folded_and_unfolded_in_turn(shared_data):
    walkers = system(shared_data / "native" / "1PIN_WW_6-39.pdb", n_walkers=8, n_steps=1_000, save_every=125)
    q = np.array([fraction_native(piece, walkers.model)[0] for piece in walkers.trajectories().pieces])
    assert (q[::2] > 0.7).all()
    assert (q[1::2] < 0.5).all()


@pytest.mark.slow
def test_the_ww_domain_folds_and_unfolds_at_its_folding_temperature(shared_data):
    """Twelve times 1,000 model ps: either core holds a good part of the frames, and folding is seen several times."""
    walkers = system(shared_data / "native" / "1PIN_WW_6-39.pdb", n_walkers=12, n_steps=3_000_000)
    q = [fraction_native(piece, walkers.model) for piece in walkers.trajectories().pieces]
    events = [folding_events(values, 0.3, 0.7) for values in q]
    assert sum(len(found.folding) for found in events) >= 4
    assert sum(len(found.unfolding) for found in events) >= 4
    together = np.concatenate(q)
    assert 0.1 < (together < 0.4).mean() < 0.9
    assert 0.1 < (together > 0.6).mean() < 0.9
