"""Molecules as trajectories: columns named by atoms, nm."""

import numpy as np
import pytest

from mdlm.trajectory import Trajectory

collect_ignore = ["conftest.py"]


def _named(topology, chains=False):
    """Names of the columns; the chain's letter where there are several."""
    for atom in topology.atoms:
        chain = f"{'ABCDEF'[atom.residue.chain.index]}:" if chains else ""
        yield from (f"{chain}{atom}.{axis}" for axis in "xyz")


@pytest.fixture(scope="session")
def of_molecules():
    """Make a trajectory of mdtraj trajectories, one piece each."""

    def make(*molecules, frame_time=0.1, chains=False):
        columns = tuple(_named(molecules[0].topology, chains))
        pieces = tuple(molecule.xyz.reshape(molecule.n_frames, -1) for molecule in molecules)
        return Trajectory(pieces, frame_time, "ns", columns)

    return make


@pytest.fixture(scope="session")
def of_atoms():
    """Make a trajectory of coordinates, shape ``(n_frames, n_atoms, 3)``, and names of atoms."""

    def make(names, *coordinates):
        columns = tuple(f"{name}.{axis}" for name in names for axis in "xyz")
        pieces = tuple(np.reshape(piece, (-1, len(columns))) for piece in coordinates)
        return Trajectory(pieces, 1.0, "ps", columns)

    return make


@pytest.fixture(scope="session")
def pentapeptide(shared_data):
    """The 25 trajectories, each of 5001 frames, 0.1 ns apart."""
    import mdtraj

    folder = shared_data / "pentapeptide"
    topology = mdtraj.load_topology(folder / "pentapeptide-impl-solv.pdb")
    return [mdtraj.load(path, top=topology) for path in sorted(folder.glob("*.xtc"))]


@pytest.fixture
def shaken(shared_data):
    """Load a structure and shake it into some frames."""
    import mdtraj

    def load(path, n_frames=20):
        molecule = mdtraj.load(shared_data / path)
        noise = np.random.default_rng(0).normal(0, 0.02, (n_frames, *molecule.xyz.shape[1:]))
        molecule.unitcell_vectors = None
        molecule.xyz, molecule.time = (molecule.xyz + noise).astype(np.float32), np.arange(n_frames)
        return molecule

    return load
