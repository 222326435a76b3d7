"""A protein in a C-alpha structure-based model: the WW domain of Pin1, or any other given by its native structure.

It is a model with native bias: never call its times physical.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mdlm.data import published
from mdlm.system.go_model import ContactForm, GoModel, check_contact_form, read_structure
from mdlm.system.walkers import Advance, Start, WalkerSystem, check_positive
from mdlm.trajectory import FloatArray, Header

HOT = 2.5  # times the thermal energy
HOT_STEPS = 20_000  # at which no native structure is left within a tenth of them
RELAXING_STEPS = 5_000  # at the temperature of the run, for what is faster than folding


@dataclass(frozen=True, kw_only=True)
class WWDomain(WalkerSystem):
    """Langevin walkers of one bead of mass 1 per residue, every other one started from the native structure.

    The others start unfolded: from a short run at 2.5 times the thermal energy, then a shorter one at that of the
    run. Frames are positions in nm about their centre; rotation stays. The unit of time, ``model_ps``, follows from
    nm, the mass of a bead and the energy of a contact; a landscape that knows the native structure has no physical
    rates.

    Attributes:
        native: A PDB file, or the four letters of an entry of the Protein Data Bank, such as 1PIN, which is looked
            for in the data directory and otherwise fetched.
        residues: Numbers of the first and the last residue; None for the whole chain.
        chain: Its name in the file; None for the first one.
        contact_cutoff: Residues at least four apart are in native contact where two heavy atoms are closer, nm.
        contact_form: Energy of a contact: ``12-10-6``, which has a small barrier, or ``10-12``, which has none.
        thermal_energy: kT, in contact energies.
        friction: Damping rate of the velocity, 1 / time.

    Sources: Clementi, Nymeyer & Onuchic, J. Mol. Biol. 298, 937 (2000); contacts of Karanicolas & Brooks, Protein
    Sci. 11, 2351 (2002).
    """

    native: str
    residues: tuple[int, int] | None
    chain: str | None
    contact_cutoff: float
    contact_form: ContactForm
    thermal_energy: float
    friction: float
    step_cost: ClassVar[float] = 100.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(contact_cutoff=self.contact_cutoff, thermal_energy=self.thermal_energy, friction=self.friction)
        check_contact_form(self.contact_form)
        if self.residues is not None and self.residues[1] - self.residues[0] < 4:
            first, last = self.residues
            raise ValueError(f"residues ({first}..{last}) must be at least five, the first number before the last")

    @property
    def header(self) -> Header:
        """Three columns per residue, such as ``LYS6-CA.x``, in nm."""
        plain = super().header
        columns = tuple(f"{bead}.{axis}" for bead in self.model.beads for axis in "xyz")
        return Header(columns, plain.lengths, plain.frame_time, "model_ps")

    @cached_property
    def model(self) -> GoModel:
        """The model of the native structure."""
        structure = read_structure(self._native_file(), self.residues, self.chain)
        return GoModel.of(structure, self.contact_cutoff, self.contact_form)

    def dynamics(self) -> tuple[Start, Advance]:
        """Native and unfolded starts in turn, moved by `go_model_kernels.langevin`."""
        from mdlm.system.go_model_kernels import energy_and_forces, langevin

        parameters = self.model.parameters()
        unfolds = cycle((False, True))  # walkers are started one after the other

        def advance_at(
            thermal_energy: float, rng: np.random.Generator, state: FloatArray, block: FloatArray, save_every: int
        ) -> None:
            langevin(rng, state, block, save_every, self.time_step, self.friction, thermal_energy, parameters)

        def start(rng: np.random.Generator) -> FloatArray:
            state = np.zeros((3, 3, len(self.model.beads)))
            state[0] = self.model.native.T
            state[1] = np.sqrt(self.thermal_energy) * rng.standard_normal(state[1].shape)
            energy_and_forces(state[0], state[2], parameters)
            if next(unfolds):
                unused = np.empty((1, state[0].size), np.float32)
                advance_at(HOT * self.thermal_energy, rng, state, unused, HOT_STEPS)
                advance_at(self.thermal_energy, rng, state, unused, RELAXING_STEPS)
            return state

        def advance(rng: np.random.Generator, state: FloatArray, block: FloatArray) -> None:
            advance_at(self.thermal_energy, rng, state, block, self.save_every)

        return start, advance

    def identity(self) -> dict[str, Any]:
        """The fields that decide the trajectories; of the file its content counts, wherever it lies."""
        from hashlib import sha256

        return super().identity() | {"native": sha256(self._native_file().read_bytes()).hexdigest()}

    def _native_file(self) -> Path:
        """Where the native structure is."""
        file = Path(self.native).expanduser()
        if file.is_file():
            return file
        if not re.fullmatch(r"[1-9][A-Za-z0-9]{3}", self.native):
            raise ValueError(f"native ({self.native}) must be a PDB file or the id of a PDB entry, such as 1PIN")
        name = f"{self.native.upper()}.pdb"
        return published(name, f"https://files.rcsb.org/download/{name}", known_hash=None)
