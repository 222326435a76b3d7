"""A molecule small enough to follow by hand, and trajectory files of it in every format."""

import warnings

import mdtraj
import numpy as np
import pytest
from mdtraj.core.element import carbon, hydrogen, nitrogen, oxygen

collect_ignore = ["conftest.py"]  # no doctests here, and pytest cannot tell files of one name apart

ATOMS = (
    ("N", nitrogen, 0.0, 0.0),
    ("H", hydrogen, 0.0, 0.1),
    ("CA", carbon, 0.14, 0.0),
    ("CB", carbon, 0.14, 0.15),
    ("C", carbon, 0.28, 0.0),
    ("O", oxygen, 0.28, 0.12),
)
"""Of a residue: name, element and place along x and y, nm; the next one begins 0.42 nm along x."""


@pytest.fixture(scope="session")
def peptide():
    """Topology of so many alanines in each of some chains, with or without bonds."""

    def make(n_residues=3, n_chains=1, bonds=True):
        topology = mdtraj.Topology()
        for _ in range(n_chains):
            chain = topology.add_chain()
            for number in range(n_residues):
                residue = topology.add_residue("ALA", chain, resSeq=number + 1)
                for name, element, _, _ in ATOMS:
                    topology.add_atom(name, element, residue)
        if bonds:
            topology.create_standard_bonds()
        return topology

    return make


@pytest.fixture(scope="session")
def shapes():
    """Positions of alanines stretched along x, shaken a little: shape (n_frames, n_atoms, 3), nm, float32."""

    def make(n_frames, n_residues=3, seed=0):
        straight = [[0.42 * residue + x, y, 0.0] for residue in range(n_residues) for _, _, x, y in ATOMS]
        noise = np.random.default_rng(seed).normal(0, 0.01, (n_frames, len(straight), 3))
        return (np.array(straight) + noise).astype(np.float32)

    return make


@pytest.fixture
def save(tmp_path):
    """Write positions as a file in the format of its name, with times in ps and the vectors of a cell."""

    def write(name, topology, positions, times=None, cell=None):
        trajectory = mdtraj.Trajectory(positions, topology, time=times)
        if cell is not None:
            trajectory.unitcell_vectors = np.tile(np.asarray(cell, np.float32), (len(positions), 1, 1))
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # netCDF4 would be faster than scipy
            trajectory.save(str(path))
        return path

    return write
