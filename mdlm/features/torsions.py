"""Torsion angles of a molecule, as sine and cosine or as they are."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from mdlm.features.base import Features
from mdlm.features.framewise import Framewise, some
from mdlm.features.molecule import Atom, atom_columns, atoms_of
from mdlm.trajectory import FloatArray, Header, IntArray, Trajectory

KINDS = {
    "phi": ("-C N CA C",),
    "psi": ("N CA C +N",),
    "omega": ("CA C +N +CA",),
    "chi1": ("N CA CB CG", "N CA CB CG1", "N CA CB SG", "N CA CB OG", "N CA CB OG1"),
}
"""The four atoms of each kind, or its alternatives; - and + mark the residue before and after. As in mdtraj."""


@dataclass(frozen=True)
class FittedTorsions(Framewise):
    """Torsions that are found.

    Attributes:
        sources: Shape ``(n_torsions, 4)``: the column of the x of the four atoms. Shape ``(n_torsions, 1)``: the
            column of the ready angle.
        as_angles: Whether the angle itself is the feature.
    """

    sources: IntArray
    as_angles: bool

    @property
    def width(self) -> int:
        """The vectors between four atoms."""
        return max(len(self.inputs), 9 * len(self.sources))

    def describe(self, chunk: Trajectory) -> FloatArray:
        """Angles in radians, or each one's sine and cosine in turn."""
        frames = chunk.pieces[0]
        angles = frames[:, self.sources[:, 0]] if self.sources.shape[1] == 1 else torsion_angles(frames, self.sources)
        if self.as_angles:
            return angles
        return np.stack([np.sin(angles), np.cos(angles)], axis=2).reshape(len(frames), -1)


@dataclass(frozen=True, kw_only=True)
class Torsions(Features):
    """Torsion angles by residue.

    Where the system has atom coordinates they are computed from these (phi, psi, omega and chi1 as mdtraj defines
    them, within a chain, caps included); the molecule must be whole. Otherwise they are the system's own columns
    whose name is a kind or begins with one, such as ``phi`` or ``phi ALA2``, in radians.

    Attributes:
        angles: Which kinds.
        as_angles: Give the angle itself, in radians, where the partition knows that angles are periodic. A
            distance between angles means nothing across the end of their range, hence sine and cosine.
    """

    angles: tuple[str, ...] = ("phi", "psi")
    as_angles: bool = False

    def __post_init__(self) -> None:
        wrong = [kind for kind in self.angles if kind not in KINDS]
        if not self.angles or wrong or len(set(self.angles)) < len(self.angles):
            raise ValueError(f"angles ({', '.join(self.angles)}) must be some of {', '.join(KINDS)}, each once")

    def header_of(self, header: Header) -> Header:
        """One column per angle, or ``sin`` and ``cos`` of each."""
        names = tuple(self._found(header.columns))
        if not self.as_angles:
            names = tuple(f"{function} {name}" for name in names for function in ("sin", "cos"))
        return replace(header, columns=names)

    def fit(self, train: Trajectory) -> FittedTorsions:
        """Find the torsions; there is nothing to learn."""
        sources = np.array(list(self._found(train.columns).values()))
        return FittedTorsions(train.columns, self.header_of(train.header).columns, sources, self.as_angles)

    def _found(self, columns: tuple[str, ...]) -> dict[str, IntArray]:
        """The source of every torsion by its name."""
        atoms = atoms_of(columns)
        found: dict[str, IntArray] = {}
        for kind in self.angles:
            of_kind = _torsions(atoms, kind) if atoms else _ready(columns, kind)
            if not of_kind:
                where = some(columns)
                raise ValueError(f"angles ({kind}): the system has none, by atoms or by name; its columns are {where}")
            found |= of_kind
        return found


def torsion_angles(frames: FloatArray, sources: IntArray) -> FloatArray:
    """Torsion angles in radians, shape ``(n_frames, n_torsions)``; positive for a clockwise turn (IUPAC).

    Args:
        frames: Shape ``(n_frames, n_columns)``.
        sources: Shape ``(n_torsions, 4)``: the column of the x of the four atoms; y and z follow.

    Example:
        A quarter turn about the z axis.

        >>> frames = np.array([[1.0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1]])
        >>> torsion_angles(frames, np.array([[0, 3, 6, 9]])).round(4).tolist()
        [[1.5708]]
    """
    atoms = [frames[:, column[:, None] + np.arange(3)].astype(np.float64) for column in sources.T]
    before, axis, after = (end - start for start, end in pairwise(atoms))
    near, far = np.cross(before, axis), np.cross(axis, after)
    sine = (before * far).sum(axis=2) * np.linalg.norm(axis, axis=2)
    return np.asarray(np.arctan2(sine, (near * far).sum(axis=2)))


def _torsions(atoms: tuple[Atom, ...], kind: str) -> dict[str, IntArray]:
    """Torsions of one kind, at most one per residue, in the order of residues."""
    there = {(atom.chain, atom.place, atom.name): atom for atom in atoms}
    found = {}
    for residue, chain, place in dict.fromkeys((atom.residue, atom.chain, atom.place) for atom in atoms):
        for definition in KINDS[kind]:
            names = definition.split()
            four = [there.get((chain, place + _shift(name), name.lstrip("+-"))) for name in names]
            present = [atom for atom in four if atom]
            if len(present) == 4:
                found[f"{kind} {residue}"] = atom_columns(present)
                break
    return found


def _shift(name: str) -> int:
    return {"-": -1, "+": 1}.get(name[0], 0)


def _ready(columns: tuple[str, ...], kind: str) -> dict[str, IntArray]:
    """Columns whose name is a kind or begins with one as a word of its own."""
    matches = {name: number for number, name in enumerate(columns) if re.match(rf"{kind}(?![A-Za-z0-9])", name)}
    return {name: np.array([number]) for name, number in matches.items()}
