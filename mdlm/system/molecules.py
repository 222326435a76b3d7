"""Molecules that the edge of a periodic cell cuts are put together again, along their bonds."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from mdlm.trajectory import FloatArray, IntArray

LONG_BOND = 0.3  # nm; a shorter bond cannot run through the edge of a cell


@dataclass(frozen=True)
class Molecules:
    """How the selected atoms hang together, as trees of bonds: one per molecule, each from a selected atom.

    Attributes:
        atoms: Index in the topology of every atom to read: the selected ones, and those that join them.
        selected: Place of each selected atom among these.
        near: Place of the atom of each bond that is nearer to the root; shape ``(n_bonds,)``.
        far: Place of the other one. Bonds nearer to the root come first.
        depths: Where the bonds of each distance from the root begin and end.
        n_molecules: Molecules that hold a selected atom.
        unjoined: Name of a residue whose atoms the bonds do not join, or that they do not join to the next one, and
            the places of all selected atoms of its chain.
    """

    atoms: IntArray
    selected: IntArray
    near: IntArray
    far: IntArray
    depths: tuple[slice, ...]
    n_molecules: int
    unjoined: tuple[tuple[str, IntArray], ...]

    def made_whole(self, positions: FloatArray, cells: FloatArray) -> FloatArray:
        """Shift atoms by whole cells until every bond is as short as it can be.

        Args:
            positions: Shape ``(n_frames, n_atoms, 3)``, nm, of `atoms`.
            cells: The vectors of the cell as rows, shape ``(n_frames, 3, 3)``, nm.

        Returns:
            The positions; roots stay where they are.

        Raises:
            ValueError: Bonds are not known where they are needed; it names the field ``whole``.
        """
        from mdlm.system.molecules_kernels import has_long_bond

        self._check_joined(positions, cells)
        long = has_long_bond(positions, self.near, self.far, LONG_BOND)
        if not long.any():
            return positions
        cut = positions[long]
        crossed = np.rint(_in_cells(cut[:, self.far] - cut[:, self.near], cells[long]))
        shifts = np.zeros((len(crossed), len(self.atoms), 3))
        for depth in self.depths:
            shifts[:, self.far[depth]] = shifts[:, self.near[depth]] + crossed[:, depth]
        whole = positions.copy()
        whole[long] = cut - shifts @ cells[long]
        return whole

    def of_selected(self, positions: FloatArray) -> FloatArray:
        """Positions of the selected atoms alone."""
        return positions if len(self.selected) == len(self.atoms) else positions[:, self.selected]

    def _check_joined(self, positions: FloatArray, cells: FloatArray) -> None:
        """Atoms whose bonds are unknown must lie so close together that no edge can be between them."""
        for residue, places in self.unjoined:
            if (np.ptp(_in_cells(positions[:, places], cells), axis=1) > 0.5).any():
                raise ValueError(
                    f"whole: the topology lacks bonds of {residue}, so its molecule cannot be put together across the "
                    "edge of the periodic cell; give a topology with bonds (prmtop, psf, pdb with CONECT), select "
                    "other atoms, or say whole=false where the molecules are whole already"
                )


def _in_cells(vectors: FloatArray, cells: FloatArray) -> FloatArray:
    """Vectors of shape ``(n_frames, n, 3)`` as multiples of the three vectors of each frame's cell."""
    cells = cells.astype(np.float64)
    if not np.linalg.det(cells).all():
        raise ValueError("whole: a periodic cell has no volume; say whole=false where the molecules are whole already")
    return np.asarray(vectors @ np.linalg.inv(cells))


