"""Alanine dipeptide, ACE-ALA-NME: its 22 atoms, how they are bonded, and a conformation to start from."""

from __future__ import annotations

from typing import Literal

Selection = Literal["heavy", "all"]

PDB = """\
REMARK   alanine dipeptide, extended (phi -145, psi 159 degrees), at a minimum of amber99sb-ildn with OBC2
HETATM    1  H1  ACE A   1      -4.440  -0.745  -0.676  1.00  0.00           H
HETATM    2  CH3 ACE A   1      -3.592  -0.860  -0.002  1.00  0.00           C
HETATM    3  H2  ACE A   1      -3.344  -1.915   0.098  1.00  0.00           H
HETATM    4  H3  ACE A   1      -3.846  -0.452   0.976  1.00  0.00           H
HETATM    5  C   ACE A   1      -2.398  -0.117  -0.555  1.00  0.00           C
HETATM    6  O   ACE A   1      -2.489   0.491  -1.622  1.00  0.00           O
ATOM      7  N   ALA A   2      -1.284  -0.171   0.171  1.00  0.00           N
ATOM      8  H   ALA A   2      -1.307  -0.709   1.025  1.00  0.00           H
ATOM      9  CA  ALA A   2      -0.010   0.463  -0.182  1.00  0.00           C
ATOM     10  HA  ALA A   2       0.043   0.578  -1.266  1.00  0.00           H
ATOM     11  CB  ALA A   2       0.030   1.861   0.451  1.00  0.00           C
ATOM     12  HB1 ALA A   2      -0.014   1.779   1.538  1.00  0.00           H
ATOM     13  HB2 ALA A   2       0.952   2.370   0.169  1.00  0.00           H
ATOM     14  HB3 ALA A   2      -0.818   2.451   0.101  1.00  0.00           H
ATOM     15  C   ALA A   2       1.206  -0.385   0.251  1.00  0.00           C
ATOM     16  O   ALA A   2       1.106  -1.236   1.143  1.00  0.00           O
HETATM   17  N   NME A   3       2.366  -0.139  -0.372  1.00  0.00           N
HETATM   18  H   NME A   3       2.370   0.580  -1.084  1.00  0.00           H
HETATM   19  C   NME A   3       3.626  -0.828  -0.094  1.00  0.00           C
HETATM   20  H1  NME A   3       3.514  -1.899  -0.275  1.00  0.00           H
HETATM   21  H2  NME A   3       4.415  -0.442  -0.741  1.00  0.00           H
HETATM   22  H3  NME A   3       3.915  -0.674   0.947  1.00  0.00           H
TER      23      NME A   3
CONECT    1    2
CONECT    2    5    1    3    4
CONECT    3    2
CONECT    4    2
CONECT    5    2    6    7
CONECT    6    5
CONECT    7    5
CONECT   15   17
CONECT   17   15   19   18
CONECT   18   17
CONECT   19   20   21   22   17
CONECT   20   19
CONECT   21   19
CONECT   22   19
END
"""
"""Protein Data Bank format; coordinates in Å, atom names as in amber99sb-ildn."""


def atoms(selection: Selection) -> dict[int, str]:
    """Index and name of the atoms, as mdtraj names them; ``heavy`` leaves the hydrogens out.

    Example:
        >>> list(atoms("heavy").values())[:5]
        ['ACE1-CH3', 'ACE1-C', 'ACE1-O', 'ALA2-N', 'ALA2-CA']
    """
    lines = [line for line in PDB.splitlines() if line.startswith(("ATOM", "HETATM"))]
    names = {number: f"{line[17:20]}{line[22:26].strip()}-{line[12:16].strip()}" for number, line in enumerate(lines)}
    return {number: names[number] for number, line in enumerate(lines) if selection == "all" or line[77] != "H"}
