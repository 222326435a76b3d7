"""Distances between atoms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from mdlm.features.base import Features
from mdlm.features.framewise import Framewise
from mdlm.features.molecule import Atom, atom_columns, check_names, chosen_atoms, squared_distances
from mdlm.trajectory import FloatArray, Header, IntArray, Trajectory


@dataclass(frozen=True)
class FittedDistances(Framewise):
    """Pairs that are chosen.

    Attributes:
        first: Column of the x of one atom of each pair.
        second: Column of the x of the other.
    """

    first: IntArray
    second: IntArray

    def describe(self, chunk: Trajectory) -> FloatArray:
        """Distances in nm."""
        return np.sqrt(squared_distances(chunk.pieces[0], self.first, self.second))


@dataclass(frozen=True, kw_only=True)
class PairDistances(Features):
    """The distance of every pair of chosen atoms, in nm; the molecule must be whole, for periodic images do not count.

    Attributes:
        atoms: Names of the atoms, for example CA. None: every atom.
        min_separation: Residues apart along the chain at least; 0 allows pairs within a residue. Atoms of
            different chains are always far enough apart.
    """

    atoms: tuple[str, ...] | None = None
    min_separation: int = 1

    def __post_init__(self) -> None:
        check_names(self.atoms)
        if self.min_separation < 0:
            raise ValueError(f"min_separation ({self.min_separation}) must be at least 0")

    def header_of(self, header: Header) -> Header:
        """One column per pair, for example ``ALA2-CA..LEU3-CA``."""
        pairs = self._pairs(header.columns)
        return replace(header, columns=tuple(f"{first.label}..{second.label}" for first, second in pairs))

    def fit(self, train: Trajectory) -> FittedDistances:
        """Choose the pairs; there is nothing to learn."""
        first, second = (atom_columns(side) for side in zip(*self._pairs(train.columns), strict=True))
        return FittedDistances(train.columns, self.header_of(train.header).columns, first, second)

    def _pairs(self, columns: tuple[str, ...]) -> list[tuple[Atom, Atom]]:
        atoms = chosen_atoms(columns, self.atoms)
        pairs = [pair for pair in combinations(atoms, 2) if pair[0].separation(pair[1]) >= self.min_separation]
        if not pairs:
            apart = f"min_separation ({self.min_separation})"
            raise ValueError(f"{apart} leaves no pair of the {len(atoms)} chosen atoms; lower it or choose more atoms")
        return pairs
