"""C-alpha structure-based (Go) model of a protein: one bead per residue, held together by its native structure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np

from mdlm.trajectory import FloatArray, IntArray

if TYPE_CHECKING:
    from mdlm.system.go_model_kernels import Parameters

ContactForm = Literal["12-10-6", "10-12"]
COEFFICIENTS: dict[str, tuple[float, float, float]] = {"12-10-6": (13.0, -18.0, 4.0), "10-12": (5.0, -6.0, 0.0)}
"""Of ``u^6``, ``u^5`` and ``u^3`` with ``u = (r0 / r)^2``; both have their minimum, -1, at the native distance."""
MIN_SEPARATION = 4  # beads along the chain between which there are contacts and repulsion
REPULSION_DIAMETER = 0.4  # nm; of pairs that are no native contact, (sigma / r)^12
CONTACT_STRETCH = 1.2  # a native contact is formed below so many native distances


@dataclass(frozen=True)
class Structure:
    """One chain of a protein.

    Attributes:
        residues: Name and number of each, such as ``LYS6``.
        alpha_carbons: Their positions in nm, shape ``(n_residues, 3)``.
        heavy_atoms: Positions of all atoms but hydrogens of each residue, nm, each of shape ``(n_atoms, 3)``.
    """

    residues: tuple[str, ...]
    alpha_carbons: FloatArray
    heavy_atoms: tuple[FloatArray, ...]


def read_structure(file: Path, residues: tuple[int, int] | None, chain: str | None) -> Structure:
    """Read residues of one chain of a PDB file, of the first model where there are several.

    Args:
        file: The PDB file.
        residues: Numbers of the first and the last; None for all of the chain.
        chain: Its name; None for the first that has amino acids.

    Raises:
        ValueError: There is no such chain, or a residue is missing or there twice; it names the field.
    """
    import mdtraj

    with file.open(errors="replace") as lines:
        if not any(line.startswith(("ATOM", "HETATM")) for line in lines):  # mdtraj would leave the file open
            raise ValueError(f"native ({file}) is no PDB file: it holds no atoms")
    try:
        loaded = mdtraj.load_pdb(str(file), no_boxchk=True)  # the box, often a dummy, is not used
    except Exception as error:  # mdtraj raises what its parsers meet
        raise ValueError(f"native ({file}) cannot be read as a PDB file: {str(error).splitlines()[0]}") from error
    # calcium is called CA too
    alphas = [a for a in loaded.topology.atoms if a.name == "CA" and a.element.symbol == "C"]
    names = tuple(dict.fromkeys(str(alpha.residue.chain.chain_id).strip() for alpha in alphas))
    if not names:
        raise ValueError(f"native ({file}) holds no amino acid with an alpha carbon")
    wanted = names[0] if chain is None else chain
    if wanted not in names:
        raise ValueError(f"chain ({wanted}) must be one of {file.name}'s chains: {', '.join(names)}")
    alphas = [alpha for alpha in alphas if str(alpha.residue.chain.chain_id).strip() == wanted]
    alphas = _within(alphas, residues, f"chain {wanted} of {file.name}")
    xyz = loaded.xyz[0].astype(np.float64)
    heavy = ([atom.index for atom in alpha.residue.atoms if atom.element.symbol not in "HD"] for alpha in alphas)
    return Structure(
        tuple(f"{alpha.residue.name}{alpha.residue.resSeq}" for alpha in alphas),
        xyz[[alpha.index for alpha in alphas]],
        tuple(xyz[atoms] for atoms in heavy),
    )


def _within(alphas: Sequence[Any], residues: tuple[int, int] | None, where: str) -> list[Any]:
    """The alpha carbons of a range of residues, none of which may be missing."""
    numbers = [alpha.residue.resSeq for alpha in alphas]
    first, last = residues or (min(numbers), max(numbers))
    chosen = [alpha for alpha, number in zip(alphas, numbers, strict=True) if first <= number <= last]
    found = [alpha.residue.resSeq for alpha in chosen]
    if found == list(range(first, last + 1)):
        return chosen
    missing = next((number for number in range(first, last + 1) if number not in found), None)
    wrong = "has residues twice or in disorder" if missing is None else f"lacks residue {missing}"
    span = f"{min(numbers)}..{max(numbers)}"
    raise ValueError(f"residues ({first}..{last}): {where} {wrong}; it has {len(numbers)} residues between {span}")


@dataclass(frozen=True)
class GoModel:
    """What decides the energy.

    Attributes:
        beads: Name of each, such as ``LYS6-CA``.
        native: Their native positions about their centre, nm, shape ``(n_beads, 3)``.
        contacts: Pairs of beads that are in native contact, the lower number first, shape ``(n_contacts, 2)``.
        contact_form: Of the energy of a contact.
    """

    beads: tuple[str, ...]
    native: FloatArray
    contacts: IntArray
    contact_form: ContactForm

    @classmethod
    def of(cls, structure: Structure, contact_cutoff: float, contact_form: ContactForm) -> GoModel:
        """The model of a native structure.

        Args:
            structure: The native one.
            contact_cutoff: Residues at least four apart are in contact where two of their heavy atoms are closer
                than this, nm.
            contact_form: Of the energy of a contact.

        Raises:
            ValueError: There are too few residues, or no contacts.
        """
        contacts = native_contacts(structure.heavy_atoms, contact_cutoff)
        if not len(contacts):
            n_residues = len(structure.residues)
            raise ValueError(f"contact_cutoff ({contact_cutoff:g} nm) leaves the {n_residues} residues without contact")
        native = structure.alpha_carbons - structure.alpha_carbons.mean(axis=0)
        return cls(tuple(f"{residue}-CA" for residue in structure.residues), native, contacts, contact_form)

    @property
    def contact_distances(self) -> FloatArray:
        """Native distance of each contact, nm."""
        first, second = self.native[self.contacts.T]
        return np.asarray(np.linalg.norm(first - second, axis=1))

    def parameters(self) -> Parameters:
        """What `mdlm.system.go_model_kernels` needs."""
        lengths, angles, dihedrals = internal_coordinates(self.native)
        return lengths, angles, np.stack([np.cos(dihedrals), np.sin(dihedrals)]), self._pairs()

    def _pairs(self) -> FloatArray:
        """Repulsion, and contacts in its place; see `mdlm.system.go_model_kernels.add_pairs`."""
        n_beads = len(self.beads)
        pairs = np.zeros((4, n_beads, n_beads))
        first, second = np.triu_indices(n_beads, MIN_SEPARATION)
        pairs[:2, first, second] = np.array([REPULSION_DIAMETER**2, 1.0])[:, None]
        first, second = self.contacts.T
        pairs[0, first, second] = self.contact_distances**2
        pairs[1:, first, second] = np.array(COEFFICIENTS[self.contact_form])[:, None]
        return pairs + pairs.transpose(0, 2, 1)


def native_contacts(heavy_atoms: Sequence[FloatArray], cutoff: float) -> IntArray:
    """Pairs of residues at least four apart with heavy atoms closer than ``cutoff``, shape ``(n_contacts, 2)``."""
    n_residues = len(heavy_atoms)
    near = [
        (i, j)
        for i in range(n_residues)
        for j in range(i + MIN_SEPARATION, n_residues)
        if np.linalg.norm(heavy_atoms[i][:, None] - heavy_atoms[j], axis=2).min() < cutoff
    ]
    return np.array(near, dtype=np.int64).reshape(-1, 2)


def internal_coordinates(positions: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Bond lengths, bond angles and dihedrals of a chain, radians; positions of shape ``(..., n_beads, 3)``.

    Example:
        >>> corner = np.array([[1.0, 0, 0], [0, 0, 0], [0, 0, 1], [0, 1, 1]])
        >>> [values.round(3).tolist() for values in internal_coordinates(corner)]
        [[1.0, 1.0, 1.0], [1.571, 1.571], [1.571]]
    """
    bonds = np.diff(positions, axis=-2)
    lengths = np.linalg.norm(bonds, axis=-1)
    before, after = bonds[..., :-1, :], bonds[..., 1:, :]
    normals = np.cross(before, after)
    angles = np.arctan2(np.linalg.norm(normals, axis=-1), -(before * after).sum(axis=-1))
    near, far = normals[..., :-1, :], normals[..., 1:, :]
    sines = lengths[..., 1:-1] * (before[..., :-1, :] * far).sum(axis=-1)
    return lengths, angles, np.arctan2(sines, (near * far).sum(axis=-1))


