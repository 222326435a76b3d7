"""Free energies of the states and how far a sample's are off."""

from __future__ import annotations

import numpy as np

from mdlm.trajectory import FloatArray


def free_energies(populations: FloatArray) -> FloatArray:
    r"""Free energy of each state, :math:`-\ln p_i` in kT, above the most populated one.

    Returns:
        Same shape; infinite for a state never visited, NaN where there are no frames.

    Example:
        >>> free_energies(np.array([0.5, 0.25, 0.0])).round(4).tolist()
        [0.0, 0.6931, inf]
    """
    with np.errstate(divide="ignore"):
        energies: FloatArray = -np.log(populations)
    return energies - energies.min(initial=np.inf) if np.isfinite(energies).any() else energies


def free_energy_errors(judged: FloatArray, reference: FloatArray) -> FloatArray:
    r"""Error of each state's free energy, :math:`\ln (q_i / p_i)` in kT.

    Positive where the judged sequence visits the state too little. The zero of both is the free energy of all states
    together, so a state that is missing moves the others.

    Args:
        judged: Populations p, shape ``(n_states,)``.
        reference: Populations q, same shape.

    Returns:
        Same shape; infinite where only the reference visits the state, minus infinite where only the judged one does,
        NaN where neither does.

    Example:
        >>> free_energy_errors(np.array([0.5, 0.5, 0.0, 0.0]), np.array([0.25, 0.5, 0.25, 0.0])).round(4).tolist()
        [-0.6931, 0.0, inf, nan]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log(reference) - np.log(judged))


def rms_free_energy_error(errors: FloatArray, reference: FloatArray) -> float:
    """Root mean square of the errors, each state weighted by its population in the reference.

    Args:
        errors: See `free_energy_errors`, shape ``(n_states,)``.
        reference: Populations, same shape; states that the reference never visits do not count.

    Returns:
        In kT; infinite where the sample lacks a state of the reference, NaN where either has no frames.

    Example:
        >>> rms_free_energy_error(np.array([3.0, 0.0, np.nan]), np.array([0.25, 0.75, 0.0]))
        1.5
    """
    visited = ~(reference == 0)
    return float(np.sqrt(reference[visited] @ np.square(errors[visited]))) if visited.any() else np.nan