def molecules(topology: Any, selected: IntArray) -> Molecules:  # noqa: ANN401
    """Find the bonds that join the selected atoms of an mdtraj topology.

    Args:
        topology: With its bonds.
        selected: Indices of atoms.
    """
    neighbours: list[list[int]] = [[] for _ in range(topology.n_atoms)]
    for first, second in topology.bonds:
        neighbours[first.index].append(second.index)
        neighbours[second.index].append(first.index)
    molecule = np.full(topology.n_atoms, -1)
    wanted = np.zeros(topology.n_atoms, dtype=bool)
    wanted[selected] = True
    bonds: list[tuple[int, int, int]] = []
    n_molecules = 0
    for root in map(int, selected):
        if molecule[root] < 0:
            bonds += _tree(root, neighbours, molecule, n_molecules, wanted)
            n_molecules += 1
    atoms = np.flatnonzero(wanted)
    bonds.sort()
    depth, near, far = np.array(bonds, dtype=np.int64).reshape(-1, 3).T
    edges = np.flatnonzero(np.diff(depth, prepend=-1, append=-1))
    return Molecules(
        atoms=atoms,
        selected=np.searchsorted(atoms, selected),
        near=np.searchsorted(atoms, near),
        far=np.searchsorted(atoms, far),
        depths=tuple(slice(begin, end) for begin, end in pairwise(edges)),
        n_molecules=n_molecules,
        unjoined=tuple(_unjoined(topology, molecule, set(selected.tolist()), atoms)),
    )


def _tree(
    root: int, neighbours: Sequence[Sequence[int]], molecule: IntArray, number: int, wanted: IntArray
) -> list[tuple[int, int, int]]:
    """Bonds from a root to every selected atom of its molecule, each as depth, near and far atom.

    Numbers every atom of the molecule and marks those that join selected ones as wanted.
    """
    reached: list[tuple[int, int, int]] = []
    molecule[root] = number
    waiting = deque([(root, 0)])
    while waiting:
        near, depth = waiting.popleft()
        for far in neighbours[near]:
            if molecule[far] < 0:
                molecule[far] = number
                reached.append((depth, near, far))
                waiting.append((far, depth + 1))
    for _, near, far in reversed(reached):
        wanted[near] |= wanted[far]
    return [bond for bond in reached if wanted[bond[2]]]


def _unjoined(
    topology: Any,  # noqa: ANN401
    molecule: IntArray,
    selected: set[int],
    atoms: IntArray,
) -> Iterator[tuple[str, IntArray]]:
    """For each chain the first residue whose bonds are missing, and where the selected atoms of the chain are."""
    for chain in topology.chains:
        residues = [residue for residue in chain.residues if any(atom.index in selected for atom in residue.atoms)]
        missing = next((residue for residue in residues if len(_parts(residue, molecule, selected)) > 1), None)
        for residue, following in pairwise(residues):
            if (
                missing is None
                and residue.is_protein
                and following.is_protein
                and following.resSeq == residue.resSeq + 1
            ):
                both = _parts(residue, molecule, selected) | _parts(following, molecule, selected)
                missing = residue if len(both) > 1 else None
        if missing is not None:
            members = [atom.index for atom in chain.atoms if atom.index in selected]
            yield str(missing), np.searchsorted(atoms, members)


def _parts(residue: Any, molecule: IntArray, selected: set[int]) -> set[int]:  # noqa: ANN401
    """The molecules that a residue's atoms belong to, without hydrogens and massless sites that are not selected."""
    return {
        int(molecule[atom.index])
        for atom in residue.atoms
        if atom.index in selected or (atom.element is not None and atom.element.atomic_number > 1)
    }


def coordinate_columns(topology: Any, selected: IntArray) -> tuple[str, ...]:  # noqa: ANN401
    """Names of the x, y and z of atoms: ``ALA2-CA.x``, or ``A:ALA2-CA.x`` where that alone would be there twice.

    Raises:
        ValueError: Two atoms have the same name even so.
    """
    atoms = [topology.atom(int(index)) for index in selected]
    names = [str(atom) for atom in atoms]
    if len(set(names)) < len(names):
        given = [chain.chain_id for chain in topology.chains]
        unique = all(given) and len(set(given)) == len(given)
        names = [f"{given[atom.residue.chain.index] if unique else atom.residue.chain.index}:{atom}" for atom in atoms]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"atoms: the selection holds two atoms of the name {twice}; select fewer")
    return tuple(f"{name}.{axis}" for name in names for axis in "xyz")
