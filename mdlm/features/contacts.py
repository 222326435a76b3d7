"""Contacts between residues."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np

from mdlm.features.base import Features
from mdlm.features.framewise import Framewise
from mdlm.features.molecule import Atom, atom_columns, check_names, chosen_atoms, squared_distances
from mdlm.trajectory import FloatArray, Header, IntArray, Trajectory


@dataclass(frozen=True)
class FittedContacts(Framewise):
    """Residue pairs that are chosen.

    Attributes:
        first: Column of the x of one atom of each atom pair, those of a residue pair in a row.
        second: Column of the x of the other.
        starts: Where the atom pairs of each residue pair begin, shape ``(n_columns,)``.
        cutoff: nm.
        softness: nm.
    """

    first: IntArray
    second: IntArray
    starts: IntArray
    cutoff: float
    softness: float

    @property
    def width(self) -> int:
        """Many atom pairs make one contact."""
        return max(len(self.inputs), len(self.first))

    def describe(self, chunk: Trajectory) -> FloatArray:
        """Contacts, 0 to 1."""
        squared = squared_distances(chunk.pieces[0], self.first, self.second)
        distance = np.sqrt(np.minimum.reduceat(squared, self.starts, axis=1))
        if self.softness == 0:
            return np.asarray(distance < self.cutoff, dtype=np.float32)
        # The logistic function as a hyperbolic tangent, which cannot overflow.
        return np.asarray((1 - np.tanh((distance - self.cutoff) / (2 * self.softness))) / 2)


@dataclass(frozen=True, kw_only=True)
class Contacts(Features):
    r"""Whether two residues touch: the smallest distance :math:`d` of their atoms is below the cutoff :math:`d_0`.

    With a softness :math:`s` the step is smooth, :math:`1 / (1 + e^{(d - d_0) / s})`: one half at the cutoff. The
    molecule must be whole, for periodic images do not count.

    Attributes:
        cutoff: nm.
        softness: nm; 0 gives 0 or 1.
        atoms: Names of the atoms that touch, for example CA. None: every atom but hydrogens.
        min_separation: Residues apart along the chain at least. Chains are always far enough apart.
    """

    cutoff: float = 0.45
    softness: float = 0.0
    atoms: tuple[str, ...] | None = None
    min_separation: int = 3

    def __post_init__(self) -> None:
        if not 0 < self.cutoff < math.inf:
            raise ValueError(f"cutoff ({self.cutoff:g} nm) must be above 0 and finite")
        if not 0 <= self.softness < math.inf:
            raise ValueError(f"softness ({self.softness:g} nm) must be at least 0 and finite")
        check_names(self.atoms)
        if self.min_separation < 1:
            raise ValueError(f"min_separation ({self.min_separation}) must be at least 1")

    def header_of(self, header: Header) -> Header:
        """One column per residue pair, for example ``ALA2..LEU5``."""
        pairs = self._pairs(header.columns)
        return replace(header, columns=tuple(f"{first[0].residue}..{second[0].residue}" for first, second in pairs))

    def fit(self, train: Trajectory) -> FittedContacts:
        """Choose the pairs; there is nothing to learn."""
        atom_pairs = [list(product(*pair)) for pair in self._pairs(train.columns)]
        starts = np.cumsum([0, *(len(pairs) for pairs in atom_pairs[:-1])])
        first, second = (atom_columns(side) for side in zip(*(p for pairs in atom_pairs for p in pairs), strict=True))
        columns = self.header_of(train.header).columns
        return FittedContacts(train.columns, columns, first, second, starts, self.cutoff, self.softness)

    def _pairs(self, columns: tuple[str, ...]) -> list[tuple[list[Atom], list[Atom]]]:
        """Chosen atoms of both residues of every pair."""
        residues: dict[str, list[Atom]] = {}
        for atom in chosen_atoms(columns, self.atoms):
            if self.atoms is not None or atom.is_heavy:
                residues.setdefault(atom.residue, []).append(atom)
        far = self.min_separation
        pairs = [pair for pair in combinations(residues.values(), 2) if pair[0][0].separation(pair[1][0]) >= far]
        if not pairs:
            raise ValueError(f"min_separation ({far}) leaves no pair of the {len(residues)} residues; lower it")
        return pairs
