"""Frames of a molecule as a file that molecular viewers open."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mdlm.features.molecule import Atom, atom_columns
from mdlm.report.run_folder import write_atomically
from mdlm.trajectory import FloatArray

if TYPE_CHECKING:
    import mdtraj

SUFFIXES = (".xtc", ".trr", ".dcd", ".pdb")
PICOSECONDS = {"fs": 1e-3, "ps": 1.0, "ns": 1e3, "us": 1e6, "μs": 1e6, "ms": 1e9}
SUPERPOSABLE = 3  # atoms; fewer have no orientation


def topology_of(atoms: tuple[Atom, ...]) -> mdtraj.Topology:
    """Chains, residues and atoms as their columns name them; bonds where mdtraj knows those of the residue.

    Example:
        >>> from mdlm.features.molecule import atoms_of
        >>> columns = tuple(f"B:ALA7-{name}.{axis}" for name in ("N", "CA") for axis in "xyz")
        >>> [str(atom) for atom in topology_of(atoms_of(columns)).atoms]
        ['ALA7-N', 'ALA7-CA']
    """
    import mdtraj

    topology = mdtraj.Topology()
    chain, residue, last = None, None, None
    for atom in atoms:
        if last is None or atom.chain != last.chain:
            chain = topology.add_chain(atom.residue.rpartition(":")[0] or None)
        if last is None or (atom.chain, atom.residue) != (last.chain, last.residue):
            name, number = _residue(atom)
            residue = topology.add_residue(name, chain, resSeq=number)
        topology.add_atom(atom.name, _element(atom), residue)
        last = atom
    topology.create_standard_bonds()
    return topology


def conformations(frames: FloatArray, atoms: tuple[Atom, ...]) -> FloatArray:
    """Coordinates of the atoms alone, shape ``(n_frames, 3 * n_atoms)``."""
    where = (atom_columns(atoms)[:, None] + np.arange(3)).ravel()
    return frames if where.tolist() == list(range(frames.shape[1])) else frames[:, where]


def write_molecule(
    path: Path, frames: FloatArray, times: FloatArray, time_unit: str, atoms: tuple[Atom, ...]
) -> list[Path]:
    """Write frames, superposed onto the first so that the molecule does not tumble.

    Args:
        path: Its suffix, one of `SUFFIXES`, is the format. Beside a file that holds coordinates only, a PDB file of
            the first frame is written under the same name.
        frames: Shape ``(n_frames, 3 * n_atoms)``, in nm: x, y and z of one atom after the other.
        times: Of each frame, in ``time_unit``; written in ps where that is a unit of time, else as they are.
        time_unit: Of ``times``.
        atoms: In the order of the columns.

    Returns:
        The files.
    """
    import mdtraj

    coordinates = np.array(frames.reshape(len(frames), -1, 3), np.float32, order="C")
    movie = mdtraj.Trajectory(coordinates, topology_of(atoms), time=times * PICOSECONDS.get(time_unit, 1.0))
    if movie.n_atoms >= SUPERPOSABLE:
        movie.superpose(movie, 0)
    else:
        movie.center_coordinates()
    files = [path]
    if path.suffix != ".pdb":
        files.append(path.with_suffix(".pdb"))
        write_atomically(files[-1], movie[0].save)
    write_atomically(path, movie.save)
    return files


def _residue(atom: Atom) -> tuple[str, int]:
    """Name and number of its residue."""
    label = atom.residue.rpartition(":")[2]
    name = re.sub(r"(?<=.)-?\d+$", "", label)
    return name, int(label.removeprefix(name))


def _element(atom: Atom) -> mdtraj.element.Element:
    """By the first letter of the atom's name, of an ion by the whole; a virtual one where that is no element."""
    import mdtraj

    letters = re.sub(r"[^A-Za-z]", "", atom.name)
    is_ion = _residue(atom)[0] == atom.name
    try:
        return mdtraj.element.get_by_symbol(letters if is_ion else letters[:1])
    except KeyError:
        return mdtraj.element.virtual
