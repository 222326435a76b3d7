"""The atoms behind a trajectory's columns: ``ALA2-CA.x``, ``ALA2-CA.y``, ``ALA2-CA.z`` or ``A:ALA2-CA.x``, nm."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mdlm.features.framewise import some
from mdlm.trajectory import FloatArray, IntArray

_ATOM = re.compile(r"(?P<residue>(?:(?P<chain>[^:]+):)?.+?(?P<number>-?\d+))-(?P<name>.+)")
_HYDROGEN = re.compile(r"\d*H.*")  # HA, HB2, 1HB and no element of a biomolecule besides


@dataclass(frozen=True)
class Atom:
    """One atom of the system.

    Attributes:
        label: As its columns name it, for example ``A:ALA2-CA``.
        residue: For example ``A:ALA2``.
        name: For example ``CA``.
        chain: Number of its chain; a new one begins with another chain name or where residue numbers fall.
        place: Of its residue along the chain, in residues; it leaps where numbers leave a gap.
        column: Of its x; y and z follow.
    """

    label: str
    residue: str
    name: str
    chain: int
    place: int
    column: int

    @property
    def is_heavy(self) -> bool:
        """Whether its name is not that of a hydrogen."""
        return not _HYDROGEN.fullmatch(self.name)

    def separation(self, other: Atom) -> float:
        """Residues apart along the chain; infinite between chains."""
        return abs(self.place - other.place) if self.chain == other.chain else np.inf


def atoms_of(columns: tuple[str, ...]) -> tuple[Atom, ...]:
    """Every atom that has three coordinates among the columns, in their order; other columns are passed over.

    Raises:
        ValueError: Two atoms bear the same name.

    Example:
        >>> (atom,) = atoms_of(("phi", "ALA2-CA.x", "ALA2-CA.y", "ALA2-CA.z"))
        >>> atom.residue, atom.name, atom.column
        ('ALA2', 'CA', 1)
    """
    atoms: list[Atom] = []
    places: dict[str, tuple[int, int]] = {}
    chain, place, last = 0, 0, ("", 0)
    for label, column in _triples(columns):
        found = _ATOM.fullmatch(label)
        if not found:
            continue
        residue, name, number = found["residue"], found["chain"] or "", int(found["number"])
        if residue not in places:
            begins = bool(places) and (name != last[0] or number < last[1])
            chain += begins
            place = 0 if begins or not places else place + max(1, number - last[1])
            places[residue] = (chain, place)
            last = (name, number)
        atoms.append(Atom(label, residue, found["name"], *places[residue], column))
    labels = [atom.label for atom in atoms]
    if len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise ValueError(f"columns: {twice}.x is there twice; tell chains apart by their names, as in A:{twice}.x")
    return tuple(atoms)


def chosen_atoms(columns: tuple[str, ...], names: tuple[str, ...] | None) -> tuple[Atom, ...]:
    """The system's atoms of the given names, or all of them.

    Raises:
        ValueError: There are no atoms, or none of a given name; it names the field ``atoms``.
    """
    atoms = atoms_of(columns)
    if not atoms:
        raise ValueError(f"atoms: the system has no atoms (columns such as ALA2-CA.x); available are {some(columns)}")
    there = tuple(dict.fromkeys(atom.name for atom in atoms))
    for name in names or ():
        if name not in there:
            raise ValueError(f"atoms ({name}) must be names of atoms of this system: {some(there, 20)}")
    return atoms if names is None else tuple(atom for atom in atoms if atom.name in names)


def check_names(atoms: tuple[str, ...] | None) -> None:
    """Raise `ValueError` where a choice of atom names chooses nothing."""
    if atoms is not None and not atoms:
        raise ValueError("atoms is empty; name at least one kind of atom, for example CA, or null for all")


def atom_columns(atoms: Iterable[Atom]) -> IntArray:
    """Column of the x of each atom."""
    return np.array([atom.column for atom in atoms], dtype=np.int64)


def squared_distances(frames: FloatArray, first: IntArray, second: IntArray) -> FloatArray:
    """Squared distance of each pair of atoms, shape ``(n_frames, n_pairs)``.

    Args:
        frames: Shape ``(n_frames, n_columns)``; the molecule must be whole, for there are no periodic images.
        first: Column of the x of one atom of each pair.
        second: Column of the x of the other.
    """
    frames = frames.astype(np.float64)
    squared = np.zeros((len(frames), len(first)))
    for axis in range(3):
        squared += (frames[:, second + axis] - frames[:, first + axis]) ** 2
    return squared


def _triples(columns: tuple[str, ...]) -> Iterable[tuple[str, int]]:
    """What stands before ``.x``, ``.y`` and ``.z`` in three columns in a row, and where."""
    for column, name in enumerate(columns):
        label = name.removesuffix(".x")
        if label != name and columns[column + 1 : column + 3] == (f"{label}.y", f"{label}.z"):
            yield label, column