def fraction_native(frames: FloatArray, model: GoModel) -> FloatArray:
    """Q, the fraction of native contacts that are formed: closer than 1.2 native distances.

    Args:
        frames: Shape ``(n_frames, 3 n_beads)``, as the system gives them.
        model: Whose contacts.

    Returns:
        From 0 to 1, shape ``(n_frames,)``.
    """
    positions = frames.reshape(len(frames), -1, 3)
    formed = np.zeros(len(frames))
    for (i, j), distance in zip(model.contacts, model.contact_distances, strict=True):
        separation = np.linalg.norm(positions[:, i] - positions[:, j], axis=1)
        formed += separation < CONTACT_STRETCH * distance
    return formed / len(model.contacts)


class FoldingEvents(NamedTuple):
    """Frames in which a core is entered that is not the one visited last.

    Attributes:
        folding: Entries of the folded core.
        unfolding: Entries of the unfolded core.
    """

    folding: IntArray
    unfolding: IntArray


def folding_events(q: FloatArray, unfolded_below: float, folded_above: float) -> FoldingEvents:
    """Find folding and unfolding by the core-set rule: only what reaches the other core has left its own.

    Args:
        q: Fraction of native contacts of one trajectory, shape ``(n_frames,)``.
        unfolded_below: The unfolded core lies below.
        folded_above: The folded core lies above.

    Raises:
        ValueError: The cores overlap.

    Example:
        The first visit of a core is no event, nor is a return to it.

        >>> events = folding_events(np.array([0.1, 0.5, 0.2, 0.5, 0.9, 0.5, 0.8, 0.1]), 0.3, 0.7)
        >>> events.folding.tolist(), events.unfolding.tolist()
        ([4], [7])
    """
    if not unfolded_below <= folded_above:
        raise ValueError(f"unfolded_below ({unfolded_below:g}) must not exceed folded_above ({folded_above:g})")
    in_core = np.flatnonzero((q < unfolded_below) | (q > folded_above))
    folded = q[in_core] > folded_above
    entered = 1 + np.flatnonzero(folded[1:] != folded[:-1])
    return FoldingEvents(in_core[entered[folded[entered]]], in_core[entered[~folded[entered]]])


def free_energy_profile(q: FloatArray, n_contacts: int) -> tuple[FloatArray, FloatArray]:
    """F(Q) in kT, zero at its lowest, infinite where nothing was seen.

    Args:
        q: Fraction of native contacts, shape ``(n_frames,)``.
        n_contacts: How many there are; Q has no values between their whole fractions.

    Returns:
        Every value of Q and F there, both of shape ``(n_contacts + 1,)``.

    Example:
        >>> [values.round(2).tolist() for values in free_energy_profile(np.array([0.5, 1.0, 1.0]), 2)]
        [[0.0, 0.5, 1.0], [inf, 0.69, 0.0]]
    """
    counts = np.bincount(np.rint(q * n_contacts).astype(np.int64), minlength=n_contacts + 1)
    with np.errstate(divide="ignore"):
        profile = np.log(counts.max() / counts)
    return np.arange(n_contacts + 1) / n_contacts, profile


def check_contact_form(contact_form: str) -> None:
    """Raise `ValueError` where there is no such form."""
    if contact_form not in get_args(ContactForm):
        raise ValueError(f"contact_form ({contact_form}) must be {' or '.join(get_args(ContactForm))}")
